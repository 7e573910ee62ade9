"""Channels, routes and number blocks over HTTP, and the gateways' callbacks."""
