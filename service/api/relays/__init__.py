"""Chat groups and relays over HTTP: the register, hand-overs, who has passed a text on."""
