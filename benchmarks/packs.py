"""How long the county's pack of a week takes, and how much memory: 60 units, 300 pictures.

    python -m benchmarks.packs
    python -m benchmarks.packs --units 300 --pictures 0

Each unit owes a weekly report, has sent one campaign and handed its report in, but for each tenth.
Pictures are photographs of noise, 1,600 px wide, of about 0.4 MB. Bound: 20 s and 300 MiB from the
moment at which the pack is due until it is built. PostgreSQL is the embedded one, in a temporary
folder, with fsync on; the archive is then verified.
"""

import argparse
import asyncio
import hashlib
import io
import resource
import tempfile
import time
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from PIL import Image

from service.clock import CHINA, Clock
from service.crypto import Keyring
from service.duties.owing import owe
from service.local.embedded import Postgres
from service.reports.evidence import PURPOSE
from service.reports.verify_evidence import faults
from service.reports.weekly.packs import archive_of, build_next, find_built, make_due
from service.settings import Settings
from service.storage.migrate import migrate
from service.storage.postgres import Connection, Pool, connect, open_pool, transaction
from service.storage.postgres import one as one_row

MONDAY = datetime(2027, 1, 11, 0, 1, tzinfo=CHINA)
DUE = datetime(2027, 1, 15, 16, 1, tzinfo=CHINA)
WEEK = "2027-W02"
SIDES = (1_600, 800, 320)
QUALITY = 82

_COUNTY = """
WITH d AS (INSERT INTO departments (name, kind) VALUES ('县政法委', 'county') RETURNING id)
INSERT INTO users (department_id, login, name, roles, bootstrap)
SELECT id, 'u', 'u', '{operator}', true FROM d RETURNING id, department_id
"""
_UNITS = """
INSERT INTO departments (name, kind) SELECT '第' || n || '镇', 'town' FROM generate_series(1, $1) n
"""
_ASKED = """
INSERT INTO obligations (setter_id, kinds, kind, title, period, due_weekday, due_time, shift,
                         from_on, remind, rungs, set_by, set_at, next_on, calendar_version)
VALUES ($1, '{town}', 'weekly_report', '周报', 'week', 5, '16:00', 'none', '2027-01-11', '{}', '{}',
        $2, '2027-01-10', '2027-01-11', 0)
"""
_REPORTS = """
WITH handed AS (
    UPDATE duties SET state = 'submitted', submitted_at = '2027-01-15 10:00+08', next_at = NULL
    WHERE department_id IN (SELECT id FROM departments WHERE kind = 'town'
                            AND substr(name, 2, length(name) - 2)::int % 10 <> 0)
    RETURNING id
)
INSERT INTO duty_reports (duty_id, no, narrative, figures, as_of, sha256, submitted_by,
                          submitted_at)
SELECT id, 1, '集市宣讲两场，入户一百二十户。', '', '2027-01-15 10:00+08', sha256(''), $1,
       '2027-01-15 10:00+08' FROM handed RETURNING duty_id
"""
_PICTURE = """
WITH p AS (
    INSERT INTO pictures (department_id, duty_id, uploaded_by, uploaded_at, reported_at, width,
                          height, octets, sha256, content_hash, difference_hash, large_cipher,
                          medium_cipher, small_cipher)
    SELECT department_id, id, $2, submitted_at, submitted_at, 1600, 1200, $3, $4,
           decode(md5($5), 'hex'), 0, $6, $7, $8 FROM duties WHERE id = $1 RETURNING id
)
INSERT INTO duty_report_pictures (duty_id, no, place, picture_id, sha256)
SELECT $1, 1, $9, id, $4 FROM p
"""


def main() -> None:
    """Run it from the command line."""
    reader = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    reader.add_argument("--units", type=int, default=60)
    reader.add_argument("--pictures", type=int, default=300, help="of all units together")
    given = reader.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(_measure(server.url, Path(folder), given.units, given.pictures))
        finally:
            server.stop()


async def _measure(url: str, folder: Path, units: int, pictures: int) -> None:
    conn = await connect(url)
    await migrate(conn)
    await conn.close()
    keyring = Keyring(bytes(32))
    async with open_pool(url, size=4) as pool:
        await _prepare(pool, keyring, units, pictures)
        before = _memory()
        clock = Clock(DUE, time.time())
        began = time.monotonic()
        assert await make_due(pool, DUE)
        settings = Settings(
            database_url=url, redis_url="redis://unused", key_file=folder / "unused"
        )
        assert await build_next(pool, keyring, clock, settings)
        took = time.monotonic() - began
        print(f"{units} units, {pictures} pictures: built in {took:.1f} s")
        print(f"memory at most {_memory():,.0f} MiB, of which {before:,.0f} MiB before it began")
        async with transaction(pool, seconds=600) as read:
            pack = await find_built(read, WEEK, None)
            began = time.monotonic()
            octets = b"".join([piece async for piece in archive_of(read, keyring, pack)])
        print(
            f"archive of {len(octets) / 2**20:,.1f} MiB, taken in {time.monotonic() - began:.1f} s"
        )
        key = bytes.fromhex(keyring.public_key(PURPOSE).hex())
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            print(faults(archive, key) or "everything fits")


async def _prepare(pool: Pool, keyring: Keyring, units: int, pictures: int) -> None:
    async with pool.acquire(seconds=600) as conn:
        user, department = one_row(await conn.fetchrow(_COUNTY))
        await conn.execute(_UNITS, units)
        await conn.execute(_ASKED, department, user)
    await owe(pool, keyring, MONDAY + timedelta(hours=1))
    async with pool.acquire(seconds=600) as conn:
        duties = [row[0] for row in await conn.fetch(_REPORTS, user)]
        for n in range(pictures):
            await _add_picture(conn, keyring, user, duties[n % len(duties)], n)
        await conn.execute("ANALYZE")


async def _add_picture(conn: Connection, keyring: Keyring, user: UUID, duty: UUID, n: int) -> None:
    jpegs = _photograph(n)
    ciphers = [keyring.encrypt_bytes("picture", jpeg) for jpeg in jpegs]
    place = await conn.fetchval(
        "SELECT count(*) + 1 FROM duty_report_pictures WHERE duty_id = $1", duty
    )
    digest = hashlib.sha256(jpegs[0]).digest()
    await conn.execute(_PICTURE, duty, user, len(jpegs[0]), digest, str(n), *ciphers, place)


def _photograph(n: int) -> list[bytes]:
    """A picture of noise in the three sizes."""
    noise = Image.effect_noise((400, 300), 40 + n % 20).convert("RGB")
    found = []
    for side in SIDES:
        made = io.BytesIO()
        noise.resize((side, side * 3 // 4)).save(made, "JPEG", quality=QUALITY)
        found.append(made.getvalue())
    return found


def _memory() -> float:
    """The most that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
