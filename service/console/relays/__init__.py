"""Chat groups and relays on pages: the register, hand-overs, and who has passed a text on."""
