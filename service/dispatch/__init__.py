"""Getting them out: expansion into the ledger, routes, pace, leases, and the hand-off itself."""
