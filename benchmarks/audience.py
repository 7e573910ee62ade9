"""How long a preview and an expansion take, beside what PostgreSQL needs at the least.

    python -m benchmarks.audience [PEOPLE …]

One department with so many people, 1.2 entries each, 3 in 100 numbers ported, with areas, ages,
carriers, roles and organisations in the shares of a county's list; the embedded PostgreSQL with
fsync on. A preview stands beside a bare count(*) of the department's contacts, an
expansion beside a bare COPY of the same ledger rows into a table without an index. Beside the time
by the clock stands PostgreSQL's processor time, which a busy machine changes less.
"""

# a benchmark prints

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid4

from benchmarks.importing import TICKS, prepare
from service.audience.areas.area import packaged_areas
from service.audience.areas.area_store import load_areas
from service.audience.segments.facts import freshen_waiting
from service.audience.segments.terms_store import list_values, read_lists_state
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.roles import ROLES
from service.campaigns.audience.preview import preview_rule
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres
from service.storage.postgres import LONG_SECONDS, Connection, Pool, open_pool, transaction
from tests.harness.ledger import Scene, add_channel, add_run, make_scene

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
KEYRING = Keyring(b"\x01" * 32)
BATCH = 10_000
REPEATS = 20
CARRIER_SHARES = (46, 17, 36, 1)
BANDS = (None, "14-17", "18-25", "26-40", "41-59", "60-69", "70+")
BAND_SHARES = (1, 2, 8, 21, 42, 15, 11)

RULES = (
    "carrier in (mobile, unicom, telecom, broadnet)",
    "area = 旌德县",
    'area = "旌阳镇" and role in (finance, owner) and not carrier = unicom',
    "身份 = 财务人员 且 年龄 >= 60",
    "roster = 群众 and not (school = 一中 or tag = 已培训) and last_sent > 30",
    " or ".join(f"(org = 单位{n} and age >= {20 + n})" for n in range(20)),
)
"""From the whole department to many conditions."""


_BESIDE = (
    """
    INSERT INTO carrier_overrides
    SELECT phone_hash, 'china_unicom', 'operator', NULL, $2, now() FROM contacts
    WHERE department_id = $1 AND get_byte(phone_hash, 3) < 8
    """,
    """
    INSERT INTO suppressions (phone_hash, reason, created_by, created_at, classes)
    SELECT phone_hash, 'opted_out', $2, now(), '{public_interest,service}' FROM contacts
    WHERE department_id = $1 AND get_byte(phone_hash, 4) < 2
    """,
    """
    INSERT INTO contact_tags SELECT id, '已培训', now() FROM contacts
    WHERE department_id = $1 AND get_byte(phone_hash, 5) < 30 AND $2::uuid IS NOT NULL
    """,
)
"""What stands beside the people: ported numbers, suppressions, tags."""


@dataclass(slots=True)
class Spent:
    """Seconds by the clock on the wall, and of PostgreSQL's processor for the session."""

    wall: float = 0.0
    postgres: float = 0.0


class Watch:
    """Measures what happens on one connection."""

    def __init__(self, backend: int) -> None:
        self._stat = Path(f"/proc/{backend}/stat")

    async def time(self, act: Callable[[], Awaitable[object]]) -> Spent:
        """How long it takes."""
        wall, used = time.perf_counter(), self._used()
        await act()
        return Spent(time.perf_counter() - wall, self._used() - used)

    def _used(self) -> float:
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def people(department: UUID, count: int) -> Iterator[tuple[object, ...]]:
    """Rows of contacts."""
    chance = random.Random(341825)  # noqa: S311  # no secrets
    towns = [area.code for area in packaged_areas() if area.code.startswith("341825")]
    for number in range(count):
        phone = f"+86{19790000000 + number}"
        yield (
            uuid4(), department, KEYRING.phone_index(phone), KEYRING.encrypt("phone", phone),
            KEYRING.encrypt("name", "王小明"), *chance.choices(list(CARRIERS), CARRIER_SHARES),
            chance.choice(towns), *chance.choices(BANDS, BAND_SHARES), chance.choice(("f", "m")),
            True, NOW, NOW,
        )  # fmt: skip


