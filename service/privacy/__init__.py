"""Whose data are they: seen in full by whom, looked up, erased, and kept for how long."""
