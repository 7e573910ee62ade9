"""Who may do it: departments, users and their roles, and the keys that act for them."""
