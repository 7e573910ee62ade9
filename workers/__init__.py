"""The same application, driven by the queue: arq job functions of a few lines each.

Start one or more kinds with `python -m workers KIND…`. Every job carries ids only, may run twice
or never, and finds its work in PostgreSQL; the scheduler's sweep enqueues again what is open.
"""
