"""The whole system on one machine: servers, simulated channels, first people, the demo."""
