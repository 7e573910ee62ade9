"""The pages on coverage and on effect of a province: 104 counties, 1,456 towns, 18,334 villages.

    python -m benchmarks.province_coverage [--villages N]

Facts as a count leaves them are written straight into the tables, for every village those of six
roles and ten outcomes, with a denominator of each village; no ledger stands behind them. The
embedded PostgreSQL with fsync on. Printed are the page of all counties, and that of one county by
its villages: middle and p95 of thirty. The page on effect has 440 cases a week over two years
and the same facts as those of a quarter; it is made three times.
"""

# a benchmark prints

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from benchmarks.audience import KEYRING, NOW
from benchmarks.importing import prepare
from service.api.http.call import Call
from service.api.reports.effect import EffectQuery, get_effect
from service.audience.areas.area import Area
from service.audience.areas.area_store import load_areas
from service.cases import store as case_store
from service.cases.figures import CaseFigure
from service.cases.week import week_of, weeks_before
from service.clock import CHINA
from service.local.embedded import Postgres
from service.reports.coverage import report, scope_store
from service.reports.coverage.coverage import View
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.storage.postgres import LONG_SECONDS, Connection, open_pool, transaction
from tests.harness.ledger import add_channel, add_run, make_scene

COUNTIES, TOWNS_EACH = 104, 14
PAGES = 30
WEEKS, CASES_A_WEEK = 130, 440
ROLES = ("", "finance", "owner", "teacher", "parent", "elderly", "village_staff")
CAME_TO = (
    (PersonOutcome.REACHED, ""),
    (PersonOutcome.OPEN, ""),
    (PersonOutcome.UNKNOWN, "no_receipt"),
    (PersonOutcome.FAILED, "empty_number"),
    (PersonOutcome.FAILED, "suspended"),
    (PersonOutcome.FAILED, "switched_off"),
    (PersonOutcome.STOPPED, "validity_over"),
    (PersonOutcome.EXCLUDED, "opted_out"),
    (PersonOutcome.EXCLUDED, "daily_cap"),
    (PersonOutcome.EXCLUDED, "duplicate"),
)


def province(villages: int) -> list[Area]:
    """A province that does not exist, in the form of the real codes."""
    top, city = "980000000000", "980100000000"
    areas = [Area(top, "某省", "province", ""), Area(city, "某市", "city", top)]
    counties = [f"98{100 + n:04d}000000" for n in range(1, COUNTIES + 1)]
    areas += [Area(code, f"县{n}", "county", city) for n, code in enumerate(counties)]
    towns = [f"{code[:6]}{n:03d}000" for code in counties for n in range(1, TOWNS_EACH + 1)]
    areas += [Area(code, f"镇{n}", "town", f"{code[:6]}000000") for n, code in enumerate(towns)]
    for n in range(villages):
        town = towns[n % len(towns)]
        code = f"{town[:9]}{200 + n // len(towns):03d}"
        areas.append(Area(code, f"村{n}", "village", town))
    return areas


async def load(conn: Connection, areas: Sequence[Area]) -> UUID:
    """The areas, their facts, and a denominator of each village; returns the campaign."""
    await load_areas(conn)
    scene = await make_scene(conn, NOW)
    await add_channel(conn, KEYRING, 1, NOW)
    run = await add_run(conn, scene, NOW)
    campaign: UUID = await conn.fetchval("SELECT campaign_id FROM runs WHERE id = $1", run)
    await conn.copy_records_to_table(
        "areas",
        records=[(a.code, a.name, a.level, a.parent or None) for a in areas],
        columns=["code", "name", "level", "parent_code"],
    )
    villages = [area.code for area in areas if area.level == "village"]
    scope = CoverageScope(ScopeKind.CAMPAIGN, campaign_id=campaign)
    scope_id = await scope_store.begin(conn, scope, NOW)
    count = await scope_store.lock_under_way(conn)
    assert count is not None
    await conn.copy_records_to_table(
        "coverage_facts",
        records=[
            (scope_id, count.number, code, role, outcome, reason, 20 + at)
            for code in villages
            for role in ROLES
            for at, (outcome, reason) in enumerate(CAME_TO)
        ],
        columns=["scope_id", "count_no", "area_code", "role", "outcome", "reason", "people"],
    )
    await conn.execute(
        "INSERT INTO denominators (id, area_code, kind, people, source, as_of, entered_at,"
        " entered_by) SELECT gen_random_uuid(), code, 'phones', 300, 'carrier', $2::date, $3,"
        " (SELECT id FROM users LIMIT 1) FROM unnest($1::text[]) u(code)",
        villages,
        NOW.date(),
        NOW,
    )
    began = time.perf_counter()
    await scope_store.show(conn, count, NOW)
    print(f"{len(villages):,} villages, shown in {time.perf_counter() - began:.2f} s")
    return campaign


