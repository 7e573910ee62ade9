"""CMPP (China Mobile, QB-GF-028-2003), 2.0 and 3.0: docs/protocols/cmpp.md comes first."""
