"""The weekly report of a unit, taken from facts, and the county's pack of all of them."""
