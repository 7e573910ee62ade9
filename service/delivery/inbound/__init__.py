"""What people write back: opt-outs, confirmations, and what a person reads."""