async def fill(connection: Connection, scene: Scene, count: int) -> None:
    """Make the people, their entries on lists, ported numbers, suppressions and tags."""
    rows = people(scene.department, count)
    columns = (
        *("id", "department_id", "phone_hash", "phone_cipher", "name_cipher", "carrier"),
        *("area_code", "age_band", "gender", "synthetic", "created_at", "updated_at"),
    )
    while batch := list(islice(rows, BATCH)):
        await connection.copy_records_to_table("contacts", records=batch, columns=columns)
    roster = await connection.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on)"
        " VALUES ($1, '群众', 'duty', $2) RETURNING id",
        scene.department,
        date(2030, 1, 1),
    )
    for share, school in ((100, ""), (20, "一中")):
        await connection.execute(
            """
            INSERT INTO links (contact_id, roster_id, digest, roles, org, school)
            SELECT id, $2, convert_to($3::text, 'UTF8'),
                   ARRAY[CASE WHEN get_byte(phone_hash, 1) < 110 THEN 'resident'
                              WHEN get_byte(phone_hash, 1) < 170 THEN 'elderly'
                              WHEN get_byte(phone_hash, 1) < 190 THEN 'parent'
                              ELSE ($4::text[])[1 + get_byte(phone_hash, 6)
                                                    % cardinality($4::text[])] END],
                   CASE WHEN get_byte(phone_hash, 7) < 40
                        THEN '单位' || get_byte(phone_hash, 2) ELSE '' END, $3
            FROM contacts WHERE department_id = $1 AND get_byte(phone_hash, 0) % 100 < $5
            """,
            scene.department,
            roster,
            school,
            list(ROLES),
            share,
        )
    for statement in _BESIDE:
        await connection.execute(statement, scene.department, scene.operator)
    await connection.execute("VACUUM ANALYZE")


async def measure_previews(connection: Connection, watch: Watch, scene: Scene) -> None:
    """Each rule, several times."""
    count = "SELECT count(*) FROM contacts WHERE department_id = $1"
    bare = sorted(
        [(await watch.time(lambda: connection.fetchval(count, scene.department))).wall
         for _ in range(REPEATS)]
    )[REPEATS // 2]  # fmt: skip
    print(f"  count(*)      {bare * 1e3:8.1f} ms")
    for rule in RULES:
        taken = [
            await watch.time(
                partial(preview_rule, connection, KEYRING, scene.department, rule, NOW)
            )
            for _ in range(REPEATS)
        ]
        walls = sorted(spent.wall for spent in taken)
        used = sum(spent.postgres for spent in taken) / REPEATS
        p95 = walls[REPEATS * 95 // 100 - 1]
        print(
            f"  preview       {walls[REPEATS // 2] * 1e3:8.1f} ms  p95 {p95 * 1e3:8.1f} ms"
            f"  {used * 1e3:8.1f} ms PostgreSQL  {walls[REPEATS // 2] / bare:5.1f} × count(*)"
            f"  {rule[:48]}"
        )


async def measure_values(connection: Connection, watch: Watch, scene: Scene) -> None:
    """What a rule can ask for, counted; and what is read instead while no list has changed."""
    department, today = scene.department, NOW.date()
    for name, act in (
        ("values", partial(list_values, connection, department, today)),
        ("values, kept", partial(read_lists_state, connection, department, today)),
    ):
        walls = sorted([(await watch.time(act)).wall for _ in range(REPEATS)])
        print(f"  {name:<13} {walls[REPEATS // 2] * 1e3:8.1f} ms")


async def measure_expansion(pool: Pool, watch: Watch, scene: Scene, rule: str) -> None:
    """One run, and a copy of its ledger."""
    async with pool.acquire() as conn:
        run = await add_run(conn, scene, NOW)
        await conn.execute("UPDATE runs SET rule = $2 WHERE id = $1", run, rule)
    spent = await watch.time(lambda: expand_run(pool, run, NOW))
    async with pool.acquire() as conn:
        rows = await conn.fetch("SELECT * FROM messages WHERE run_id = $1", run)
        await conn.execute("CREATE TABLE bare (LIKE messages)")
        records = [tuple(row) for row in rows]
        bare = await watch.time(lambda: conn.copy_records_to_table("bare", records=records))
        await conn.execute("DROP TABLE bare")
    print(
        f"  expansion     {spent.wall:8.2f} s   {spent.postgres:8.2f} s PostgreSQL"
        f"  {len(rows):,} rows  {spent.wall / bare.wall:5.1f} × COPY ({bare.wall:.2f} s)"
        f"  {rule[:40]}"
    )


@asynccontextmanager
async def county(url: str, count: int) -> AsyncIterator[tuple[Pool, Watch, Scene]]:
    """A department with so many people, and one connection to it."""
    async with open_pool(url, size=1) as pool:
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            await load_areas(conn)
            scene = await make_scene(conn, NOW)
            await add_channel(conn, KEYRING, 1, NOW)
            await fill(conn, scene, count)
            watch = Watch(await conn.fetchval("SELECT pg_backend_pid()"))
        yield pool, watch, scene


async def measure(url: str, count: int) -> None:
    """Everything for one size."""
    async with county(url, count) as (pool, watch, scene):
        await freshen_waiting(pool)
        print(f"{count:,} people")
        async with transaction(pool, seconds=LONG_SECONDS) as conn:
            await measure_previews(conn, watch, scene)
            await measure_values(conn, watch, scene)
        for rule in (RULES[0], RULES[4]):
            await measure_expansion(pool, watch, scene, rule)


def main() -> None:
    """Measure each size in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="*", default=[120_000, 1_000_000])
    for size in parser.parse_args().people:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            server = Postgres(Path(folder))
            server.start()
            try:
                server.create_database()
                asyncio.run(prepare(server.url))
                asyncio.run(measure(server.url, size))
            finally:
                server.stop()


if __name__ == "__main__":
    main()
