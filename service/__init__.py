"""Tocsin (警钟): bulk SMS and broadcast scheduling, the application.

The story, in reading order: campaigns (what, when) → audience (to whom) → messages (each text, in
parts) → dispatch (route, pace, submit) → channels, gateways, protocols (through what) → delivery
(what came back) → reports (what it amounted to). The import order is the layers contract in
pyproject.toml; `workers` drives the same code from the queue and is never imported from here.
"""
