"""A campaign and its runs: the model, the moves, the tables."""
