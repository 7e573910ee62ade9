"""What two test modules need is in tests/harness: no test module is imported by another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, statements

pytestmark = pytest.mark.xdist_group("tree")

TESTS = ROOT / "tests"


def imported_tests(path: Path) -> Iterator[str]:
    """The modules of tests that a file imports, in whatever form."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in found:
            module = ROOT / f"{name.replace('.', '/')}.py"
            if TESTS in module.parents and module.name.startswith("test_") and module.exists():
                yield str(module.relative_to(ROOT))


def test_no_test_module_is_imported() -> None:
    folders = (ROOT / name for name in ("tests", "benchmarks", "interop"))
    users = [path for folder in folders for path in folder.rglob("*.py")]
    found = {module: path for path in users for module in imported_tests(path)}
    assert found == {}
