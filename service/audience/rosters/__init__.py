"""Rosters as users see them: on what each rests, until when, and who is on it."""
