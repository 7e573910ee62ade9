"""Direct sends: one text to people whom the caller names, and test sends."""
