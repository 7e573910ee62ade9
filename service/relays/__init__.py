"""Chat groups with one owner each, and relays: a text passed down from person to person."""
