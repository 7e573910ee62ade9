"""Runs: all of them in a list, how far one has come, and the report of one as a file."""
