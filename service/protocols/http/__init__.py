"""Texts as HTTP requests, for providers with an interface of their own: docs/protocols/http.md."""
