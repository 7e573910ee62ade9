"""Every benchmark that a document names starts as written there, and shadows no module."""

import re
import subprocess
import sys
from importlib.machinery import PathFinder

import pytest

from benchmarks import session
from tests.architecture.tree import ROOT, text_files

BENCHMARKS = ROOT / "benchmarks"
ENVIRONMENT = [path for path in sys.path if path not in ("", str(ROOT), str(BENCHMARKS))]
COMMAND = re.compile(r"python3? (?:-m benchmarks\.|benchmarks/)\w+[\w./]*|-m benchmarks\.\w+")
NAMED = sorted(
    {
        match.group().removeprefix("python ").removeprefix("python3 ")
        for path, text in text_files()
        if path.suffix == ".md" or path.name == "Makefile"
        for match in COMMAND.finditer(text)
    }
)


def test_the_documents_name_benchmarks() -> None:
    assert len(NAMED) >= 10, NAMED


@pytest.mark.slow
@pytest.mark.parametrize("command", NAMED)
def test_a_named_benchmark_starts(command: str) -> None:
    run = subprocess.run(
        [sys.executable, *command.split(), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("usage:")


@pytest.mark.slow
def test_the_null_servers_answer_their_clients() -> None:
    """The limits in the table are measured against them, by a bare client and by the gateway."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.session", "500"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 1 + 2 * len(session.WIRES), run.stdout


def test_no_benchmark_shadows_a_module() -> None:
    """Python puts the folder of a script that is run by its path before all other modules."""
    names = {path.stem for path in BENCHMARKS.glob("*.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    found = {name for name in names if PathFinder.find_spec(name, ENVIRONMENT)}
    shadowed = names & (sys.stdlib_module_names | packages | found)
    assert not shadowed, f"rename {sorted(shadowed)} in benchmarks/"
