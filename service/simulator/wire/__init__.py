"""How it speaks: one module for each protocol or provider."""
