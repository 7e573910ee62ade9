"""How often a test of a race repeats what may go wrong at any moment."""

import os

RACE_ROUNDS = int(os.environ.get("TOCSIN_RACE_ROUNDS", "50"))
"""Rounds of one test; `make test-all` and `make nightly` take 1,000."""
