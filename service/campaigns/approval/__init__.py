"""Whether a second person lets it go."""
