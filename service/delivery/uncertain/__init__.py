"""Texts that may have left: decided by a policy, a statement, or a person."""
