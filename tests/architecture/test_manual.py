"""The manuals of the console call its menus, tabs and pages as the console does."""

import re
from pathlib import Path

import pytest

from tests.architecture import catalogue

DOCS = Path(__file__).parents[2] / "docs"
STEP = r"(?:`[^`]+`|\*\*[^*]+\*\*)"
WAY = re.compile(rf"{STEP}(?:\s→\s{STEP})+|`[^`]+→[^`]+`")
"""A way through the console: `People → Groups`, or `People` → **Chat groups**."""


def steps(text: str) -> list[str]:
    """Each name on each way of a manual."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    ways = [re.sub(r"[`*]", "", way[0]) for way in WAY.finditer(outside)]
    return [re.sub(r"\s+", " ", step).strip() for way in ways for step in way.split("→")]


@pytest.mark.parametrize("page", ["console.md", "console.en.md"])
def test_a_way_through_the_console_has_the_names_that_it_shows(page: str) -> None:
    entries = catalogue.entries()
    shown = {one.msgid if ".en." in page else one.msgstr for one in entries}
    shown |= {one.replace("……", "…") for one in shown}
    found = steps((DOCS / page).read_text("utf-8"))
    assert len(found) > 20
    assert not [step for step in found if step not in shown]
