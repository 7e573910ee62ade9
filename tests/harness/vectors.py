"""The recorded frames in tests/vectors, each with its source and meaning."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors"


def load(protocol: str, name: str) -> Any:
    """One file of vectors, e.g. load("cmpp", "cmpp30")."""
    return json.loads((FOLDER / protocol / f"{name}.json").read_text(encoding="utf-8"))
