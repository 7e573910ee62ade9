"""Runs: all of them in a list, and how far one has come."""
