"""How fast and how often: the pace of a channel, quotas, allowances, caps."""
