"""How long counting coverage takes, and the page that shows it.

    python -m benchmarks.reached [--people N] [--runs N]
    python -m benchmarks.reached --ledger N

One department as in `benchmarks.audience`, and a campaign that has fired several times for all of
it; the embedded PostgreSQL with fsync on. The count of a run and of the campaign, each person once,
stand beside a bare GROUP BY of the run's ledger by area and state. The page is the report by
villages, read from facts alone: middle and p95 of a hundred. With `--ledger` one run has so many
texts, written by SQL: its count, rows a second by its stretches, and the most memory that its
PostgreSQL process took.
"""

# a benchmark prints

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from uuid import UUID

from benchmarks.audience import KEYRING, NOW, fill
from benchmarks.importing import prepare
from service.audience.areas.area_store import load_areas
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres
from service.reports.coverage import fact_store, report, scope_store
from service.reports.coverage.coverage import View
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.storage.postgres import LONG_SECONDS, Pool, open_pool, transaction
from tests.harness.ledger import add_channel, add_run, make_scene

PAGES = 100
STATES = """
    UPDATE messages SET state = (ARRAY['delivered', 'delivered', 'delivered', 'undelivered',
        'unknown', 'submitted']::message_state[])[1 + get_byte(phone_hash, 2 + $2) % 6],
        reason = CASE WHEN get_byte(phone_hash, 2 + $2) % 6 = 3 THEN 'empty_number' END
    WHERE run_id = $1
"""
AGAIN = """
    INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, area_code,
                          roles, state)
    SELECT $2, no, phone_hash, phone_cipher, channel_id, carrier, area_code, roles, 'queued'
    FROM messages WHERE run_id = $1
"""
LEDGER = """
    INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, area_code,
                          roles, state)
    SELECT $1, n, decode(md5(n::text), 'hex'), '', 1, 'china_mobile',
        ($2::text[])[1 + n % cardinality($2::text[])],
        CASE n % 5 WHEN 0 THEN '{elderly}'::text[] WHEN 1 THEN '{finance,owner}' ELSE '{}' END,
        (ARRAY['delivered', 'delivered', 'delivered', 'undelivered', 'unknown',
               'submitted']::message_state[])[1 + n % 6]
    FROM generate_series($3::int, $4::int) n
"""
AT_ONCE = 250_000
BARE = "SELECT area_code, state, count(*) FROM messages WHERE run_id = $1 GROUP BY 1, 2"


async def load(pool: Pool, people: int, runs: int) -> tuple[UUID, UUID]:
    """The people, and the runs of one campaign; returns it and the first run."""
    async with pool.acquire(seconds=LONG_SECONDS) as conn:
        await load_areas(conn)
        scene = await make_scene(conn, NOW)
        await add_channel(conn, KEYRING, 1, NOW)
        await fill(conn, scene, people)
        first = await add_run(conn, scene, NOW)
    await expand_run(pool, first, NOW)
    async with pool.acquire(seconds=LONG_SECONDS) as conn:
        campaign = await conn.fetchval("SELECT campaign_id FROM runs WHERE id = $1", first)
        every = [first]
        for _ in range(runs - 1):
            run = await add_run(conn, scene, NOW)
            await conn.execute(AGAIN, first, run)
            every.append(run)
        await conn.execute(
            "UPDATE runs r SET campaign_id = $1, started_at = created_at, target = f.target,"
            " fire_at = r.fire_at + n * interval '1 hour'"
            " FROM unnest($2::uuid[]) WITH ORDINALITY u(id, n), (SELECT target FROM runs"
            " WHERE id = $3) f WHERE r.id = u.id",
            campaign,
            every,
            first,
        )
        for n, run in enumerate(every):
            await conn.execute(STATES, run, n % 8)
        await conn.execute("VACUUM (ANALYZE) messages")
    return campaign, first


