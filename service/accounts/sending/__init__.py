"""What a department may send directly: guests and limits."""
