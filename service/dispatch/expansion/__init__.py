"""Who is in a run: the rows of its ledger, and who is left out and why."""
