"""What a way out must be able to do, which kinds there are, and where they may connect."""
