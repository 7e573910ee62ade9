"""Users: rights, grants, deputies, and who counts as the same person."""
