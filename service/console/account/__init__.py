"""One's own account: logging in and out, password, authenticator, sessions, language."""
