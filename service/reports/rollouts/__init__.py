"""What a staggered rollout found: cases in villages with their text beside those without."""
