"""Whom a campaign reaches, and whether what they read is cleared."""
