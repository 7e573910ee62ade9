"""What is being sent, what came of it, and single texts."""
