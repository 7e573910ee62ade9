"""What stops a campaign by itself or by a person: guard, hold, stop of all sending."""
