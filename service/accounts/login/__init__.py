"""Passwords, one-time codes, sessions."""
