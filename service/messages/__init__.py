"""EACH MESSAGE and its parts: templates, their lint, and the ledger of what goes to whom."""
