"""`tocsin simulate` as a person types it, in a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from service.cli import main
from service.local.embedded import free_port
from tests.harness.simulated import ACCOUNT, SECRET
from tests.harness.waiting import until
from tests.integration.simulator.raw import logged_in


@asynccontextmanager
async def started(*flags: str) -> AsyncIterator[str]:
    """`tocsin simulate` with an admin API; its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "simulate", "--admin-port", str(port), *flags
    )
    admin = f"http://127.0.0.1:{port}"
    try:
        async with ClientSession(admin) as client:

            async def is_up() -> bool:
                assert process.returncode is None
                return await answers(client)

            await until(is_up)
        yield admin
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answers(client: ClientSession) -> bool:
    try:
        async with client.get("/stats") as answer:
            return answer.status == 200
    except OSError:
        return False


async def run(*arguments: str) -> Any:
    """What `tocsin simulate …` prints, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "simulate", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return (
        [json.loads(line) for line in output.splitlines()]
        if "--list" in arguments
        else (json.loads(output))
    )


@dataclass(frozen=True)
class Elsewhere:
    """A carrier in another process."""

    ports: dict[str, int]


@pytest.mark.slow
async def test_one_is_run_and_steered_from_the_command_line(tmp_path: Path) -> None:
    port, journal = free_port(), str(tmp_path / "journal")
    flags = ["--cmpp", str(port), "--account", f"{ACCOUNT}:{SECRET}", "--journal", journal]
    async with started(*flags, "--seed", "1", "--max-delay", "3600", "--fault", "too_fast=1") as at:
        carrier = Elsewhere({"cmpp": port})
        async with logged_in(carrier) as client:
            client.submit(2, "19790000001")
            assert await client.answer() == (2, 8)
            changed = await run("faults", "--admin", at, "too_fast=0", "daily_limit=2")
            assert (changed["too_fast"], changed["daily_limit"]) == (0, 2)
            for sequence in (3, 4, 5):
                client.submit(sequence, "19790000001")
            assert [await client.answer() for _ in range(3)] == [(3, 0), (4, 0), (5, 77)]
            restored = await run("faults", "--admin", at, "--reset")
            assert (restored["too_fast"], restored["daily_limit"]) == (1, None)

            to = ["--phone", "+8619790000077", "--to", "10690000"]
            assert await run("mo", "--admin", at, *to, "退订", "R") == {"parts": 2}
            assert (await client.deliver()).msg_content == "退订".encode("utf-16-be")
            assert (await run("stats", "--admin", at))["accounts"][0]["accepted"] == 2
            assert (await run("audit", "--admin", at))["received_twice"] == 1
            assert await run("disconnect", "--admin", at) == {"cut": 1}
    assert (await run("audit", journal))["parts"] == 2
    listed = await run("audit", journal, "--list", "--phone", "19790000001")
    assert [entry["phone"] for entry in listed] == ["+8619790000001"] * 2
    assert await run("audit", journal, "--list", "--phone", "19790000002") == []


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--account", "a:b"], "nothing is served"),
        (["--cmpp", "0"], "accounts"),
        (["--cmpp", "0", "--account", "nosecret"], "NAME:SECRET"),
        (["--cmpp", "0", "--account", "a:b", "--account", "a:c"], "same name"),
        (["--cmpp", "70000", "--account", "a:b"], "cmpp_port"),
        (["--cmpp", "0", "--account", "a:b", "--fault", "too_fast=2"], "faults.too_fast"),
        (["--cmpp", "0", "--account", "a:b", "--fault", "too_fast"], "NAME=VALUE"),
        (["--cmpp", "0", "--account", "a:b", "--fault", "slow=1"], "faults.slow"),
        (["--config", "/nowhere/simulator.json"], "/nowhere/simulator.json"),
        (["stats", "--admin", "http://127.0.0.1:1"], "--admin-port"),
        (["faults", "--admin", "nowhere", "x=1"], "no simulator"),
        (["audit", "/nowhere/journal"], "cannot be read"),
        (["audit", "--admin", "http://127.0.0.1:1", "--list"], "--list"),
        (["audit", "/nowhere/journal", "--phone", "x"], "--phone"),
    ],
)
def test_bad_input_is_one_plain_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("logging_as_before")
def test_a_secret_is_not_told_in_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "simulator.json"
    path.write_text(json.dumps({"accounts": [{"account": "", "secret": "hush-hush"}]}))
    assert main(["simulate", "--config", str(path)]) == 1
    assert "hush-hush" not in capsys.readouterr().err


@pytest.mark.usefixtures("logging_as_before")
def test_a_taken_port_is_an_error_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["simulate", "--cmpp", port, "--account", "a:b"]) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err
