"""What the README has a newcomer do: the walk by hand runs as it stands, and the demo can begin."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.local.demo import PLANS, _plan
from tests.harness.live import Live

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

ROOT = Path(__file__).parents[2]
WALK = re.compile(r"<!-- walk -->\n```sh\n(.*?)```", re.DOTALL)


async def test_the_campaigns_of_the_demo_can_be_submitted(live: Live) -> None:
    async with live.client("operator") as operator:
        for plan in PLANS:
            campaign = await _plan(operator, plan)
            submitted = await operator.post(f"/campaigns/{campaign}/submit", {})
            assert submitted["state"] == "pending_approval"
            await operator.post(f"/campaigns/{campaign}/cancel", {})


def _walk(
    folder: Path, live: Live, url: str, edits: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Walk in a folder; `edits`: what of the walk is replaced, and by what."""
    found = WALK.search((ROOT / "README.md").read_text("utf-8"))
    assert found is not None
    walk = found[1]
    for old, new in edits.items():
        assert old in walk
        walk = walk.replace(old, new)
    (folder / "tocsin-data").symlink_to(live.folder)
    return subprocess.run(
        ["bash", "-c", walk],
        cwd=folder,
        env=os.environ | {"TOCSIN_URL": url},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_a_step_that_fails_ends_the_walk_with_what_the_api_said(live: Live, tmp_path: Path) -> None:
    contacts = tmp_path / "tests/data/contacts"
    contacts.mkdir(parents=True)
    (contacts / "elderly-3000.csv").write_text("name,note\n张三,没有号码的一列\n", "utf-8")
    done = _walk(tmp_path, live, live.summary["url"])
    assert done.returncode != 0
    assert "no_phone_column" in done.stderr
    assert "segments" not in done.stdout, "nothing is done after the step that failed"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"-F roster=elderly": ""}, '"fields": {"roster":'),
        ({'{"rule": "年龄': '{"rule": "岁数'}, "/problems/segment_rule"),
        ({"{1..60}": "{1..2}", "done failed": "never failed"}, "this has not come to 'never'"),
    ],
)
def test_a_step_that_is_refused_or_never_ends_ends_the_walk(
    live: Live, tmp_path: Path, edits: dict[str, str], said: str
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    done = _walk(tmp_path, live, live.summary["url"], edits)
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
    assert '"target"' not in done.stdout, "nothing is done after the step that failed"


def test_a_walk_without_a_service_says_so(live: Live, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    done = _walk(tmp_path, live, "http://127.0.0.1:9")
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr


def test_the_walk_by_hand_runs_as_it_stands(live: Live, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    done = _walk(tmp_path, live, live.summary["url"])
    assert done.returncode == 0, done.stderr
    problems = re.findall(r'"type": "/problems/(\w+)"', done.stdout)
    assert problems == ["forbidden"], done.stdout
    *_, report, messages = [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    ]
    assert report["target"] == sum(report["states"].values()) > 800
    assert len(messages["items"]) == 3
