"""What departments owe again and again: obligations, duties, reminders, and who is late."""
