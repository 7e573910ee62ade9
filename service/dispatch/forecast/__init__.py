"""What a plan will amount to: when it is finished, and whom the caps leave out."""
