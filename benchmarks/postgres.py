"""PostgreSQL by itself: what it can do with the lives of messages, and where its time goes.

Run as `python -m benchmarks.postgres [MESSAGES]`: the same message lives that a broadcast writes
(a row, its mark, its result, its receipt), in the barest table that could hold them, in batches
of 1,000, by one client and by two. It is the limit that the machine sets to any ledger.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Self

from benchmarks.process import PROC, TICKS, processor_seconds
from service.local.embedded import Postgres, prepare_folder
from service.storage.postgres import OwnConnection, connect

BATCH = 1000
MESSAGES = 100_000
SHOWN = 18
STATEMENT_CHARACTERS = 100

TABLE = """
    CREATE TABLE lives (
        id bigint PRIMARY KEY, phone bytea NOT NULL, state smallint NOT NULL,
        ref bytea, marked_at timestamptz, submitted_at timestamptz, final_at timestamptz
    ) WITH (fillfactor = 50)
"""
INSERT = (
    "INSERT INTO lives (id, phone, state) SELECT n, p, 0 FROM unnest($1::bigint[], $2::bytea[]) "
    "AS u (n, p)"
)
MARK = "UPDATE lives SET state = 1, marked_at = now() WHERE id = ANY ($1::bigint[]) AND state = 0"
RESULT = (
    "UPDATE lives SET state = 2, submitted_at = now(), ref = u.r "
    "FROM unnest($1::bigint[], $2::bytea[]) AS u (n, r) WHERE id = u.n AND state = 1"
)
RECEIPT = "UPDATE lives SET state = 3, final_at = now() WHERE id = ANY ($1::bigint[]) AND state = 2"


class Database:
    """A PostgreSQL of our own for as long as the block runs; with fsync, as in production.

    instrumented: with pg_stat_statements, which costs a little.
    """

    def __init__(self, folder: Path, *, instrumented: bool = False) -> None:
        self._server = Postgres(prepare_folder(folder))
        self._settings = folder / "data" / "postgresql.auto.conf"
        self._instrumented = instrumented

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    @property
    def pid(self) -> int:
        """Its postmaster."""
        return self._server.pid

    def __enter__(self) -> Self:
        self._server.start()
        if self._instrumented:
            self._server.stop()
            with self._settings.open("a", encoding="utf-8") as settings:
                settings.write("shared_preload_libraries = 'pg_stat_statements'\n")
                settings.write("pg_stat_statements.track_planning = on\n")
            self._server.start()
        self._server.create_database()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def seconds_by_kind(postmaster: int) -> dict[str, float]:
    """The processor time of PostgreSQL's processes that live now, by kind."""
    used: dict[str, float] = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            title = (path.parent / "cmdline").read_text().partition("\0")[0]
        except OSError:  # it has ended meanwhile
            continue
        if fields[1] == str(postmaster):
            kind = title.removeprefix("postgres: ")
            kind = "clients" if kind.startswith("tocsin ") else kind.strip()
            used[kind] = used.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS
    return used


async def statement_lines(conn: OwnConnection, messages: int) -> list[str]:
    """What the statements took by PostgreSQL's own account: waiting included, commits apart."""
    rows = await conn.fetch(
        """
        SELECT calls, 1000 * (total_exec_time + total_plan_time) AS micros,
               1000 * total_plan_time AS planning, regexp_replace(query, '\\s+', ' ', 'g') AS query
        FROM pg_stat_statements ORDER BY micros DESC
        """
    )
    total = sum(row["micros"] for row in rows) / messages
    found = ["", f"statements: {total:.1f} µs a message by PostgreSQL's account, waiting included"]
    found += [
        f"    {row['micros'] / messages:7.2f} µs ({row['planning'] / messages:5.2f} planning)"
        f"  {1000 * row['calls'] / messages:7.1f} calls per 1,000"
        f"  {row['query'][:STATEMENT_CHARACTERS]}"
        for row in rows[:SHOWN]
    ]
    return found


async def _lives(url: str, first: int, messages: int) -> None:
    """So many whole lives, one client."""
    conn = await connect(url)
    try:
        for start in range(first, first + messages, BATCH):
            ids = list(range(start, min(start + BATCH, first + messages)))
            phones = [number.to_bytes(40, "big") for number in ids]
            refs = [number.to_bytes(8, "big") for number in ids]
            await conn.execute(INSERT, ids, phones)
            await conn.execute(MARK, ids)
            await conn.execute(RESULT, ids, refs)
            await conn.execute(RECEIPT, ids)
    finally:
        await conn.close()


async def measure(clients: int, messages: int = MESSAGES) -> tuple[float, float]:
    """Lives a second, and the microseconds of PostgreSQL's processor for each."""
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name,
        Database(Path(name) / "postgres") as database,
    ):
        conn = await connect(database.url)
        await conn.execute(TABLE)
        await conn.close()
        used, started = processor_seconds(database.pid), time.monotonic()
        share = messages // clients
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(_lives(database.url, client * share, share))
        seconds = time.monotonic() - started
        used = processor_seconds(database.pid) - used
    return share * clients / seconds, 1e6 * used / (share * clients)


def main() -> None:
    """Measure one client and two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", type=int, nargs="?", default=MESSAGES)
    messages = parser.parse_args().messages
    for clients in (1, 2):
        rate, micros = asyncio.run(measure(clients, messages))
        print(f"{clients} client{'s' * (clients > 1)}: {rate:9,.0f} lives/s  {micros:6.1f} µs each")


if __name__ == "__main__":
    main()
