"""From a queued row to a submitted one: lease, claim, mark, write, record."""
