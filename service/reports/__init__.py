"""What it amounted to: a run's counts, ledger and evidence; and what is to come: the calendar."""
