"""Numbers that are never sent to, and why."""
