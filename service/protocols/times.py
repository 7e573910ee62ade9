"""The clock of the carriers' protocols: Beijing time, eight hours ahead of UTC all year (pure)."""

from datetime import timedelta, timezone

BEIJING = timezone(timedelta(hours=8), "Beijing")
"""The time in which a carrier's packets have their instants; a packet names no zone."""
