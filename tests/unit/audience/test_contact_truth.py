"""An importer is right when its report and its rows equal the truth file's (import rules §16)."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from service.audience.area import packaged_areas, read_areas
from service.audience.number import read_cell
from service.audience.prefix import national, packaged_prefixes
from service.audience.suppression import read_optouts
from service.errors import FileRefused

DATA = Path(__file__).resolve().parents[2] / "data"
CONTACTS = DATA / "contacts"
FILES = sorted(path.name.removesuffix(".truth.json") for path in CONTACTS.glob("*.truth.json"))
PHONE_CASES = json.loads((CONTACTS / "phone-cases.json").read_text())["cases"]
BAD_FILES = json.loads((CONTACTS / "bad" / "expected.json").read_text())["cases"]
VARIANTS = {
    "utf-16 with tabs": "--profile tiny --rows 60 --encoding utf-16 --delimiter tab",
    "sep line, CR, semicolons": (
        "--profile tiny --rows 60 --sep-line --newline cr --delimiter semicolon"
    ),
    "sep line with BOM": "--profile tiny --rows 60 --sep-line --encoding utf-8-sig --newline crlf",
    "pipes, CRLF, GB18030": (
        "--profile finance --rows 900 --delimiter pipe --newline crlf --encoding gb18030"
    ),
    "parents as CSV": "--profile school --rows 1200",
    "another county": "--profile county --rows 4000 --encoding utf-16 --newline cr",
    "province": "--profile province --rows 3000",
    "clean": "--profile elderly --rows 500 --dirty 0",
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_contacts", DATA / "make_contacts.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(
    data: bytes, truth: dict[str, Any], optouts: bytes, read_file: Any, truth_row: Any
) -> None:
    listed = read_optouts(lambda: [optouts], packaged_prefixes()).phones if optouts else ()
    rows, report = read_file(data, optouts=map(national, listed))
    expected = [{k: v for k, v in row.items() if k != "defect"} for row in truth["rows"]]
    assert report == truth["report"]
    assert [entry for row in rows if (entry := truth_row(row))] == expected


@pytest.mark.parametrize("name", FILES)
def test_file_gives_its_truth(name: str, read_file: Any, truth_row: Any) -> None:
    optouts = CONTACTS / f"{name}.optouts.csv"
    _check(
        (CONTACTS / f"{name}.csv").read_bytes(),
        json.loads((CONTACTS / f"{name}.truth.json").read_text()),
        optouts.read_bytes() if optouts.exists() else b"",
        read_file,
        truth_row,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_generated_file_gives_its_truth(
    variant: str, generator: ModuleType, tmp_path: Path, read_file: Any, truth_row: Any
) -> None:
    paths = {kind: tmp_path / kind for kind in ("out", "truth", "optouts")}
    arguments = [f"--{kind}={path}" for kind, path in paths.items()]
    generator.main([*VARIANTS[variant].split(), "--seed", "7", *arguments])
    truth = json.loads(paths["truth"].read_text())
    optouts = paths["optouts"].read_bytes()
    _check(paths["out"].read_bytes(), truth, optouts, read_file, truth_row)


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
