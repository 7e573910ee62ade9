"""Texts: the library, writing with what lint says, versions, offers, filings."""
