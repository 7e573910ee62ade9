"""The score sheet: what each unit did in a quarter, in points that lead to their rows."""
