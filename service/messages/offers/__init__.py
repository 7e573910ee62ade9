"""Texts that a department offers to others, and the copies that they take over."""
