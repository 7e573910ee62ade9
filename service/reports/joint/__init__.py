"""Joint plans in figures, and how much of a count others may see."""