async def measure_ledger(url: str, texts: int) -> None:
    """One run of so many texts."""
    async with open_pool(url, size=1) as pool:
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            await load_areas(conn)
            scene = await make_scene(conn, NOW)
            await add_channel(conn, KEYRING, 1, NOW)
            run = await add_run(conn, scene, NOW)
            villages = await conn.fetchval(
                "SELECT array_agg(code) FROM areas WHERE level IN ('village', 'community')"
            )
            for first in range(1, texts + 1, AT_ONCE):
                last = min(texts, first + AT_ONCE - 1)
                await conn.execute(LEDGER, run, villages, first, last)
            await conn.execute(
                "UPDATE runs SET started_at = created_at, target = $2 WHERE id = $1", run, texts
            )
            await conn.execute("VACUUM (ANALYZE) messages")
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            await scope_store.begin(conn, CoverageScope(ScopeKind.RUN, run_id=run), NOW)
            pid = await conn.fetchval("SELECT pg_backend_pid()")
        seconds: list[float] = []
        while True:
            began = time.perf_counter()
            async with transaction(pool, seconds=LONG_SECONDS) as conn:
                under_way = await scope_store.lock_under_way(conn)
                if under_way is None:
                    break
                await fact_store.count_stretch(conn, under_way)
                if under_way.is_last:
                    await scope_store.show(conn, under_way, NOW)
                else:
                    await scope_store.note_done(conn, under_way)
            seconds.append(time.perf_counter() - began)
            print(f"  stretch {under_way.done + 1:3} of {under_way.stretches}: {memory(pid)}")
        rates = [texts / len(seconds) / spent for spent in seconds]
        print(
            f"{texts:,} texts in {sum(seconds):.1f} s; a second in the first stretch"
            f" {rates[0]:,.0f}, in the middle {statistics.median(rates):,.0f}, in the last"
            f" {rates[-1]:,.0f}"
        )


def memory(pid: int) -> str:
    """What a process holds now of its own, and the most that it held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    own, most = (int(lines[name].split()[0]) // 1024 for name in ("RssAnon", "VmHWM"))
    return f"{own} MB of its own now, {most} MB at most with what it shares"


async def count(pool: Pool, scope: CoverageScope) -> tuple[float, int]:
    """Seconds of a whole count, and of how many stretches."""
    async with transaction(pool, seconds=LONG_SECONDS) as conn:
        await scope_store.begin(conn, scope, NOW)
    began, stretches = time.perf_counter(), 0
    while True:
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            under_way = await scope_store.lock_under_way(conn)
            if under_way is None:
                return time.perf_counter() - began, stretches
            await fact_store.count_stretch(conn, under_way)
            stretches += 1
            if under_way.is_last:
                await scope_store.show(conn, under_way, NOW)
            else:
                await scope_store.note_done(conn, under_way)


async def measure(url: str, people: int, runs: int) -> None:
    """Counts, beside a bare one, and pages."""
    async with open_pool(url, size=2) as pool:
        campaign, first = await load(pool, people, runs)
        of_run = CoverageScope(ScopeKind.RUN, run_id=first)
        of_campaign = CoverageScope(ScopeKind.CAMPAIGN, campaign_id=campaign)
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            target = await conn.fetchval("SELECT target FROM runs WHERE id = $1", first)
            print(f"{people:,} people, {runs} runs to {target:,} of them")
            for _ in range(3):
                began = time.perf_counter()
                await conn.fetch(BARE, first)
                bare = time.perf_counter() - began
                run, _ = await count(pool, of_run)
                whole, stretches = await count(pool, of_campaign)
                print(
                    f"  bare {bare:6.2f} s   the run {run:6.2f} s ({run / bare:4.1f} x)"
                    f"   the campaign {whole:6.2f} s in {stretches} stretches"
                )
            for name, scope in (("run", of_run), ("campaign", of_campaign)):
                spent = []
                for _ in range(PAGES):
                    began = time.perf_counter()
                    await report.coverage_report(conn, scope, View(None, "village"), None, NOW)
                    spent.append(1000 * (time.perf_counter() - began))
                spent.sort()
                middle, late = statistics.median(spent), spent[int(PAGES * 0.95)]
                print(f"  page of the {name}: {middle:.0f} ms in the middle, p95 {late:.0f} ms")


def main() -> None:
    """Measure in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=120_000)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--ledger", type=int, default=0, metavar="N", help="texts of one run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            if asked.ledger:
                asyncio.run(measure_ledger(server.url, asked.ledger))
            else:
                asyncio.run(measure(server.url, asked.people, asked.runs))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
