"""What it amounted to: counts and coverage of a run, and its ledger, masked."""
