"""Which channels can take a number: by its carrier, in an order."""
