"""What `make test` runs: each invariant is proved there, and CI runs all other tests too."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, parsed, statements

pytestmark = pytest.mark.xdist_group("tree")

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
INVARIANTS = dict(re.findall(r"^\| (I\d+) \|(.*)\|$", PAGE, re.MULTILINE))
CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LEFT_OUT = re.compile(r"pytest\.mark\.(slow|crash|nightly)\b")


def runs_in_make_test(path: Path, name: str) -> bool:
    """Whether `make test` runs this test, or one of the module if no test is named.

    A mark of single cases, inside parametrize, leaves the other cases in.
    """
    tree = parsed(path)
    marks = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    if any(LEFT_OUT.search(mark) for mark in marks):
        return False
    tests = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and name in ("", node.name)
    ]
    return any(
        not any(LEFT_OUT.match(ast.unparse(one)) for one in test.decorator_list) for test in tests
    )


def test_there_are_twelve_invariants() -> None:
    assert list(INVARIANTS) == [f"I{n}" for n in range(1, 13)]


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_an_invariant_has_a_proof_in_make_test(invariant: str) -> None:
    cited = CITED.findall(INVARIANTS[invariant])
    assert [one for one in cited if runs_in_make_test(ROOT / one[0], one[1])], cited


def nightly_parts(make: str) -> set[str]:
    """What `make nightly` runs, one after another."""
    found = re.search(r"^NIGHTLY := ((?:.*\\\n)*.*)$", make, re.MULTILINE)
    assert found is not None
    return set(found[1].replace("\\\n", " ").split())


def test_coverage_is_of_make_test_and_blocks_nothing() -> None:
    make = (ROOT / "Makefile").read_text("utf-8")
    recipes = dict(re.findall(r"^(test|coverage): .*\n((?:\t.*\n)+)", make, re.MULTILINE))
    command = recipes["test"].strip()
    assert f"{command} --cov --cov-report=\n" in recipes["coverage"]
    assert "coverage" in nightly_parts(make)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert "fail_under" not in settings["coverage"].get("report", {})
    assert settings["pytest"]["ini_options"]["filterwarnings"] == ["error"]
    assert "fail-under" not in make


def test_ci_runs_what_make_test_leaves_out() -> None:
    """`make test` and `make slow` are each other's complement, and CI has both."""
    make = (ROOT / "Makefile").read_text("utf-8")
    recipes = dict(re.findall(r"^(test|slow): .*\n\t(.*)$", make, re.MULTILINE))
    assert '-m "not slow and not crash and not nightly"' in recipes["test"]
    assert '-m "slow and not crash and not nightly"' in recipes["slow"]
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    words = [line.partition(" ||")[0] for line in ci if line.startswith("make ")]
    assert words[:2] == ["make test", "make browser"]
    assert {"make slow", "make crash"} <= set(words)


TWO_OF_A_GROUP = """
import pytest

pytestmark = pytest.mark.xdist_group("together")


def test_passes() -> None:
    pass


def test_fails() -> None:
    raise AssertionError
"""


@pytest.mark.slow
def test_again_runs_those_that_failed_and_no_others(tmp_path: Path) -> None:
    """One of a group too: what failed is kept with its group, and where none of it is found, pytest
    runs all.
    """
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish\n")
    (tmp_path / "test_two.py").write_text(TWO_OF_A_GROUP)
    pytest_command = f"PYTEST={sys.executable} -m pytest"
    make = ["make", "-f", str(ROOT / "Makefile"), "-o", "venv", pytest_command]

    def ended(target: str) -> str:
        done = subprocess.run(
            [*make, target],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "WORKERS": "2"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stdout

    assert "1 failed, 1 passed" in ended("test")
    again = ended("again")
    assert "1 failed" in again
    assert "passed" not in again


def test_ci_runs_containers_and_nothing_there_can_be_skipped() -> None:
    """They are programs of their own: no mark and no missing package leaves a part of them out."""
    make = (ROOT / "Makefile").read_text("utf-8")
    assert {"compose-test", "bundle-test"} <= nightly_parts(make)
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert {"make image", "make failover-quick"} <= {*ci}
    folder = ROOT / "tests" / "containers"
    modules = {path.name for path in folder.glob("*.py")}
    assert {"image.py", "bad_day.py"} <= modules
    assert not [name for name in modules if name.startswith("test_") or name.endswith("_test.py")]
    for path in folder.glob("*.py"):
        assert "pytest" not in imported(path), path


def test_browsers_are_needed_by_make_browser_alone() -> None:
    """Nothing else collects their tests, imports them, or has what drives a browser in its lock."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert "tests/browser" in settings["pytest"]["ini_options"]["norecursedirs"]
    make = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^browser: \$\(DRIVER\).*\n((?:\t.*\n)+)", make, re.MULTILINE)
    assert recipe is not None
    assert " tests/browser\n" in recipe[1]
    assert "playwright" not in (ROOT / "requirements.lock").read_text("utf-8")
    others = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "browser"]
    assert others
    users = [
        path
        for path in others
        if any(name.startswith(("playwright", "tests.browser")) for name in imported(path))
    ]
    assert not users, users


def imported(path: Path) -> list[str]:
    """The modules that a file imports."""
    found = []
    for node in statements(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
