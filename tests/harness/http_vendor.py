"""What docs/simulator.md sets for a channel of kind `http` to the simulated vendor."""

import json
import re
from pathlib import Path
from typing import Any

MANUAL = Path(__file__).parents[2] / "docs" / "simulator.md"


def documented() -> dict[str, Any]:
    """Those of the manual, with its addresses."""
    (block,) = re.findall(r"```json\n(.*?)```", MANUAL.read_text("utf-8"), re.DOTALL)
    found: dict[str, Any] = json.loads(block)
    return found
