"""Phone cells, files refused as a whole, and areas equal the truth files (import rules §16).

What a whole file gives is shown in `tests/integration/audience/test_contact_truth.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.audience.areas.area import packaged_areas, read_areas
from service.audience.numbers.number import read_cell
from service.errors import FileRefused

DATA = Path(__file__).resolve().parents[2] / "data"
CONTACTS = DATA / "contacts"
PHONE_CASES = json.loads((CONTACTS / "phone-cases.json").read_text())["cases"]
BAD_FILES = json.loads((CONTACTS / "bad" / "expected.json").read_text())["cases"]


@pytest.mark.parametrize("case", PHONE_CASES, ids=lambda case: case["id"])
def test_phone_cell_gives_its_truth(case: dict[str, Any], rules: Any) -> None:
    result = read_cell(case["cell"], rules.prefixes)
    if result.code:
        got: dict[str, Any] = {"code": result.code}
        if result.code == "letters":
            got["suggestion"] = result.suggestion
    else:
        got = {"phones": list(result.numbers), "fixes": list(result.fixes)}
        if result.part_rejected:
            got["warnings"] = ["part_rejected"]
    assert got == case["expect"]


@pytest.mark.parametrize("case", BAD_FILES, ids=lambda case: case["file"])
def test_bad_file_is_refused_as_a_whole(
    case: dict[str, Any], read_file: Callable[..., Any]
) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file((CONTACTS / "bad" / case["file"]).read_bytes())
    assert refused.value.code == case["expect"]["error"]


def test_generator_and_package_have_the_same_areas() -> None:
    lines = [
        (DATA / "areas" / name).read_text().splitlines() for name in ("anhui.csv", "jingde.csv")
    ]
    assert [area for text in lines for area in read_areas(text)] == list(packaged_areas())
