"""The API's description as tests look things up in it, made once a process: it takes half a second.

What is served is held against it in `tests/integration/api/test_openapi.py`.
"""

from functools import cache
from typing import Any

from service.api.description.openapi import document
from service.api.routes import OPS, PREFIX


@cache
def description() -> dict[str, Any]:
    """The whole document; not to be changed."""
    return document(OPS, PREFIX, "0")
