"""An SMSC to talk to: the carrier's side of the wire, with receipts, limits and faults on demand.

`run` starts it, `smsc` decides what becomes of each text, `journal` remembers what is owed.
It knows the wire only, nothing of the application.
"""
