"""How fast 3,000 units are reminded, told that they are late, and listed.

    python -m benchmarks.duties
    python -m benchmarks.duties --year

Each unit owes one report a week and has a liaison and a leader. The first turn makes the duties,
the second reminds at 14:00, the third tells at 16:01 who is late; then the late list is read and
made a workbook. Bound: the turn at 16:01 and the list within 10 s. --year: beside a year of five
obligations (780,000 duties). PostgreSQL is the embedded one, in a temporary folder, with fsync on.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from service.clock import CHINA
from service.crypto import Keyring
from service.documents.document import UNDATED, Column, Document, DocumentCell, Table
from service.documents.workbook import xlsx_of
from service.duties import duty_list_store
from service.duties.duty_list_store import SeenBy
from service.duties.owing import owe
from service.local.embedded import Postgres
from service.storage.migrate import migrate
from service.storage.postgres import Connection, Pool, connect, open_pool
from service.storage.postgres import one as one_row

UNITS = 3_000
WEEKS, OBLIGATIONS = 52, 5
MONDAY = datetime(2027, 1, 11, 0, 1, tzinfo=CHINA)
REMINDED = datetime(2027, 1, 15, 14, 0, tzinfo=CHINA)
LATE = datetime(2027, 1, 15, 16, 1, tzinfo=CHINA)
TEXTS = {
    "reminder": "【旌德县反诈中心】{单位}：{事项}请于{日期}{时间}前报送。",
    "late": "【旌德县反诈中心】{单位}：{事项}已到期未报，请尽快报送。",
}

_COUNTY = """
WITH d AS (INSERT INTO departments (name, kind) VALUES ('县政法委', 'county') RETURNING id)
INSERT INTO users (department_id, login, name, roles, bootstrap)
SELECT id, 'u', 'u', '{operator}', true FROM d RETURNING id, department_id
"""
_CHANNEL = """
INSERT INTO channels (name, kind, simulated, carriers, config_cipher, created_at)
VALUES ('c', 'cmpp', true, '{china_unicom,china_mobile,china_telecom}', '', $1)
"""
_TEXT = """
WITH t AS (
    INSERT INTO templates (department_id, name, class, created_at)
    VALUES ($1, $2, 'service', $4) RETURNING id
), v AS (
    INSERT INTO template_versions (template_id, no, text, lint, edited_by, created_at,
                                   approved_by, approved_at, approved_lint)
    SELECT id, 1, $3, '[]', $5, $4, $6, $4, '[]' FROM t
)
INSERT INTO duty_texts SELECT $1, $2, id, $5, $4 FROM t
"""
_HISTORY = """
INSERT INTO duties (obligation_id, department_id, period, setter_id, kind, first_on, last_on,
                    due_at, holiday_week, official, state, submitted_at, decided_by, decided_at)
SELECT $1, u.id, 'past ' || w, $2, 'weekly_report', $3::date - 7 * w, $3::date - 7 * w + 6,
       $3::timestamptz - w * interval '7 days', false, true, 'accepted',
       $3::timestamptz - w * interval '7 days', $5, $3
