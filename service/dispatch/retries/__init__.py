"""What follows a failure: another channel, another time, or nothing."""
