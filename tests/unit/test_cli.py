"""The `tocsin` command finds each of its commands, and reads no more than that one needs."""

import os
import subprocess
import sys

import pytest

from service.cli import COMMANDS, main

HEAVY = ("service.api", "service.app", "service.demo", "service.campaigns", "pydantic", "aiohttp")


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
    [["env"], ["--help"], ["import", "--help"], ["ctl", "--help"], ["ctl", "campaigns", "--help"]],
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
