"""Follow-ups over HTTP: the ladder for those whom a run missed, visits, and who signs for them."""
