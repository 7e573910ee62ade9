"""How fast contact files are read by the rules alone, and imported into PostgreSQL.

    python -m benchmarks.importing [ROWS …]

Files come from the generator of the tests (all defects, GB18030; county profile up to 500,000 rows,
province above); PostgreSQL is the embedded one, in a temporary folder, with fsync on. Beside the
rows a second stand the processor's microseconds a row, by process, which a busy machine changes
less, and the time as a multiple of a bare COPY of the same rows into a table without an index.
"""

import argparse
import asyncio
import importlib.util
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.process import peak_megabytes
from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.areas.area_store import load_areas
from service.audience.imports.importing import read_contacts
from service.audience.imports.loading import create_import, run_import
from service.audience.imports.merging import BATCH_ROWS
from service.audience.imports.model import ImportRequest
from service.audience.imports.rows import Rules
from service.audience.imports.staging import STAGED_COLUMNS, Stager
from service.audience.imports.staging_store import create_staging
from service.audience.numbers.prefix import packaged_prefixes
from service.crypto import Keyring
from service.local.embedded import Postgres
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connect

GENERATOR = Path(__file__).resolve().parents[1] / "tests" / "data" / "make_contacts.py"
NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
CHUNK = 65_536
COUNTY_ROWS = 500_000
KEYRING = Keyring(b"\x01" * 32)
TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds by the clock on the wall, of this process, and of PostgreSQL's for the session."""

    wall: float
    own: float
    postgres: float

    @property
    def processor(self) -> float:
        """Of both: other programs on the machine change it little."""
        return self.own + self.postgres


def generate(path: Path, rows: int) -> None:
    """Write a dirty file."""
    spec = importlib.util.spec_from_file_location("make_contacts", GENERATOR)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    profile = "county" if rows <= COUNTY_ROWS else "province"
    asked = ["--profile", profile, "--seed", "341825", "--encoding", "gb18030"]
    module.main([*asked, "--rows", str(rows), "--out", str(path)])


def pieces(path: Path) -> Iterator[bytes]:
    """The file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


async def upload(path: Path) -> AsyncIterator[bytes]:
    """The file in pieces, as an upload brings it."""
    for piece in pieces(path):
        yield piece


def clocks(backend: int) -> Spent:
    """The clocks now; `backend` is the process id of a session's server process."""
    fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
    return Spent(
        time.perf_counter(), time.process_time(), (int(fields[11]) + int(fields[12])) / TICKS
    )


def show(label: str, spent: Spent, rows: int, bare: Spent | None = None) -> None:
    """One line of the table."""
    print(
        f"  {label:<12} {spent.wall:8.2f} s  {rows / spent.wall:9,.0f} rows/s"
        f"  {spent.own / rows * 1e6:6.1f} µs own  {spent.postgres / rows * 1e6:6.1f} µs PostgreSQL"
        + (f"  {spent.wall / bare.wall:5.1f} × COPY" if bare else "")
        + (f", {spent.processor / bare.processor:4.1f} × by processor" if bare else "")
    )


def measure_rules(path: Path, rows: int) -> None:
    """Read by the rules alone, and read and encrypt, on one core."""
    rules = Rules(AreaTree(packaged_areas()), packaged_prefixes())
    for label, stager in (("rules alone", None), ("and encrypt", Stager(KEYRING))):
        before = clocks(os.getpid())
        with read_contacts(lambda: pieces(path), rules=rules) as reading:
            results = iter(reading)
            while batch := list(islice(results, BATCH_ROWS)):
                if stager:
                    stager.stage(batch)
        after = clocks(os.getpid())
        show(label, Spent(after.wall - before.wall, after.own - before.own, 0.0), rows)


async def measure_copy(connection: Connection, path: Path, rows: int) -> Spent:
    """Copy the rows, ready as they are, into a table without an index; the seconds it takes."""
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    rules = Rules(AreaTree(packaged_areas()), packaged_prefixes())
    stager, spent = Stager(KEYRING), Spent(0.0, 0.0, 0.0)
    async with connection.transaction():
        await create_staging(connection)
        with read_contacts(lambda: pieces(path), rules=rules) as reading:
            results = iter(reading)
            while batch := list(islice(results, BATCH_ROWS)):
                records = stager.stage(batch).numbers
                before = clocks(backend)
                await connection.copy_records_to_table(
                    "staged_numbers", records=records, columns=STAGED_COLUMNS
                )
                after = clocks(backend)
                parts = zip(spent, after, before, strict=True)
                spent = Spent(*(total + end - start for total, end, start in parts))
        await connection.execute("DROP TABLE staged_numbers, staged_rows")
    show("bare COPY", spent, rows)
    return spent


async def measure_import(path: Path, rows: int, url: str) -> None:
    """Upload and import into PostgreSQL, twice: all new, and all known."""
    connection = await connect(url)
    await load_areas(connection)
    department = await connection.fetchval(
        "INSERT INTO departments (name) VALUES ($1) RETURNING id", f"county of {rows}"
    )
    user = await connection.fetchval(
        "INSERT INTO users (department_id, login, name, roles, bootstrap)"
        " VALUES ($1, $2, 'a', '{operator}', true)"
        " RETURNING id",
        department,
        f"user of {rows}",
    )
    bare = await measure_copy(connection, path, rows)
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    request = ImportRequest(department, user, "county", path.name)
    for label in ("all new", "again"):
        start = time.perf_counter()
        waiting = await create_import(
            connection, KEYRING, request, upload(path), limit=10**10, now=NOW
        )
        before = clocks(backend)
        await run_import(connection, KEYRING, waiting.id, NOW)
        after = clocks(backend)
        spent = Spent(*(end - begin for end, begin in zip(after, before, strict=True)))
        show(label, spent, rows, bare)
        print(
            f"  {'':12} {before.wall - start:8.2f} s to take the upload;"
            f" peak memory: own {peak_megabytes(os.getpid()):,.0f} MiB,"
            f" PostgreSQL's {peak_megabytes(backend):,.0f} MiB, shared buffers included"
        )
    await connection.close()


async def prepare(url: str) -> None:
    """Apply the migrations."""
    connection = await connect(url)
    await migrate(connection)
    await connection.close()


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="*", default=[20_000, 118_000])
    sizes = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            for rows in sizes:
                path = Path(folder) / f"list-{rows}.csv"
                generate(path, rows)
                print(f"{rows:,} rows, {path.stat().st_size:,} octets")
                if rows <= COUNTY_ROWS:
                    measure_rules(path, rows)
                asyncio.run(measure_import(path, rows, server.url))
                path.unlink()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
