"""The county's settings and its festivals."""