FROM departments u, generate_series(1, $4) w WHERE u.kind = 'town'
"""


async def settle_in(pool: Pool, keyring: Keyring) -> UUID:
    """The county with its texts, and the units with their people; returns the county."""
    async with pool.acquire() as conn, conn.transaction():
        county = await conn.fetchrow(_COUNTY)
        assert county is not None
        user, department = county["id"], county["department_id"]
        await conn.execute(
            "INSERT INTO departments (name, kind, parent_id) SELECT '第' || n || '镇', 'town', $1"
            " FROM generate_series(1, $2) n",
            department,
            UNITS,
        )
        units = await conn.fetch("SELECT id FROM departments WHERE kind = 'town' ORDER BY id")
        people = []
        for n, unit in enumerate(units):
            for k, duty in enumerate(("liaison", "leader")):
                number = f"+8619790{10_000 + 2 * n + k:06}"
                name, cipher = keyring.encrypt("name", "李四"), keyring.encrypt("phone", number)
                hashed = keyring.phone_index(number)
                people.append((unit["id"], duty, name, cipher, hashed, MONDAY, user))
        await conn.executemany(
            "INSERT INTO department_people (department_id, duty, name_cipher, phone_cipher,"
            " phone_hash, since, set_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            people,
        )
        approver = await conn.fetchval(
            "INSERT INTO users (department_id, login, name, roles, bootstrap)"
            " VALUES ($1, 'v', 'v', '{approver}', true) RETURNING id",
            department,
        )
        for kind, text in TEXTS.items():
            await conn.execute(_TEXT, department, kind, text, MONDAY, user, approver)
        await conn.execute(_CHANNEL, MONDAY)
        await obligation(conn, department, user)
    return UUID(str(department))


async def obligation(
    conn: Connection, department: UUID, user: UUID, *, ended: bool = False
) -> UUID:
    """A weekly report of all towns, from this week on; or one of the past."""
    made: UUID = await conn.fetchval(
        "INSERT INTO obligations (setter_id, kinds, kind, title, period, due_weekday, due_time,"
        " shift, from_on, remind, rungs, set_by, set_at, next_on, calendar_version, ended_at,"
        " ended_by) VALUES ($1, '{town}', 'weekly_report', '周报', 'week', 5, '16:00',"
        " 'previous_workday', $3, '{workday_before,-2h}', '{late,leader,office,missed}', $2, $4,"
        " CASE WHEN NOT $5 THEN $3::date END, 0, CASE WHEN $5 THEN $4::timestamptz END,"
        " CASE WHEN $5 THEN $2::uuid END) RETURNING id",
        department,
        user,
        MONDAY.date(),
        MONDAY,
        ended,
    )
    return made


async def a_year(pool: Pool, department: UUID) -> None:
    """A year of duties that are accepted, of five obligations."""
    async with pool.acquire(seconds=600) as conn:
        user = await conn.fetchval("SELECT id FROM users WHERE login = 'u'")
        for _ in range(OBLIGATIONS):
            past = await obligation(conn, department, user, ended=True)
            await conn.execute(_HISTORY, past, department, MONDAY, WEEKS, user)
        await conn.execute("ANALYZE")


async def measure(pool: Pool, keyring: Keyring) -> None:
    """Take the turns of a week, then read the late list, and print how long each took."""
    county: UUID = await pool.fetchval("SELECT id FROM departments WHERE kind = 'county'")
    for what, at in (("made", MONDAY), ("reminded", REMINDED), ("told that it is late", LATE)):
        began = time.perf_counter()
        done = await owe(pool, keyring, at)
        took = time.perf_counter() - began
        print(f"{what}: {done.made} duties, {done.steps} steps, {took:.2f} s")
        began = time.perf_counter()
        await owe(pool, keyring, at + timedelta(seconds=30))
        print(f"  a turn with nothing to do: {1000 * (time.perf_counter() - began):.0f} ms")
    told = one_row(await pool.fetchrow(
        "SELECT count(run_id) AS told, count(DISTINCT run_id) AS runs, count(*) AS steps"
        " FROM duty_steps"
    ))  # fmt: skip
    print(f"told: {told['told']} of {told['steps']} steps by {told['runs']} runs")
    began = time.perf_counter()
    async with pool.acquire() as conn:
        seen = SeenBy(None, county)
        late = await duty_list_store.list_late(conn, seen, LATE, 5_001)
        without = await duty_list_store.owing_without_people(conn, seen, ("liaison", "leader"))
    read = time.perf_counter()
    rows: list[list[DocumentCell]] = [
        [one.department, one.title, one.period, one.owed_at.isoformat(), one.state] for one in late
    ]
    table = Table(
        "催报名单", [Column(name) for name in ("单位", "事项", "期", "截止", "状态")], rows
    )
    octets = xlsx_of(Document("late", "催报名单", "", "zh", [table], UNDATED, {}))
    ended = time.perf_counter()
    print(f"late list: {len(late)} rows, {len(without)} without people, read {read - began:.2f} s,"
          f" workbook of {len(octets):,} octets {ended - read:.2f} s")  # fmt: skip


async def run(url: str, *, year: bool) -> None:
    """Measure on a new database."""
    conn = await connect(url)
    try:
        await migrate(conn)
    finally:
        await conn.close()
    keyring = Keyring(b"\x01" * 32)
    async with open_pool(url, size=4) as pool:
        county = await settle_in(pool, keyring)
        if year:
            began = time.perf_counter()
            await a_year(pool, county)
            print(f"a year of {WEEKS * UNITS * OBLIGATIONS:,} duties written in"
                  f" {time.perf_counter() - began:.0f} s")  # fmt: skip
        await measure(pool, keyring)


def main() -> None:
    """Start a PostgreSQL, measure, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", action="store_true", help="beside a year of duties")
    year = parser.parse_args().year
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(run(server.url, year=year))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
