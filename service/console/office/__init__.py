"""Administration: departments, users, keys, and what takes two persons."""
