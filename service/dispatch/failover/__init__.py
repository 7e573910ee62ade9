"""Whether a channel works, and which others take its texts when it does not."""
