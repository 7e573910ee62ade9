"""Text into parts, as the carriers count them; pure, and the lowest layer but errors and words."""
