"""What carriers say of a text, and what it becomes."""
