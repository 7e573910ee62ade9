"""The ways out, as configured: the gateway contract, the registry of kinds, the channel rows."""
