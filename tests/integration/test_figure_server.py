"""The figures of a process that serves no API, over HTTP."""

import asyncio
import logging
import socket
from pathlib import Path

import pytest
from aiohttp import ClientSession

from service.figures import ProcessFigures
from service.liveness.figure_server import figures_served
from service.liveness.turns import LOOP, START, LoopTurns
from service.local.embedded import Valkey, free_port, write_private
from service.settings import Settings
from tests.harness.processes import running

KEYLESS = "the process has no key of the API, and whoever asks needs none"


@pytest.fixture
def settings(default_settings: Settings) -> Settings:
    return default_settings.model_copy(update={"watch_port": free_port()})


async def asked(port: int, path: str) -> tuple[int, str]:
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_without_a_port_nothing_is_served(default_settings: Settings) -> None:
    async with figures_served(default_settings, ProcessFigures(), LoopTurns()) as port:
        assert port == 0


async def test_loops_are_shown_with_their_age_and_the_late_are_named(settings: Settings) -> None:
    turns = LoopTurns()
    turns.note(LOOP)
    turns.note(START)
    async with figures_served(settings, ProcessFigures(), turns) as port:
        assert await asked(port, "/healthz") == (503, '{"status": "starting", "late": []}')
        turns.started()
        assert await asked(port, "/healthz") == (200, '{"status": "ok", "late": []}')
        turns.note("queue of expand", ago=settings.late_seconds + 1.0)
        late = '{"status": "late", "late": ["queue of expand"]}'
        assert await asked(port, "/healthz") == (503, late)
        status, text = await asked(port, "/metrics")
        assert status == 200
        assert f'tocsin_loop_ago_seconds{{loop="{LOOP}"}}' in text
        assert "process_resident_memory_bytes" in text
        assert (await asked(port, "/api/v1/channels"))[0] == 404


async def test_a_port_that_is_taken_ends_no_process(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as other, caplog.at_level(logging.WARNING):
        other.bind(("127.0.0.1", settings.watch_port))
        other.listen()
        async with figures_served(settings, ProcessFigures(), LoopTurns()) as port:
            assert port == 0
    (line,) = caplog.records
    assert line.message == "nothing is shown on TOCSIN_WATCH_PORT"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("channel",), ("delivery", "expand")], ids=" ".join)
async def test_a_process_shows_its_figures(
    database_url: str, valkey: Valkey, tmp_path: Path, words: tuple[str, ...]
) -> None:
    write_private(tmp_path / "key", "01" * 32)
    port = free_port()
    environment = {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
        "TOCSIN_WATCH_PORT": str(port),
    }
    async with running(tmp_path / "process", environment, *words) as process:
        await process.starts()
        async with asyncio.timeout(30):
            _, text = await asked(port, "/metrics")
            status, body = await asked(port, "/healthz")
    assert (status, body) == (200, '{"status": "ok", "late": []}')
    for word in words:
        assert f'tocsin_loop_ago_seconds{{loop="queue of {word}"}}' in text, KEYLESS
    assert "tocsin_disk_used_ratio" in text
