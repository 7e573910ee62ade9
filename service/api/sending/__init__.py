"""Texts over HTTP: direct sends, runs, uncertain ones, replies, stops."""
