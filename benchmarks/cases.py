"""How fast the largest file of case figures is taken, and goals are read from what is stored.

    python -m benchmarks.cases

50,000 rows of one case each over two years of the county's villages; PostgreSQL is the embedded
one, in a temporary folder, with fsync on. Bounds: 5 s for the file, 50 ms for three goals.
"""

import argparse
import asyncio
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from service.audience.areas.area import packaged_areas
from service.audience.areas.area_store import load_areas
from service.cases import imports, store
from service.cases.case_file import read_case_file
from service.cases.goals import Goal, goal_weeks, stand
from service.cases.imports import CaseRequest
from service.cases.week import IsoWeek, weeks_between
from service.local.embedded import Postgres
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connect

ROWS = 50_000
NOW = datetime(2027, 12, 31, 1, 30, tzinfo=UTC)
WEEKS = weeks_between(IsoWeek(2026, 1), IsoWeek(2027, 52))
GOALS = [
    Goal("G1", "", ("T01", "T02", "T04", "T05"), "Q1", 2027, ("cases", "loss_yuan"), -10),
    Goal("G2", "", None, "Q1", 2027, ("cases", "loss_yuan"), -20),
    Goal("G3", "", None, "YEAR", 2027, ("cases", "loss_yuan"), -30),
]


def made() -> bytes:
    """A file of one case a row."""
    chance = random.Random(341825)  # noqa: S311  # no secret
    villages = [area.code for area in packaged_areas() if area.level in {"village", "community"}]
    rows = [
        f"{chance.choice(WEEKS)},{chance.choice(villages)},T{chance.randint(1, 18):02},"
        f"{chance.randint(0, 900_000)}"
        for _ in range(ROWS)
    ]
    return "\n".join(["week,code,type,loss", *rows]).encode()


async def measure(conn: Connection) -> None:
    """Take the file, then read the goals, and print how long each took."""
    content = made()
    user = await conn.fetchval(
        "WITH d AS (INSERT INTO departments (name, kind) VALUES ('d', 'county') RETURNING id)"
        " INSERT INTO users (department_id, login, name, roles, bootstrap)"
        " SELECT id, 'u', 'u', '{operator}', true FROM d RETURNING id"
    )
    began = time.perf_counter()
    file = read_case_file(lambda: [content])
    read = time.perf_counter()
    request = CaseRequest(WEEKS, IsoWeek(2027, 52), "0", False, False, user, NOW)
    async with conn.transaction():
        taken = await imports.take_file(conn, file, request)
    done = time.perf_counter()
    print(f"{taken.report['rows']['accepted']:,} rows: read {read - began:.2f} s, "
          f"judged and stored {done - read:.2f} s")  # fmt: skip
    for _ in range(3):
        began = time.perf_counter()
        weeks = {week for goal in GOALS for week in goal_weeks(goal, IsoWeek(2027, 13))}
        before = {found for week in weeks if (found := week.year_before)}
        book = await store.read_book(conn, weeks | before)
        loaded = time.perf_counter()
        for goal in GOALS:
            stand(goal, book, IsoWeek(2027, 13))
        ended = time.perf_counter()
        print(f"goals over {len(book.figures):,} cells: read {1000 * (loaded - began):.0f} ms, "
              f"compared {1000 * (ended - loaded):.0f} ms")  # fmt: skip


async def run(url: str) -> None:
    """Measure on a new database."""
    conn = await connect(url)
    try:
        await migrate(conn)
        await load_areas(conn)
        await measure(conn)
    finally:
        await conn.close()


def main() -> None:
    """Start a PostgreSQL, measure, and stop it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(run(server.url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
