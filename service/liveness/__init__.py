"""Whether a process does its own work, and what it does when it does not."""
