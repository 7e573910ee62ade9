"""What a simulated carrier does with a text, whatever the protocol."""
