"""Trying a channel before it is used, in words for people."""
