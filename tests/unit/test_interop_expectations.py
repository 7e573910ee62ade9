"""`make interop` is green only if every foreign program has run, or was excused beforehand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = "from interop.conftest import *\n"
USES_ALL = """
import pytest

@pytest.mark.parametrize("name", ["tshark", "kannel", "npm_smpp", "npm_segments", "scipy"])
def test_uses(request, name):
    assert request.getfixturevalue(name).exists()
"""
USES_TSHARK = "def test_uses(tshark):\n    assert tshark.exists()\n"
SKIPS = USES_ALL + "\ndef test_skips():\n    pytest.skip('no time for it')\n"
FETCHED = {
    "kannel": "debian/usr/sbin/bearerbox",
    "npm-smpp": "npm/node_modules/smpp",
    "npm-segments": "npm/node_modules/sms-segments-calculator",
    "scipy": "wheels/scipy",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A machine that has fetched all but tshark."""
    for path in FETCHED.values():
        made = tmp_path / "fetched" / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
    (tmp_path / "installed").mkdir()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def ran(folder: Path, tests: str, *, installed: bool = False, without: str = "") -> tuple[int, str]:
    """The exit status and the output of a run of these tests."""
    if installed:
        program = folder / "installed" / "tshark"
        program.touch()
        program.chmod(0o755)
    (folder / "test_it.py").write_text(tests)
    environment = os.environ | {
        "INTEROP_FOLDER": str(folder / "fetched"),
        "INTEROP_WITHOUT": without,
        "PATH": str(folder / "installed"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_program_that_is_installed_on_the_machine_is_used(folder: Path) -> None:
    status, output = ran(folder, USES_ALL, installed=True)
    assert (status, "5 passed" in output) == (0, True), output


def test_a_program_that_cannot_be_had_fails_the_run_with_the_reason(folder: Path) -> None:
    (folder / "fetched" / "tshark.missing").write_text("apt-get failed: no network")
    status, output = ran(folder, USES_ALL)
    assert status == 1
    assert "tshark was expected and cannot be had: apt-get failed: no network" in output


@pytest.mark.slow
def test_a_program_that_was_excused_is_a_skip(folder: Path) -> None:
    status, output = ran(folder, USES_ALL, without="tshark")
    assert (status, "4 passed, 1 skipped" in output) == (0, True), output


def test_a_name_that_excuses_nothing_is_refused(folder: Path) -> None:
    status, output = ran(folder, USES_ALL, without="tsark")
    assert status != 0
    assert "tsark; there are tshark, kannel, npm-smpp, npm-segments, scipy" in output


def test_any_other_skip_fails_the_run(folder: Path) -> None:
    status, output = ran(folder, SKIPS, installed=True)
    assert status == 1
    assert "skipped, and nobody expected it" in output
    assert "no time for it" in output


@pytest.mark.slow
def test_a_program_that_no_test_used_fails_the_run(folder: Path) -> None:
    status, output = ran(folder, USES_TSHARK, installed=True)
    assert status == 1
    assert "kannel was expected and no test has run with it" in output
