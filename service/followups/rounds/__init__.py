"""Household rounds: which households were told at their doors, counted by village, and signed."""
