"""SMGP 3.0 (China Telecom, text 3.0.3): docs/protocols/smgp.md is the page to read first."""
