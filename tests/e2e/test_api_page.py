"""Every command of docs/api.md runs as it stands, in its order, and answers what the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.local.embedded import free_port
from tests.harness.live import Live

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

PAGE = Path(__file__).parents[2] / "docs/api.md"
NEEDED = ("bash", "curl", "openssl", "python3")
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:^```\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
ANSWER = re.compile(r"([1-5]\d\d) ?(.*)")
MORE = "…"
END = "\x1e"


@dataclass(frozen=True)
class Block:
    """Commands, and the lines that they answer."""

    commands: str
    answers: list[str]


def blocks() -> list[Block]:
    found = BLOCK.findall(PAGE.read_text("utf-8"))
    return [Block(commands, answers.splitlines()) for commands, answers in found]


def read(shown: str) -> Any:
    """JSON with an … for whatever may stand there: a value, more members, more items, letters."""
    text = re.sub(r"([{,] ?)…(?= ?})", rf'\1"{MORE}": 0', shown)
    return json.loads(re.sub(r"(?<=[\[ ])…(?=[\],}])", f'"{MORE}"', text))


def differs(shown: Any, told: Any, at: str = "") -> str | None:  # noqa: PLR0911  # a kind each
    """Where an answer is not what the page shows; None: it is."""
    if shown == MORE:
        return None
    if type(shown) is not type(told):
        return f"{at}: {told!r}"
    if isinstance(shown, str):
        pattern = re.escape(shown).replace(re.escape(MORE), ".*")
        return None if re.fullmatch(pattern, told, re.DOTALL) else f"{at}: {told!r}"
    if isinstance(shown, list) and MORE in shown:
        missing = [item for item in shown if not any(not differs(item, one) for one in told)]
        return f"{at}: no {missing} in {told}" if told and missing else None
    if isinstance(shown, list):
        shown, told = dict(enumerate(shown)), dict(enumerate(told))
    if not isinstance(shown, dict):
        return None if shown == told else f"{at}: {told!r}"
    members = shown.keys() - {MORE}
    if members - told.keys() or (MORE not in shown and told.keys() - members):
        return f"{at}: there is {sorted(told)}"
    return next(filter(None, (differs(shown[m], told[m], f"{at}.{m}") for m in members)), None)


def line_differs(shown: str, told: str) -> str | None:
    """The same of a line: a status and JSON, or anything else as it stands."""
    if (status := ANSWER.fullmatch(shown)) is None:
        return differs(read(shown), json.loads(told)) if shown[0] == "{" else differs(shown, told)
    answered = ANSWER.fullmatch(told)
    if answered is None or status[1] != answered[1]:
        return told
    if not status[2] or not answered[2].strip():
        return None if status[2] == answered[2].strip() else told
    return differs(read(status[2]), json.loads(answered[2]))


def ran(live: Live, folder: Path) -> tuple[list[list[str]], str]:
    """The lines that each block of the page printed, and what went to standard error."""
    (folder / "tocsin-data").symlink_to(live.folder)
    script = "".join(f"{block.commands}\nprintf '{END}'\n" for block in blocks())
    told = {
        "TOCSIN_URL": live.summary["url"],
        "TOCSIN_DATABASE_URL": live.summary["database_url"],
        "TOCSIN_REDIS_URL": live.summary["redis_url"],
        "TOCSIN_KEY_FILE": str(live.folder.with_suffix(".key")),
        "RECEIVER_PORT": str(free_port()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | told,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return [part.splitlines() for part in done.stdout.split(END)[:-1]], done.stderr


def test_the_page_answers_as_it_says(live: Live, tmp_path: Path) -> None:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    assert not missing, f"the page is run with {missing}: install them"
    printed, errors = ran(live, tmp_path)
    wrong = []
    for block, lines in zip(blocks(), printed, strict=True):
        told = [line for line in lines if line.strip()]
        for shown in block.answers:
            # A CSV answer has more lines than the page shows: the next that is as it says.
            while told and not ANSWER.match(shown) and line_differs(shown, told[0]):
                told.pop(0)
            why = line_differs(shown, told.pop(0)) if told else "nothing"
            if why:
                wrong.append(f"{block.commands}\nanswers {shown}\nnot     {why}")
                break
        else:
            if any(ANSWER.match(line) for line in told):
                wrong.append(f"{block.commands}\nalso answers {told}")
    assert not wrong, "\n\n".join([*wrong[:3], errors])


@pytest.mark.parametrize(
    ("shown", "told", "same"),
    [
        ('{"a": 1}', {"a": 1}, True),
        ('{"a": 1}', {"a": 1, "b": 2}, False),
        ('{"a": 1, …}', {"a": 1, "b": 2}, True),
        ('{"a": …, …}', {"b": 2}, False),
        ('{"a": [{"b": 1, …}, …]}', {"a": [{"b": 2}, {"b": 1, "c": 0}]}, True),
        ('{"a": ["x", …]}', {"a": ["y"]}, False),
        ('{"a": […], "b": {…}}', {"a": [], "b": {}}, True),
        ('{"a": "tk_…"}', {"a": "tk_x"}, True),
        ('{"a": "tk_…"}', {"a": "ts_x"}, False),
        ('{"a": null}', {"a": False}, False),
        ('{"a": []}', {"a": [1]}, False),
    ],
)
def test_what_an_answer_of_the_page_means(shown: str, told: Any, same: bool) -> None:
    assert (differs(read(shown), told) is None) is same
