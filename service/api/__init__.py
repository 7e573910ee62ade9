"""JSON over HTTP: `routes.py` has every URL on one screen; each module holds one resource."""
