"""Interoperability with code that others wrote; `interop/run` runs it."""
