"""A system with all that figures tell of: texts, receipts, backups, a standby, a certificate."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.request import Request, urlopen

from service.local.embedded import Postgres, free_port
from tests.harness.backups import BackupPlace
from tests.harness.certificates import make
from tests.harness.live import MORNING, Live
from tests.harness.promotion import add_standby

A_KEY_ENDS = """
    UPDATE keys SET expires_at = '2027-12-31' WHERE id = (SELECT min(id::text)::uuid FROM keys)
    RETURNING true
"""
"""As keys of programs do; those of the first people have no end."""


@dataclass(frozen=True)
class Watched:
    """It runs. processes: the ports on which its workers show their figures; reader: that of a
    second API, which reads the standby.
    """

    live: Live
    place: BackupPlace
    processes: list[int]
    reader: int

    @property
    def apis(self) -> list[int]:
        """The ports of its APIs."""
        return [int(self.live.summary["url"].rpartition(":")[2]), self.reader]

    @property
    def key(self) -> str:
        """Whose key the scraper has."""
        return str(self.live.summary["keys"]["operator"])

    async def work(self) -> int:
        """Import the county's people and send a text to all; so many are to get it."""
        await self.live.people((files("service.local.demo") / "county.csv").read_bytes())
        await self.live.query(A_KEY_ENDS)
        sent = await self.live.launch()
        await sent.handed_off()
        return await sent.target()

    def visit(self) -> None:
        """Ask the API and the console for something, as people do."""
        url, bearer = self.live.summary["url"], {"Authorization": f"Bearer {self.key}"}
        for path in ("/api/v1/channels", "/login"):
            with urlopen(Request(url + path, headers=bearer), timeout=30) as answer:
                answer.read()

    def copy(self) -> None:
        """Make a base backup, beside those that are made at night."""
        made = self.place.run("backup", "now", "--full", **self.place.settings_of(self.live))
        assert made.returncode == 0, made.stderr


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """`tocsin up` with backups, and beside it a standby and a worker that goes by the real clock:
    that of the others is simulated, so that the day has just begun, and nothing is held against it.
    """
    place = BackupPlace.make(folder, folder / "data")
    first = free_port()
    live = Live(
        folder / "data",
        *("--clock", MORNING, "--tps", "200", "--max-delay", "3", "--profile", "carrier"),
        **place.environment(),
        TOCSIN_WATCH_PORT=str(first),
        TOCSIN_WATCH_CERTIFICATES=str(make(folder).server),
    )
    live.start()
    with ExitStack() as stack:
        stack.callback(live.stop)
        ports = [*live.summary["watched"].values()]
        standby = stack.enter_context(_standby(folder, live))
        ports.append(stack.enter_context(_by_the_real_clock(folder, live)))
        yield Watched(live, place, ports, stack.enter_context(_reading(folder, live, standby)))


@contextmanager
def _standby(folder: Path, live: Live) -> Iterator[Postgres]:
    primary = Postgres(live.folder / "postgres")
    lines = (primary.folder / "data/postmaster.pid").read_text().splitlines()
    primary.port = int(lines[3])
    standby = add_standby(primary, folder / "standby")
    try:
        yield standby
    finally:
        standby.stop()


@contextmanager
def _by_the_real_clock(folder: Path, live: Live) -> Iterator[int]:
    port = free_port()
    given = _settings(folder, live) | {"TOCSIN_WATCH_PORT": str(port)}
    words = [sys.executable, "-m", "workers", "webhooks"]
    with _running(words, given, folder / "webhooks.log"):
        yield port


@contextmanager
def _reading(folder: Path, live: Live, standby: Postgres) -> Iterator[int]:
    port = free_port()
    read = {"TOCSIN_READ_URL": standby.service_url, "TOCSIN_API_PORT": str(port)}
    words = [sys.executable, "-m", "service", "serve"]
    with _running(words, _settings(folder, live) | read, folder / "reader.log"):
        yield port


def _settings(folder: Path, live: Live) -> dict[str, str]:
    return os.environ | {
        "TOCSIN_DATABASE_URL": live.summary["database_url"],
        "TOCSIN_REDIS_URL": live.summary["redis_url"],
        "TOCSIN_KEY_FILE": str(folder / "data.key"),
    }


@contextmanager
def _running(words: list[str], given: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=given, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def work_on(system: Watched) -> int:
    """`Watched.work` for a program without a loop."""
    return asyncio.run(system.work())
