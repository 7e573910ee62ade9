"""Channels and numbers as they are set up: forms, tests, what takes two persons, routes, codes."""
