"""The area tree: counties, towns, villages, groups."""
