"""Planning, sequences, milestones, and the moves of a plan."""
