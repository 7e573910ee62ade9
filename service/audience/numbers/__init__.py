"""Phone numbers: their form, and the carrier that a number's block belongs to."""
