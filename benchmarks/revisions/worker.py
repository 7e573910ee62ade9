"""Measures the sources that stand first on the path, whenever its standard input names a measure.

Run by `benchmarks.revisions` as a script, once for each revision, with that revision's folder as
PYTHONPATH; this file is that of the newer one for both, so that both do the same work. A line of
input is the name of a measure, a line of output how many seconds of processor it took.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TextIO
from uuid import UUID

from benchmarks.audience import KEYRING, NOW, RULES, county
from benchmarks.broadcast import Options, run
from benchmarks.importing import clocks, generate, prepare, upload
from service.audience.imports.loading import create_import, run_import
from service.audience.imports.model import ImportRequest
from service.campaigns.audience.preview import preview_rule
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres
from service.reports.progress import run_report
from service.storage.postgres import LONG_SECONDS, Pool, transaction
from tests.harness.ledger import Scene, add_run

EVERYBODY, NARROW, LISTS = RULES[0], RULES[2], RULES[4]
HANDED_OFF = 8_000
AT_ONCE = {
    "preview, everybody": 5,
    "preview, a town and a role": 5,
    "preview, lists": 5,
    "report of a run": 5,
}
"""How often a measure does the same; others do it once."""
Measure = Callable[[], Awaitable[None]]


async def answer(url: str, folder: Path, people: int, told: TextIO, months: int) -> None:
    """Do what is asked for until the input ends. months: beside what was sent in so many."""
    await prepare(url)
    file = folder / "list.csv"
    generate(file, people)
    async with county(url, people) as (pool, _, scene):
        await _make_facts(pool)
        if months:
            from tests.harness.aged import age  # noqa: PLC0415  # a parent may have none

            await age(pool, scene, NOW, people, months)
        run_id = await _new_run(pool, scene)
        await expand_run(pool, run_id, NOW)
        backend = await pool.fetchval("SELECT pg_backend_pid()")
        measures: Mapping[str, Measure] = {
            "preview, everybody": partial(_preview, pool, scene, EVERYBODY),
            "preview, a town and a role": partial(_preview, pool, scene, NARROW),
            "preview, lists": partial(_preview, pool, scene, LISTS),
            "expansion": partial(_expand, pool, scene),
            "report of a run": partial(_report, pool, run_id),
            "import": partial(_import, pool, scene, file),
        }
        for line in iter(sys.stdin.readline, ""):
            name = line.strip()
            if name == "hand-off":
                figures = await run(Options(people=HANDED_OFF))
                taken = figures.system_micros * HANDED_OFF / 1e6
            else:
                before = clocks(backend)
                for _ in range(AT_ONCE.get(name, 1)):
                    await measures[name]()
                taken = clocks(backend).processor - before.processor
            print(taken, file=told, flush=True)


async def _make_facts(pool: Pool) -> None:
    """What the scheduler does beside the work that is measured, where the revision has it."""
    with suppress(ImportError):
        from service.audience.segments.facts import freshen_waiting  # noqa: PLC0415  # see above

        await freshen_waiting(pool)


async def _new_run(pool: Pool, scene: Scene) -> UUID:
    async with pool.acquire() as conn:
        run_id = await add_run(conn, scene, NOW)
        await conn.execute("UPDATE runs SET rule = $2 WHERE id = $1", run_id, EVERYBODY)
    return run_id


async def _preview(pool: Pool, scene: Scene, rule: str) -> None:
    async with transaction(pool, seconds=LONG_SECONDS) as conn:
        await preview_rule(conn, KEYRING, scene.department, rule, NOW)


async def _expand(pool: Pool, scene: Scene) -> None:
    await expand_run(pool, await _new_run(pool, scene), NOW)


async def _report(pool: Pool, run_id: UUID) -> None:
    async with transaction(pool) as conn:
        await run_report(conn, run_id)


async def _import(pool: Pool, scene: Scene, file: Path) -> None:
    request = ImportRequest(scene.department, scene.operator, "county", file.name)
    async with pool.acquire(seconds=LONG_SECONDS) as conn:
        waiting = await create_import(conn, KEYRING, request, upload(file), limit=10**10, now=NOW)
        await run_import(conn, KEYRING, waiting.id, NOW)


def main() -> None:
    """Start a PostgreSQL, and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int)
    parser.add_argument("--aged", type=int, default=0, metavar="MONTHS")
    asked = parser.parse_args()
    told = sys.stdout  # what the measured work prints is no answer
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name) / "postgres"
        folder.mkdir()
        server = Postgres(folder)
        server.start()
        try:
            server.create_database()
            with redirect_stdout(sys.stderr):
                asyncio.run(answer(server.url, Path(name), asked.people, told, asked.aged))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
