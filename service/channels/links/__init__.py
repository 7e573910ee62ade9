"""When a channel logs in again, and whom its listeners have refused."""
