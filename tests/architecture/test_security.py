"""The page about attackers: its tests exist and carry their mark, and no line of it is empty."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.architecture.tree import ROOT, parsed

pytestmark = pytest.mark.xdist_group("tree")

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
AIMS = (
    "send without two persons",
    "send what was not seen",
    "lose or double a text",
    "send at night",
    "read another department's data",
    "see a phone number",
    "break the audit trail",
    "stop the service",
)
CITED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
MARK = "pytest.mark.attack"


@cache
def marked() -> frozenset[str]:
    """Each test that carries the mark, by itself or with its module."""
    return frozenset(_marked())


def _marked() -> Iterator[str]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if MARK not in path.read_text("utf-8"):
            continue
        tree = parsed(path)
        whole = any(_is_pytestmark(node) and MARK in ast.unparse(node) for node in tree.body)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            own = any(MARK in ast.unparse(one) for one in node.decorator_list)
            if node.name.startswith("test_") and (whole or own):
                yield f"{path.relative_to(ROOT)}::{node.name}"


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """The heading of each attacker's table, and its rows."""
    for section in re.split(r"^#{2,3} ", PAGE, flags=re.MULTILINE)[1:]:
        lines = section.splitlines()
        if "| aim | what holds it | test |" in lines:
            start = lines.index("| aim | what holds it | test |") + 2
            rows = [line for line in lines[start:] if line.startswith("|")]
            yield lines[0], [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_each_test_that_is_named_is_there_and_carries_the_mark() -> None:
    cited = {f"{path}::{name}" for path, name in CITED.findall(PAGE)}
    assert cited
    assert cited - marked() == set()


def test_each_attacker_has_a_line_for_each_aim_and_none_is_empty() -> None:
    wrong = []
    for heading, rows in tables():
        if tuple(row[0] for row in rows) != AIMS:
            wrong.append(heading)
        for aim, held, tests in rows:
            if not CITED.search(tests) and not held.startswith(("Cannot arise: ", "Open: ")):
                wrong.append(f"{heading}: {aim}")
    assert wrong == []


def test_each_attacker_who_is_introduced_has_a_table() -> None:
    introduced = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\)", PAGE, re.MULTILINE)
    headings = {heading.lower().replace(" ", "-") for heading, _ in tables()}
    kinds = {path.stem for path in (ROOT / "service" / "gateways").glob("[a-z]*.py")}
    carriers = {f"over-{kind}" for kind in kinds}
    assert headings == set(introduced) - {"a-carrier"} | carriers


def test_each_test_that_carries_the_mark_is_named() -> None:
    named = {f"{path}::{name}" for path, name in CITED.findall(PAGE)}
    assert marked() - named == set()
