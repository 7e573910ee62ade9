"""The fields of a person, and the words that files and rules have for them."""
