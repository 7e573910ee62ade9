"""Texts as they were sent to the public, and whether one that is asked about is among them."""
