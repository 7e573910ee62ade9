"""Persons: what is known of one, from where, and corrections."""
