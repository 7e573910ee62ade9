"""The client's quick start, as its README shows it, by somebody who has nothing but the client."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.harness.live import Live

README = Path(__file__).parents[2] / "clients/python/README.md"


def test_the_quick_start_works_as_it_is_written(live: Live, tmp_path: Path) -> None:
    found = re.search(
        r"<!-- quick start -->\n```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    program = tmp_path / "first.py"
    program.write_text(found[1], "utf-8")
    told = {
        "TOCSIN_API_URL": live.summary["url"],
        "TOCSIN_API_KEY": live.summary["keys"]["operator"],
    }
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        env=os.environ | told | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "'accepted': 2, 'rejected': 1" in done.stdout
    assert "rejected: row 4" in done.stdout
    assert "people: 2" in done.stdout
    assert done.stdout.endswith("campaign: pending_approval\n")
