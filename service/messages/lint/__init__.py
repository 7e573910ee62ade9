"""How an official text is told apart from a scam."""
