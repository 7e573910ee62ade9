"""Suggestions: what the case figures suggest to write of, to whom, and what became of it."""
