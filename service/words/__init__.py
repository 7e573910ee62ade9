"""The words for people: phrases in English that carry their values, and their Chinese catalogue."""
