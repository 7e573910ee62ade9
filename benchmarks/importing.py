"""How fast contact files are read by the rules alone, and imported into PostgreSQL.

    python benchmarks/importing.py [ROWS …]

Files come from the generator of the tests (county profile, all defects, GB18030); PostgreSQL is
the embedded one, in a temporary folder, with fsync on.
"""

# a benchmark prints

import asyncio
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from service.audience.area import AreaTree, packaged_areas
from service.audience.importing import Rules, read_contacts
from service.audience.loading import create_import, run_import
from service.audience.model import ImportRequest
from service.audience.prefix import packaged_prefixes
from service.audience.store import load_areas
from service.crypto import Keyring
from service.embedded import Postgres
from service.storage.migrate import migrate
from service.storage.postgres import connect

GENERATOR = Path(__file__).resolve().parents[1] / "tests" / "data" / "make_contacts.py"
NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
CHUNK = 65_536


def generate(path: Path, rows: int) -> None:
    """Write a dirty county file."""
    spec = importlib.util.spec_from_file_location("make_contacts", GENERATOR)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    profile = ["--profile", "county", "--seed", "341825", "--encoding", "gb18030"]
    module.main([*profile, "--rows", str(rows), "--out", str(path)])


def pieces(path: Path) -> Iterator[bytes]:
    """The file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


async def upload(path: Path) -> AsyncIterator[bytes]:
    """The file in pieces, as an upload brings it."""
    for piece in pieces(path):
        yield piece


def measure_rules(path: Path, rows: int) -> None:
    """Read by the rules alone, on one core."""
    rules = Rules(AreaTree(packaged_areas()), packaged_prefixes())
    start = time.perf_counter()
    reading = read_contacts(lambda: pieces(path), rules=rules, opted_out=lambda _: False)
    for _ in reading:
        pass
    seconds = time.perf_counter() - start
    print(f"  rules alone  {seconds:7.2f} s  {rows / seconds:9,.0f} rows/s")


async def measure_import(path: Path, rows: int, url: str) -> None:
    """Upload and import into PostgreSQL, twice: all new, and all known."""
    keyring = Keyring(b"\x01" * 32)
    connection = await connect(url)
    await load_areas(connection)
    department = await connection.fetchval(
        "INSERT INTO departments (name) VALUES ($1) RETURNING id", f"county of {rows}"
    )
    user = await connection.fetchval(
        "INSERT INTO users (department_id, login, name, roles) VALUES ($1, $2, 'a', '{operator}')"
        " RETURNING id",
        department,
        f"user of {rows}",
    )
    request = ImportRequest(department, user, "county", path.name)
    for label in ("all new", "again"):
        start = time.perf_counter()
        waiting = await create_import(
            connection, keyring, request, upload(path), limit=10**10, now=NOW
        )
        stored = time.perf_counter()
        await run_import(connection, keyring, waiting.id, NOW)
        seconds = time.perf_counter() - stored
        print(
            f"  {label:<12} {seconds:7.2f} s  {rows / seconds:9,.0f} rows/s"
            f"  (upload {stored - start:.2f} s)"
        )
    await connection.close()


async def prepare(url: str) -> None:
    """Apply the migrations."""
    connection = await connect(url)
    await migrate(connection)
    await connection.close()


def main(sizes: list[int]) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(prepare(server.url))
            for rows in sizes:
                path = Path(folder) / f"county-{rows}.csv"
                generate(path, rows)
                print(f"{rows:,} rows, {path.stat().st_size:,} octets")
                measure_rules(path, rows)
                asyncio.run(measure_import(path, rows, server.url))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"peak memory of this process: {peak:,.0f} MiB")
        finally:
            server.stop()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [20_000, 118_000])
