"""SGIP 1.2 (China Unicom, October 2001): docs/protocols/sgip.md is the page to read first."""