async def measure(url: str, villages: int) -> None:
    """The pages."""
    areas = province(villages)
    async with open_pool(url, size=2) as pool:
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            campaign = await load(conn, areas)
        scope = CoverageScope(ScopeKind.CAMPAIGN, campaign_id=campaign)
        county = next(area.code for area in areas if area.level == "county")
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            await conn.execute("ANALYZE")
            for name, view in (
                ("the counties of the province", View(None, "county")),
                ("the villages of a county", View(county, "village")),
                ("the towns of a county", View(county, "town")),
            ):
                spent = []
                for _ in range(PAGES):
                    began = time.perf_counter()
                    found = await report.coverage_report(conn, scope, view, None, NOW)
                    spent.append(1000 * (time.perf_counter() - began))
                assert found is not None
                spent.sort()
                middle, late = statistics.median(spent), spent[int(PAGES * 0.95)]
                rows = len(found.coverage.areas)
                print(f"  {name}: {rows} rows, {middle:.0f} ms in the middle, p95 {late:.0f} ms")
            await measure_effect(conn, [area.code for area in areas if area.level == "village"])


async def add_cases(conn: Connection, villages: Sequence[str]) -> None:
    """The facts once more as those of a quarter, and two years of cases."""
    await conn.execute(
        "WITH s AS (INSERT INTO coverage_scopes (kind, quarter, class, shown, as_of)"
        " VALUES ('quarter', '2026-10-01', 'public_interest', 1, $1) RETURNING id)"
        " INSERT INTO coverage_facts (scope_id, count_no, area_code, role, outcome, reason, people)"
        " SELECT s.id, 1, area_code, role, outcome, reason, people FROM s, coverage_facts",
        NOW,
    )
    weeks = weeks_before(week_of(NOW.date()), WEEKS)
    user = await conn.fetchval("SELECT id FROM users LIMIT 1")
    made = await case_store.insert_import(conn, weeks, "0", {}, user, NOW)
    await conn.executemany(
        "INSERT INTO case_weeks (week, since, import_id) VALUES ($1, $2, $3)",
        [(str(week), NOW, made) for week in weeks],
    )
    chances = random.Random(1)  # noqa: S311  # the same figures each time
    cells = {(week, chances.choice(villages)) for week in weeks for _ in range(CASES_A_WEEK)}
    figures = [CaseFigure(week, village, "T01", 1, 0) for week, village in sorted(cells)]
    await case_store.insert_figures(conn, made, figures)


async def measure_effect(conn: Connection, villages: Sequence[str]) -> None:
    """The page on effect, of the quarter before and of a year."""
    await add_cases(conn, villages)
    await conn.execute("ANALYZE")
    runtime: Any = SimpleNamespace(settings=SimpleNamespace(zone=CHINA))
    asker: Any = None
    call = Call(runtime, conn, asker, NOW)
    for period in ("2026-Q4", "2026-YEAR"):
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            found = await get_effect(call, EffectQuery(period=period))
            spent.append(f"{time.perf_counter() - began:.2f}")
        of = f"{len(found.towns):,} towns, {found.county.cases:,} cases"
        print(f"  effect of {period}: {of}: {', '.join(spent)} s")


def main() -> None:
    """Measure in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--villages", type=int, default=18_334)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            asyncio.run(measure(server.url, asked.villages))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
