"""The start page: what waits, what is being sent, what comes."""
