"""The client at the other end of a TCP connection to the real server."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from tocsin_client import Patience, Tocsin
from tocsin_client.ctl.command import main

from tests.harness.lossy import LossyWire, lossy
from tests.integration.api.conftest import Api
from tests.integration.api.conftest import api as api
from tests.integration.api.conftest import hired as hired
from tests.integration.api.conftest import runtime_settings as runtime_settings
from tests.integration.api.conftest import staff as staff
from tests.integration.api.conftest import template as template

QUICK = Patience(attempts=6, total=20, first=0.02, longest=0.1, timeout=10)

Clients = Callable[[str], AbstractAsyncContextManager[Tocsin]]


@pytest.fixture
async def wire(api: Api) -> AsyncIterator[LossyWire]:
    """A wire to the server, on which answers may be lost."""
    url = api.client.make_url("/")
    assert url.host is not None
    assert url.port is not None
    async with lossy(url.host, url.port) as made:
        yield made


@pytest.fixture
def client(api: Api, wire: LossyWire) -> Clients:
    """A client of somebody of the school's, over the wire."""
    return lambda role: Tocsin(wire.url, api.tokens["school", role], patience=QUICK)


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Shell = Callable[..., Awaitable[Ended]]


@pytest.fixture
def shell(
    api: Api, wire: LossyWire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Runs a command as somebody of the school's, in a thread, as a program of its own would."""
    monkeypatch.setenv("TOCSIN_API_URL", wire.url)
    monkeypatch.setenv("LC_ALL", "C")

    async def run(
        *words: str,
        who: str = "operator",
        stdin: str = "",
        where: str = "school",
        terminal: io.StringIO | None = None,
    ) -> Ended:
        monkeypatch.setenv("TOCSIN_API_KEY", api.tokens[where, who])
        monkeypatch.setattr("sys.stdin", terminal or io.StringIO(stdin))
        try:
            code = await asyncio.to_thread(main, ["--patience", "2", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *capsys.readouterr())

    return run


async def one(shell: Shell, *words: str, **more: str) -> Any:
    """The one value that a command prints as JSON."""
    ended = await shell("--json", *words, **more)
    assert ended.code == 0, ended.err
    (row,) = ended.rows
    return row
