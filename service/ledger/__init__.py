"""The ledger: states of messages and runs, their moves, and the reasons."""
