"""A large ledger written at once and in stretches, in turns; and what a person and a text take.

    python -m benchmarks.stretches [--people N] [--stretch N] [--rounds N]

One department as in `benchmarks.audience`; the embedded PostgreSQL with fsync on. Of each round the
same people are written once in one transaction and once in stretches. Beside the time stand the
longest transaction (so long a pause waits, and no row of any table is cleaned up), the log written,
what went through temporary files, and the most memory of the session's process. Then the octets of
the tables with their indexes, a person and a text, for docs/growing.md.
"""

# a benchmark prints

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from benchmarks.audience import KEYRING, NOW, RULES, fill
from benchmarks.importing import prepare
from service.audience.areas.area_store import load_areas
from service.audience.segments.facts import freshen_waiting
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres
from service.storage.postgres import LONG_SECONDS, Connection, one, open_pool
from tests.harness.ledger import Scene, add_channel, add_run, make_scene

MEBI = 1 << 20
FIGURES = "SELECT pg_current_wal_insert_lsn() - '0/0', pg_backend_pid()"
TEMPORARY = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"

PARTS = """
    INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
    SELECT channel_id, decode(md5(no::text), 'hex'), phone_hash, run_id, no, 1, 1, now()
    FROM messages
"""
RECENT = """
    INSERT INTO recent_texts (phone_hash, class, at, runs, texts)
    SELECT phone_hash, 'public_interest', array_fill(now(), ARRAY[6]),
           array_fill(gen_random_uuid(), ARRAY[6]), array_fill(1::bigint, ARRAY[6])
    FROM contacts
"""
"""As many texts as the caps let through in a month."""


@dataclass(slots=True)
class Written:
    """What one ledger took. longest: seconds of its longest transaction; the rest in octets."""

    seconds: float
    longest: float
    log: int
    temporary: int
    memory: int


@contextmanager
def _timed_transactions() -> Iterator[list[float]]:
    """The instants at which a transaction of an expansion has begun to work."""
    begun: list[float] = []
    lock = expand_store.lock_expanding_run

    async def locked(*arguments: object) -> object:
        begun.append(time.perf_counter())
        return await lock(*arguments)  # type: ignore[arg-type]  # as they came

    with mock.patch.object(expand_store, "lock_expanding_run", locked):
        yield begun


def _forget_most(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _most(pid: int) -> int:
    """The most octets that a process has had since; what it read of the shared memory is in it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def write(url: str, scene: Scene, people: int, stretch: int) -> Written:
    """One ledger of so many people, over a session of its own."""
    async with open_pool(url, size=1) as pool:
        async with pool.acquire() as conn:
            run = await add_run(conn, scene, NOW)
            await conn.execute(
                "UPDATE runs SET rule = $2, baseline = $3 WHERE id = $1", run, RULES[0], people
            )
            await conn.execute("CHECKPOINT")  # else one of both pays for whole pages in the log
            log, pid = one(await conn.fetchrow(FIGURES))
            temporary = await conn.fetchval(TEMPORARY)
        _forget_most(pid)
        began = time.perf_counter()
        with _timed_transactions() as begun:
            assert await expand_run(pool, run, NOW, stretch_people=stretch) is not None
        ended = time.perf_counter()
        memory = _most(pid)
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            after, _ = one(await conn.fetchrow(FIGURES))
            await conn.execute("SELECT pg_stat_force_next_flush()")
            used = await conn.fetchval(TEMPORARY) - temporary
    ends = [*begun[1:], ended]
    longest = max(end - start for start, end in zip(begun, ends, strict=True))
    return Written(ended - began, longest, int(after - log), int(used), memory)


async def octets(conn: Connection) -> None:
    """What a row of each table takes with its indexes, as the tables are now."""
    await conn.execute("SET transaction_timeout = 0")
    for statement in (PARTS, RECENT):
        await conn.execute(statement, timeout=LONG_SECONDS)
    await conn.execute("ANALYZE", timeout=LONG_SECONDS)
    people = await conn.fetchval("SELECT count(*) FROM contacts")
    texts = await conn.fetchval("SELECT count(*) FROM messages")
    for table, rows in (
        *(("contacts", people), ("links", people), ("recent_texts", people)),
        *(("person_facts", people), ("said_entries", people), ("person_kinds", people)),
        *(("messages", texts), ("parts", texts), ("slices", texts)),
    ):
        size = await conn.fetchval("SELECT pg_total_relation_size($1::regclass)", table)
        of = "person" if rows == people else "text"
        print(f"  {table:<13} {size / rows:8.0f} octets a {of}")


async def measure(url: str, people: int, stretch: int, rounds: int) -> None:
    """All rounds, in turns."""
    async with open_pool(url, size=1) as pool, pool.acquire(seconds=LONG_SECONDS) as conn:
        await load_areas(conn)
        scene = await make_scene(conn, NOW)
        await add_channel(conn, KEYRING, 1, NOW)
        await fill(conn, scene, people)
    async with open_pool(url, size=1) as pool:
        await freshen_waiting(pool)
    print(f"{people:,} people; in stretches of {stretch:,}")
    for _ in range(rounds):
        for name, size in (("at once", people), ("in stretches", stretch)):
            spent = await write(url, scene, people, size)
            print(
                f"  {name:<13} {spent.seconds:7.2f} s   longest transaction {spent.longest:7.2f} s"
                f"   log {spent.log / MEBI:6.0f} MiB"
                f"   temporary files {spent.temporary / MEBI:6.0f} MiB"
                f"   memory {spent.memory / MEBI:5.0f} MiB"
            )
    async with open_pool(url, size=1) as pool, pool.acquire(seconds=LONG_SECONDS) as conn:
        await octets(conn)


def main() -> None:
    """Measure in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--stretch", type=int, default=250_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            asyncio.run(measure(server.url, asked.people, asked.stretch, asked.rounds))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
