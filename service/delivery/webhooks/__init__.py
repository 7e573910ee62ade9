"""Calls to departments: what happened to their texts."""
