"""SMPP 3.4 (Issue 1.2): docs/protocols/smpp.md is the page to read first."""
