"""Lists for a carrier that sends by itself: drawn, made into an archive, and their results read."""
