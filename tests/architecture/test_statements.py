"""The parameters of statements have names (`storage/sql.py`), also where a statement has parts."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules, nodes

pytestmark = pytest.mark.xdist_group("tree")

_NUMBER = re.compile(r"(?<![\w$])\$(\d|\{\})")
TRANSLATOR = ROOT / "service" / "storage" / "sql.py"


def numbered(path: Path) -> list[str]:
    """The texts of a module, other than its docstrings, that have a `$1` or compute one."""
    prose = {id(node.value) for node in nodes(path) if isinstance(node, ast.Expr)}
    found = []
    for node in nodes(path):
        if isinstance(node, ast.JoinedStr):
            for part, following in pairwise(node.values):
                if isinstance(following, ast.FormattedValue) and _text(part).endswith("$"):
                    found.append(ast.unparse(node))
        elif id(node) not in prose and _NUMBER.search(_text(node)):
            found.append(_text(node))
    return found


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_the_parameters_of_statements_have_names() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {' '.join(text.split())[:80]}"
        for path in modules()
        if path.is_relative_to(ROOT / "service") and path != TRANSLATOR
        for text in numbered(path)
    ]
    assert not found, f"give each parameter a name (storage/sql.py): {found}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('f("WHERE a = $1")', ["WHERE a = $1"]),
        ('f(f"WHERE a = ${n}")', ["f'WHERE a = ${n}'"]),
        ('f("VALUES (${}, ${})".format(1, 2))', ["VALUES (${}, ${})"]),
        ('"""Takes $1."""', []),
        ('f("WHERE a = :a", re.compile("b$"), f"^{c}$")', []),
    ],
)
def test_what_is_numbered(tmp_path: Path, source: str, expected: list[str]) -> None:
    module = tmp_path / "store.py"
    module.write_text(source, "utf-8")
    assert numbered(module) == expected
