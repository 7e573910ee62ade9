"""Acts that last longer than somebody waits: how far each is, and whether anybody still does it."""
