"""CMPP 3.0 (China Mobile, QB-GF-028-2003): docs/protocols/cmpp.md is the page to read first."""
