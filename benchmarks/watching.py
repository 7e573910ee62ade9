"""What a poll of a run's figures takes while twenty people watch it.

    python -m benchmarks.watching [TEXTS] [--rounds N]

A run with so many texts, asked over HTTP by twenty watchers, each every two seconds. Rounds take
turns: in one whoever finds the count of the ledger due makes it, in the other it is made behind
whoever asks. GET /me is asked in the same seconds: what a busy machine slows down, it slows down
too, so compare ratios.
"""

# a benchmark prints

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from benchmarks.audience import KEYRING, NOW, county
from benchmarks.importing import prepare
from service import shared_counts
from service.accounts.people.store import get_user
from service.api.routes import PREFIX
from service.app import create_app
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres, Valkey
from service.queue import open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import LONG_SECONDS, open_pool
from tests.factories import make_token
from tests.harness.clocks import HandClock
from tests.harness.ledger import add_run

WATCHERS = 20
EVERY_SECONDS = 2.0
SECONDS = 20.0
ROUNDS = {"by whoever asks": 0.0, "behind them": shared_counts.LATE_SECONDS}
"""Who makes a count that is due: so long it is answered although it is due."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server, a run, and the key of somebody who watches it."""

    server: TestServer
    run: UUID
    token: str

    async def ask(self, session: ClientSession, path: str) -> float:
        """How long an answer takes, in milliseconds."""
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {self.token}"}
        async with session.get(self.server.make_url(PREFIX + path), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        return (time.perf_counter() - began) * 1e3


@contextmanager
def own_servers() -> Iterator[tuple[Postgres, Valkey]]:
    """A PostgreSQL with an empty database and a Valkey, in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        for name in ("postgres", "valkey"):
            (Path(folder) / name).mkdir(mode=0o700)
        postgres, valkey = Postgres(Path(folder) / "postgres"), Valkey(Path(folder) / "valkey")
        postgres.start()
        valkey.start()
        try:
            postgres.create_database()
            yield postgres, valkey
        finally:
            valkey.stop()
            postgres.stop()


@asynccontextmanager
async def serving(postgres: Postgres, valkey: Valkey) -> AsyncIterator[TestServer]:
    """The API and the console over HTTP, with as many requests as anybody likes."""
    settings = Settings(
        database_url=postgres.url,
        redis_url=valkey.url,
        key_file=Path("/nowhere"),
        key_requests=1_000_000,
        department_requests=1_000_000,
    )
    async with (
        open_pool(postgres.url, size=10) as pool,
        Redis.from_url(valkey.url) as redis,
        open_queue(valkey.url) as queue,
    ):
        server = TestServer(
            create_app(Runtime(settings, HandClock(NOW), KEYRING, pool, redis, queue))
        )
        async with server:
            yield server


@asynccontextmanager
async def watched(postgres: Postgres, valkey: Valkey, texts: int) -> AsyncIterator[Watched]:
    """A run with about so many texts, on a server."""
    async with county(postgres.url, texts) as (pool, _, scene):
        async with pool.acquire() as conn:
            run = await add_run(conn, scene, NOW)
            operator = await get_user(conn, scene.operator, None)
            token = await make_token(conn, KEYRING, operator, NOW)
        await expand_run(pool, run, NOW)
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            rows = await conn.fetchval("SELECT count(*) FROM messages WHERE run_id = $1", run)
            await conn.execute("VACUUM ANALYZE")
    print(f"{rows:,} texts, {WATCHERS} watchers")
    async with serving(postgres, valkey) as server:
        yield Watched(server, run, token)


async def one_round(on: Watched) -> dict[str, list[float]]:
    """The milliseconds of each answer, by what was asked."""
    took: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + SECONDS

    async def again(session: ClientSession, path: str) -> None:
        await asyncio.sleep(random.uniform(0, EVERY_SECONDS))  # noqa: S311  # no secrets
        while time.monotonic() < end:
            took[path.rpartition("/")[2]].append(await on.ask(session, path))
            await asyncio.sleep(EVERY_SECONDS)

    async with ClientSession() as session:
        await on.ask(session, f"/runs/{on.run}/progress")  # the first counts in any case
        watching = [again(session, f"/runs/{on.run}/progress") for _ in range(WATCHERS)]
        await asyncio.gather(*watching, *(again(session, "/me") for _ in range(WATCHERS)))
    return took


def show(name: str, took: dict[str, list[float]]) -> None:
    """One line."""
    polls, beside = sorted(took["progress"]), sorted(took["me"])
    shares = (0.5, 0.95, 0.99)
    values, idle = ([found[int(s * len(found))] for s in shares] for found in (polls, beside))
    print(
        f"  {name:<16} {len(polls):5,} polls  p50, p95, p99, most "
        + ", ".join(f"{value:.0f}" for value in [*values, polls[-1]])
        + " ms; to GET /me "
        + ", ".join(f"{value / other:.1f}" for value, other in zip(values, idle, strict=True))
    )


async def measure(postgres: Postgres, valkey: Valkey, texts: int, rounds: int) -> None:
    """All rounds, then both ways together."""
    await prepare(postgres.url)
    found: dict[str, dict[str, list[float]]] = {name: {"progress": [], "me": []} for name in ROUNDS}
    async with watched(postgres, valkey, texts) as on:
        for _ in range(rounds):
            for name, late in ROUNDS.items():
                with patch.object(shared_counts, "LATE_SECONDS", late):
                    for path, took in (await one_round(on)).items():
                        found[name][path] += took
    for name in ROUNDS:
        show(name, found[name])


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=int, nargs="?", default=118_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with own_servers() as (postgres, valkey):
        asyncio.run(measure(postgres, valkey, asked.texts, asked.rounds))


if __name__ == "__main__":
    main()
