"""Channels as configured: settings, changes by two persons, codes, extension numbers."""
