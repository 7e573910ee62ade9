"""Audience rules: parsed, checked, explained, and compiled to SQL."""
