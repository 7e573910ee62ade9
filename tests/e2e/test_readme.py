"""What the README has a newcomer do: the walk by hand runs as it stands, and the demo can begin."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from service.demo import PLANS, _plan
from tests.harness.live import Live

pytestmark = pytest.mark.xdist_group("live")

ROOT = Path(__file__).parents[2]
WALK = re.compile(r"<!-- walk -->\n```sh\n(.*?)```", re.DOTALL)


async def test_the_campaigns_of_the_demo_can_be_submitted(live: Live) -> None:
    async with live.client("operator") as operator:
        for plan in PLANS:
            campaign = await _plan(operator, plan)
            submitted = await operator.post(f"/campaigns/{campaign}/submit", {})
            assert submitted["state"] == "pending_approval"
            await operator.post(f"/campaigns/{campaign}/cancel", {})


def test_the_walk_by_hand_runs_as_it_stands(live: Live, tmp_path: Path) -> None:
    found = WALK.search((ROOT / "README.md").read_text("utf-8"))
    assert found is not None
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "tocsin-data").symlink_to(live.folder)
    done = subprocess.run(
        ["bash", "-c", found[1]],
        cwd=tmp_path,
        env=os.environ | {"TOCSIN_URL": live.summary["url"]},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    problems = re.findall(r'"type": "/problems/(\w+)"', done.stdout)
    assert problems == ["forbidden"], done.stdout
    *_, report, messages = [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    ]
    assert report["target"] == sum(report["states"].values()) > 800
    assert len(messages["items"]) == 3
