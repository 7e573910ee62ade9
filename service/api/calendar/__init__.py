"""Schedules, holidays, send hours and festivals over HTTP."""
