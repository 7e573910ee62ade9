"""What needs a person on duty: stops, channels, uncertain texts, replies, receipts, lists."""
