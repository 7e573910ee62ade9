"""Persons over HTTP: seen in full, erased; and what is deleted when."""
