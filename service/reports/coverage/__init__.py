"""Coverage: of all people whom there are, by area and role, how many a text has reached."""
