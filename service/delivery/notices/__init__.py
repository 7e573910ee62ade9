"""Notices to persons: a text or a mail to whoever must do something, if they asked for it."""
