"""The `tocsin` command finds each of its commands, and reads no more than that one needs."""

import argparse
import os
import subprocess
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from service.cli import COMMANDS, main, serve
from service.cli.up import add_up
from service.settings import Settings
from tests.harness.shell import Shell

HEAVY = (
    "service.api",
    "service.app",
    "service.local.demo",
    "service.campaigns",
    "pydantic",
    "aiohttp",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there_and_says_what_it_takes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: tocsin {name} " in capsys.readouterr().out


def test_the_list_of_commands_names_all_and_reads_none() -> None:
    code = (
        "import sys\n"
        "from service.cli import main\n"
        "try:\n    main(['--help'])\n"
        f"finally:\n    print('read', sorted(set(sys.modules) & set({HEAVY!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *shown, read = done.stdout.splitlines()
    assert read == "read []"
    assert {*COMMANDS} <= {line.split()[0] for line in shown if line.strip()}


@pytest.mark.parametrize(
    "words",
    [
        ["env"],
        ["--help"],
        pytest.param(["import", "--help"], marks=pytest.mark.slow),
        ["ctl", "--help"],
        pytest.param(["ctl", "campaigns", "--help"], marks=pytest.mark.slow),
    ],
)
def test_a_command_whose_reader_has_gone_ends_quietly(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "service", *words],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    asks_help = "--help" in words  # which argparse prints as far as it gets, and that is enough
    assert done.returncode in ({0, 141} if asks_help else {141})
    assert done.stderr == b""


@pytest.fixture(params=["here", pytest.param("process", marks=pytest.mark.slow)])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Runs a command in this process, and in one of its own where it may take its time."""
    return Shell("", tmp_path, processes=request.param == "process")


@pytest.mark.parametrize("level", ["info", "Warning", "DEBUG", ""])
async def test_a_command_takes_a_log_level_in_any_case(shell: Shell, level: str) -> None:
    said = await shell.run("env", TOCSIN_LOG_LEVEL=level)
    assert (said.code, said.err) == (0, "")


def test_a_log_level_that_is_none_is_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "env"],
        env={**os.environ, "TOCSIN_LOG_LEVEL": "loud"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin: TOCSIN_LOG_LEVEL: write DEBUG, INFO, WARNING or ERROR")
    assert len(done.stderr.splitlines()) == 1


IN_CHINESE = (
    "TOCSIN_LOG_LEVEL：请写 DEBUG、INFO、WARNING 或 ERROR，也可加上个别日志的级别，"
    "如 INFO,service.dispatch=DEBUG；不能是 'loud'"
)
IN_ENGLISH = (
    "TOCSIN_LOG_LEVEL: write DEBUG, INFO, WARNING or ERROR, or also the level of a logger"
    " as in INFO,service.dispatch=DEBUG; not 'loud'"
)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"TOCSIN_LANGUAGE": "zh"}, IN_CHINESE),
        ({"TOCSIN_LANGUAGE": "", "LC_ALL": "en_GB.UTF-8"}, IN_ENGLISH),
        ({"TOCSIN_LANGUAGE": "", "LC_ALL": "C.UTF-8"}, f"{IN_ENGLISH} / {IN_CHINESE}"),
    ],
    ids=["zh", "en", "both"],
)
async def test_a_refusal_is_in_the_shells_language_or_in_both(
    shell: Shell, told: dict[str, str], said: str
) -> None:
    refused = await shell.run("env", **told, TOCSIN_LOG_LEVEL="loud", PYTHONIOENCODING="utf-8")
    assert (refused.code, refused.err) == (1, f"tocsin: {said}\n")


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"tocsin {version('tocsin')}\n")


@pytest.mark.parametrize("option", ["--protocols", "--lanes"])
def test_an_option_is_taken_by_its_earlier_name_too(option: str) -> None:
    parser = argparse.ArgumentParser()
    add_up(parser)
    assert parser.parse_args([option, "cmpp,smgp"]).protocols == ("cmpp", "smgp")


def test_the_api_does_not_wait_long_for_a_thread_that_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten answers of PostgreSQL a request, and Python's own interval for each."""
    seen: list[float] = []

    def noted(work: Coroutine[Any, Any, None]) -> None:
        seen.append(sys.getswitchinterval())
        work.close()

    before = sys.getswitchinterval()
    monkeypatch.setattr("service.cli.serve.uvloop.run", noted)
    monkeypatch.setattr("service.cli.serve.read_settings", Settings.model_construct)
    try:
        serve._serve(argparse.Namespace())
    finally:
        sys.setswitchinterval(before)
    assert len(seen) == 1
    assert seen[0] <= 0.001 < before
