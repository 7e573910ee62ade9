"""The ledger: states of messages and runs, their moves, their locks, and the reasons."""
