"""Obligations and duties over HTTP: what is owed by whom until when, handed in, decided, late."""
