"""Whom a run missed: sent again, visited at the door, signed off by village."""
