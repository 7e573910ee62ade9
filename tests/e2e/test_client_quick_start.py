"""The client's programs, as its README shows them, by somebody who has nothing but the client."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.harness.live import Live

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

CLIENT = Path(__file__).parents[2] / "clients/python"


def run(*arguments: str, folder: Path, **told: str) -> subprocess.CompletedProcess[str]:
    """Python with the client and what it depends on, and without the service."""
    libraries = [str(CLIENT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return subprocess.run(
        [sys.executable, "-S", *arguments],  # no .pth files: they lead to the service
        cwd=folder,
        env=os.environ
        | told
        | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(libraries)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )


def program(name: str, live: Live, folder: Path) -> str:
    """What a program of the README prints."""
    readme = (CLIENT / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- {name} -->\n```python\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    (folder / "first.py").write_text(found[1], "utf-8")
    keys = live.summary["keys"]
    done = run(
        "first.py",
        folder=folder,
        TOCSIN_API_URL=live.summary["url"],
        TOCSIN_API_KEY=keys["operator"],
        TOCSIN_APPROVER_KEY=keys["approver"],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_client_needs_nothing_of_the_service(tmp_path: Path) -> None:
    done = run("-c", "import tocsin_client, service", folder=tmp_path)
    assert "No module named 'service'" in done.stderr


def test_the_quick_start_works_as_it_is_written(live: Live, tmp_path: Path) -> None:
    said = program("quick start", live, tmp_path)
    assert "'index': 1, 'reason': 'invalid'" in said
    assert said.splitlines()[-1] == "delivered 已送达手机。 It has arrived on the handset."


def test_a_campaign_is_planned_as_it_is_written(live: Live, tmp_path: Path) -> None:
    said = program("campaign", live, tmp_path)
    assert "'accepted': 2, 'rejected': 1" in said
    assert "rejected: row 4" in said
    assert "people: 2" in said
    assert said.endswith("campaign: pending_approval\n")
