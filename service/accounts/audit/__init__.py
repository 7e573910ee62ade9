"""The audit trail: entries, and the chain that seals them."""
