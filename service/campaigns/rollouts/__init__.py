"""Staggered rollouts: the draw that puts villages into waves, and its seed, told at the end."""
