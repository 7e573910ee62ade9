"""How fast suggestions are read beside three years of weekly figures.

    python -m benchmarks.suggestions [PEOPLE] [--province]

156 weeks of figures and of their lists, 4.5 cases a week over the villages of the packaged county;
with --province 320 cases a week, over 18,334 villages of 104 counties. One department has so many
people, and sent nothing. The embedded PostgreSQL with fsync on. Printed are the first reading of a
process, the middle and p95 of thirty, and the parts of one.
"""

# a benchmark prints

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from benchmarks.audience import KEYRING, fill
from benchmarks.importing import prepare
from benchmarks.province_coverage import province
from service.accounts.people.store import get_user
from service.api.cases import suggestions
from service.api.cases.suggestions import SuggestionsQuery
from service.api.http.call import Call
from service.audience.areas.area_store import load_areas, read_area_tree
from service.cases import imports, store
from service.cases.case_file import read_case_file
from service.cases.imports import CaseRequest
from service.cases.week import IsoWeek, weeks_between
from service.local.embedded import Postgres
from service.reports.suggestions import suggestion_store
from service.reports.suggestions.suggestions import renew, rises_by_chance, stand_of
from service.storage.postgres import LONG_SECONDS, Connection, open_pool, transaction
from tests.harness.ledger import Scene, add_channel, make_scene

Found = TypeVar("Found")

WEEKS = weeks_between(IsoWeek(2024, 1), IsoWeek(2026, 52))
LAST = datetime(2026, 12, 29, 1, 30, tzinfo=UTC)
TIMES = 30


async def load(conn: Connection, rate: float, *, in_province: bool) -> Scene:
    """The areas, and three years of figures with their lists."""
    await load_areas(conn)
    if in_province:
        await conn.copy_records_to_table(
            "areas",
            records=[(a.code, a.name, a.level, a.parent or None) for a in province(18_334)],
            columns=["code", "name", "level", "parent_code"],
        )
    scene = await make_scene(conn, LAST)
    await add_channel(conn, KEYRING, 1, LAST)
    tree = await read_area_tree(conn)
    chance = random.Random(341825)  # noqa: S311  # no secret
    villages = [a.code for a in tree.areas.values() if a.level in {"village", "community"}]
    rows = [
        f"{chance.choice(WEEKS)},{chance.choice(villages)},T{chance.randint(1, 18):02},"
        f"{chance.randint(0, 900_000)}"
        for _ in range(int(rate * len(WEEKS)))
    ]
    began = time.perf_counter()
    content = "\n".join(["week,code,type,loss", *rows]).encode()
    file = read_case_file(lambda: [content])
    request = CaseRequest(WEEKS, WEEKS[-1], "0", False, False, scene.operator, LAST)
    await imports.take_file(conn, file, request)
    taken = time.perf_counter()
    await renew(conn, WEEKS, LAST, ZoneInfo("Asia/Shanghai"))
    lists = await conn.fetchval("SELECT count(*) FROM suggestions")
    print(f"  {len(rows):,} cases taken in {taken - began:.1f} s, {lists:,} suggestions"
          f" made in {time.perf_counter() - taken:.1f} s")  # fmt: skip
    return scene


async def timed(name: str, reading: Awaitable[Found]) -> Found:
    """One part, and how long it took."""
    began = time.perf_counter()
    found = await reading
    print(f"    {name}: {1000 * (time.perf_counter() - began):.0f} ms")
    return found


async def measure(url: str, people: int, rate: float, *, in_province: bool) -> None:
    """Read the list of the last week."""
    async with open_pool(url, size=2) as pool:
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            scene = await load(conn, rate, in_province=in_province)
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            await fill(conn, scene, people)
            await conn.execute("UPDATE departments SET kind = 'police'")
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            user = await get_user(conn, scene.operator, None)
            call = cast(Call, SimpleNamespace(conn=conn, user=user, now=LAST))
            spent = []
            found: Any = None
            for _ in range(TIMES + 1):
                began = time.perf_counter()
                found = await suggestions.list_suggestions(call, SuggestionsQuery(week=None))
                spent.append(1000 * (time.perf_counter() - began))
            first, rest = spent[0], sorted(spent[1:])
            print(f"  {len(found.items)} suggestions: first {first:.0f} ms, then"
                  f" {statistics.median(rest):.0f} ms in the middle, p95"
                  f" {rest[int(TIMES * 0.95)]:.0f} ms")  # fmt: skip
            week = str(WEEKS[-1])
            types = await store.read_fraud_types(conn)
            await timed("covered weeks", store.covered_weeks(conn))
            listed = await timed("the list", suggestion_store.list_of_week(conn, week))
            await timed("people and texts", stand_of(conn, scene.department, listed, types, LAST))
            await timed("chance, kept", rises_by_chance(conn, week))


def main() -> None:
    """Measure in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=120_000)
    parser.add_argument("--province", action="store_true")
    asked = parser.parse_args()
    rate = 320.0 if asked.province else 4.5
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            asyncio.run(measure(server.url, asked.people, rate, in_province=asked.province))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
