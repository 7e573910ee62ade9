"""The audit trail: only added to, sealed in a chain, and whoever touches it is found out."""

import asyncio
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import CheckViolationError, InsufficientPrivilegeError

from service.accounts.audit import audit_store as store
from service.accounts.audit.audit import (
    COPIED,
    INVALID,
    LATE,
    MAC_OCTETS,
    UNMARKED,
    AuditAct,
    AuditEntry,
    Head,
    make_mac,
)
from service.accounts.audit.sealing import BATCH, seal_committed, verify
from service.cli.audit_command import parse_head
from service.crypto import Keyring, Keys, create_key_file
from service.errors import Misconfigured
from service.privacy.retention_store import delete_records
from service.runtime import check_key
from service.storage.locks import try_lock_sealing
from service.storage.postgres import Connection, Pool, transaction
from service.storage.roles import find_excess

KEY = b"\x01" * 32
KEYRING = Keyring(KEY)
"""As the fixture of that name."""


async def write(pool: Pool, count: int, now: datetime, action: str = "do") -> list[UUID]:
    """Committed entries; their ids."""
    ids = []
    async with transaction(pool) as conn:
        for n in range(count):
            act = AuditAct(
                action=action,
                at=now + timedelta(microseconds=n),
                via="api",
                actor_id=uuid4(),
                department_id=uuid4(),
                object_kind="things",
                object_id=str(n),
                request_id=f"r-{n}",
                request_hash=bytes([n % 256]) * 16,
                details={"count": n, "hash": "ab", "名": ["x", None, 1.5]},
            )
            ids.append(await store.insert_entry(conn, KEYRING, act))
    return ids


async def test_committed_entries_are_sealed_once_in_their_order(pool: Pool, now: datetime) -> None:
    ids = await write(pool, BATCH + 3, now)
    assert await seal_committed(pool, KEYRING) == BATCH + 3
    assert await seal_committed(pool, KEYRING) == 0
    async with pool.acquire() as conn:
        sealed = await conn.fetch("SELECT entry_id FROM audit_seals ORDER BY no")
        assert [row[0] for row in sealed] == ids
        verdict = await verify(conn, KEYRING, now)
    assert verdict.broken is None
    assert (verdict.entries, verdict.waiting, verdict.head.no) == (BATCH + 3, 0, BATCH + 3)


async def test_an_entry_that_commits_late_is_sealed_after_those_that_came_before(
    pool: Pool, now: datetime
) -> None:
    act = AuditAct("late", now, "cli")
    async with pool.acquire() as slow:
        open_transaction = slow.transaction()
        await open_transaction.start()
        late = await store.insert_entry(slow, KEYRING, act)
        (early,) = await write(pool, 1, now)
        assert await seal_committed(pool, KEYRING) == 1
        await open_transaction.commit()
    assert await seal_committed(pool, KEYRING) == 1
    async with pool.acquire() as conn:
        order = await conn.fetch("SELECT entry_id FROM audit_seals ORDER BY no")
        assert [row[0] for row in order] == [early, late]
        assert late < early
        assert (await verify(conn, KEYRING, now)).broken is None


async def test_an_entry_whose_effect_fails_was_never_there(pool: Pool, now: datetime) -> None:
    async def effect() -> None:
        async with transaction(pool) as conn:
            await store.insert_entry(conn, KEYRING, AuditAct("do", now, "cli"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await effect()
    assert await seal_committed(pool, KEYRING) == 0
    async with pool.acquire() as conn:
        assert (await verify(conn, KEYRING, now)).entries == 0


async def test_many_sealers_and_writers_at_once_make_one_chain(pool: Pool, now: datetime) -> None:
    writers = [write(pool, 20, now) for _ in range(10)]
    sealers = [seal_committed(pool, KEYRING) for _ in range(10)]
    await asyncio.gather(*writers, *sealers)
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        verdict = await verify(conn, KEYRING, now)
    assert (verdict.broken, verdict.entries, verdict.head.no) == (None, 200, 200)


async def test_a_sealer_that_dies_leaves_nothing_half_sealed(pool: Pool, now: datetime) -> None:
    await write(pool, 3, now)
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert await try_lock_sealing(conn)
        entries = await store.unsealed_entries(conn, 10)
        await store.insert_seals(conn, [Head().next(entries[0])])
        assert await seal_committed(pool, KEYRING) == 0  # it is still at work
        await transaction.rollback()
    assert await seal_committed(pool, KEYRING) == 3
    async with pool.acquire() as conn:
        assert (await verify(conn, KEYRING, now)).broken is None


SHORTENINGS = (
    *(
        act.format(table)
        for table in ("audit_entries", "audit_seals", "audit_unsealed")
        for act in (
            "DELETE FROM {0}",
            "TRUNCATE {0}",
            "ALTER TABLE {0} DISABLE TRIGGER ALL",
            "DROP TABLE {0}",
        )
    ),
    "UPDATE audit_entries SET at = at",
    "UPDATE audit_seals SET at = at",
    "UPDATE audit_unsealed SET entry_id = entry_id",
    "INSERT INTO audit_entries (id, at, via, action) VALUES (uuidv7(), now(), 'cli', 'x')",
    "INSERT INTO audit_unsealed VALUES (uuidv7())",
    "DELETE FROM disclosures",
    "UPDATE disclosures SET at = '-infinity'",
    "DELETE FROM erasures",
    "DELETE FROM migrations",
    "ALTER FUNCTION past_record_duty(uuid, timestamptz) RENAME TO other",
    "CREATE TABLE public.others (id uuid)",
    "SET session_replication_role = replica",
)


@pytest.mark.attack
async def test_the_services_role_may_change_and_delete_nothing_of_it(
    pool: Pool, now: datetime
) -> None:
    await write(pool, 2, now)
    await seal_committed(pool, KEYRING)
    await write(pool, 1, now, "waits")
    async with pool.acquire() as conn:
        assert await find_excess(conn) == ""
        for statement in SHORTENINGS:
            with pytest.raises(InsufficientPrivilegeError):
                await conn.execute(statement)
        verdict = await verify(conn, KEYRING, now)
    assert (verdict.broken, verdict.entries, verdict.waiting) == (None, 2, 1)


@pytest.mark.attack
async def test_the_owner_is_refused_by_triggers(
    pool: Pool, owner: Connection, now: datetime
) -> None:
    await write(pool, 1, now)
    await seal_committed(pool, KEYRING)
    for table in ("audit_entries", "audit_seals"):
        for act in ("UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(InsufficientPrivilegeError, match="append-only"):
                await owner.execute(act.format(table))


async def write_old(owner: Connection, made: timedelta, said: timedelta) -> UUID:
    """An entry that the database made so long ago, and that says of itself another age."""
    act = AuditAct("do", datetime.now(UTC) - said, "cli")
    entry_id: UUID = await owner.fetchval(
        "INSERT INTO audit_entries (id, at, via, action, mac)"
        " VALUES (uuidv7(-$1::interval), $2, 'cli', 'do', $3) RETURNING id",
        made,
        act.at,
        make_mac(KEYRING, act),
    )
    return entry_id


async def test_only_what_is_past_its_record_duty_goes_and_its_seal_stays(
    pool: Pool, owner: Connection
) -> None:
    past, within = timedelta(days=1096, hours=1), timedelta(days=1095, hours=23)
    old = await write_old(owner, past, past)
    kept = [
        await write_old(owner, within, within),
        await write_old(owner, timedelta(), timedelta()),
    ]
    assert await delete_old(pool) == 0  # nothing is sealed yet
    await seal_committed(pool, KEYRING)
    assert await delete_old(pool) == 1
    assert await delete_old(pool) == 0
    left = await pool.fetch("SELECT id FROM audit_entries ORDER BY id")
    assert [row["id"] for row in left] == kept
    assert old not in kept
    async with pool.acquire() as conn:
        present = datetime.now(UTC)
        verdict = await verify(conn, KEYRING, present)
        assert (verdict.broken, verdict.entries, verdict.gone) == (None, 2, 1)
        assert (await verify(conn, KEYRING, present - timedelta(days=2))).broken is not None
    await tamper(owner, "DELETE FROM audit_entries WHERE id = $1", kept[1])
    async with pool.acquire() as conn:
        broken = (await verify(conn, KEYRING, present)).broken
    assert broken is not None
    assert (broken.no, broken.why) == (3, "the entry is missing")


async def delete_old(pool: Pool) -> int:
    """What the service gets deleted, whatever instant it claims."""
    async with pool.acquire() as conn:
        return await delete_records(conn, datetime.now(UTC) + timedelta(days=99 * 365), 1000)


async def tamper(owner: Connection, statement: str, *arguments: object) -> None:
    """Change the trail as a superuser who has switched its triggers off."""
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(statement, *arguments)
    await owner.execute("RESET session_replication_role")


@pytest.mark.attack
async def test_an_entry_of_the_future_makes_no_other_old(pool: Pool) -> None:
    """Whoever writes one of ten years ahead gets nothing deleted by it, and is found out."""
    present = datetime.now(UTC)
    await write(pool, 3, present)
    await write(pool, 1, present + timedelta(days=3650), "future")
    await seal_committed(pool, KEYRING)
    assert await delete_old(pool) == 0
    async with pool.acquire() as conn:
        broken = (await verify(conn, KEYRING, present)).broken
    assert broken is not None
    assert (broken.no, broken.why) == (4, "it is of the future")


@pytest.mark.attack
async def test_an_entry_that_is_dated_back_stays(pool: Pool, owner: Connection) -> None:
    """A process with a wrong clock, or an intruder, writes what would be past its duty at once."""
    present = datetime.now(UTC)
    (entry_id,) = await write(pool, 1, present - timedelta(days=3650))
    await seal_committed(pool, KEYRING)
    assert await delete_old(pool) == 0
    await tamper(owner, "DELETE FROM audit_entries WHERE id = $1", entry_id)
    async with pool.acquire() as conn:
        broken = (await verify(conn, KEYRING, present)).broken
    assert broken is not None
    assert broken.why == "the entry is missing"


SWAP = """
    UPDATE audit_entries a SET {column} = b.{column}
    FROM audit_entries b WHERE a.id IN ({x}, {y}) AND b.id IN ({x}, {y}) AND a.id <> b.id
"""


TAMPERINGS: list[tuple[str, int | None, str]] = [
    *(
        (f"UPDATE audit_entries SET {column} = {value} WHERE id = {{2}}", 2, "not as it was")
        for column, value in {
            "action": "'other'",
            "at": "at + interval '1 microsecond'",
            "via": "'cli'",
            "actor_id": "uuidv7()",
            "department_id": "NULL",
            "object_kind": "'users'",
            "object_id": "'77'",
            "request_id": "NULL",
            "request_hash": "'\\x00'",
            "details": "details || '{{\"count\": 77}}'",
        }.items()
    ),
    (SWAP.format(column="object_id", x="{1}", y="{3}"), 1, "not as it was"),
    ("DELETE FROM audit_entries WHERE id = {2}", 2, "the entry is missing"),
    ("DELETE FROM audit_seals WHERE no = 3", 4, "seal 3, which comes before it, is missing"),
    ("DELETE FROM audit_seals WHERE no = 5", None, "kept from being sealed"),
    ("UPDATE audit_seals SET digest = seal WHERE no = 4", 4, "does not follow"),
    ("UPDATE audit_seals SET seal = digest WHERE no = 4", 4, "does not follow"),
    ("UPDATE audit_seals SET at = at - interval '9 years' WHERE no = 4", 4, "does not follow"),
    ("UPDATE audit_seals SET entry_id = uuidv7() WHERE no = 4", 4, "does not follow"),
    ("DELETE FROM audit_unsealed", None, "kept from being sealed"),
    ("DELETE FROM audit_entries WHERE id = {6}", None, "waits for its seal and is missing"),
]


@pytest.mark.attack
async def test_whoever_may_do_everything_is_still_found_out(
    pool: Pool, owner: Connection, now: datetime
) -> None:
    for statement, at, why in TAMPERINGS:
        async with pool.acquire() as conn:
            await owner.execute("SET session_replication_role = replica")  # a superuser's
            await owner.execute("TRUNCATE audit_entries, audit_seals, audit_unsealed")
            await owner.execute("RESET session_replication_role")
            ids = await write(pool, 5, now)
            await seal_committed(pool, KEYRING)
            ids += await write(pool, 1, now, "last")
            assert (await verify(conn, KEYRING, now)).broken is None
            await owner.execute("SET session_replication_role = replica")
            await owner.execute(statement.format("", *(f"'{entry_id}'" for entry_id in ids)))
            await owner.execute("RESET session_replication_role")
            broken = (await verify(conn, KEYRING, now)).broken
        assert broken is not None, statement
        assert broken.no == at, statement
        assert why in broken.why, statement
        if at is not None and "audit_entries" in statement:
            assert broken.entry_id == ids[at - 1], statement


@pytest.mark.attack
async def test_a_chain_made_anew_or_cut_short_is_known_by_a_seal_that_was_written_down(
    pool: Pool, owner: Connection, now: datetime
) -> None:
    await write(pool, 4, now)
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        known = (await verify(conn, KEYRING, now)).head
        assert (await verify(conn, KEYRING, now, known)).broken is None
        await owner.execute("SET session_replication_role = replica")
        await owner.execute("DELETE FROM audit_entries WHERE object_id = '3'")
        await owner.execute("DELETE FROM audit_seals WHERE no = 4")
        assert (await verify(conn, KEYRING, now)).broken is None  # the chain alone cannot tell
        cut = (await verify(conn, KEYRING, now, known)).broken
        assert cut is not None
        assert "before one that was written down" in cut.why
        await owner.execute("DELETE FROM audit_seals")
        await owner.execute("UPDATE audit_entries SET action = 'other'")
        await owner.execute("INSERT INTO audit_unsealed SELECT id FROM audit_entries")
        await owner.execute("RESET session_replication_role")
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        assert (await verify(conn, KEYRING, now)).broken is None
        anew = (await verify(conn, KEYRING, now, replace(known, no=3))).broken
    assert anew is not None
    assert anew.why == "it is not the seal that was written down"


async def tocsin_audit(
    database_url: str, key_file: Path, now: datetime, *arguments: str
) -> tuple[int | None, str, str]:
    """What `tocsin audit verify` ends with and says, by a clock that shows `now`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "audit", "verify", *arguments,
        env={"TOCSIN_DATABASE_URL": database_url, "TOCSIN_REDIS_URL": "redis://127.0.0.1:1",
             "TOCSIN_KEY_FILE": str(key_file), "TOCSIN_CLOCK_START": now.isoformat(),
             "TOCSIN_CLOCK_ANCHOR": str(time.time())},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.slow
async def test_the_command_names_the_first_broken_entry(
    pool: Pool, owner: Connection, database_url: str, key_file: Path, now: datetime
) -> None:
    ids = await write(pool, 3, now)
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        head = str((await verify(conn, KEYRING, now)).head)
    assert await tocsin_audit(database_url, key_file, now, "--head", head) == (
        0,
        f"ok: 3 entries as they were sealed, 0 not sealed yet\nhead {head}\n",
        "",
    )
    async with pool.acquire() as conn:
        await owner.execute("SET session_replication_role = replica")
        await owner.execute("UPDATE audit_entries SET action = 'other' WHERE object_id <> '0'")
        await owner.execute("RESET session_replication_role")
    assert await tocsin_audit(database_url, key_file, now) == (
        1,
        "",
        f"broken at entry {ids[1]} (seal 2): the entry is not as it was sealed\n",
    )


COLUMNS = (
    "at, via, actor_id, department_id, action, object_kind, object_id, request_id, request_hash,"
    " details, mac"
)
FORGE = f"INSERT INTO audit_entries ({COLUMNS}) SELECT {{}} FROM audit_entries WHERE id = $1"
"""What the service's role may do: an entry that says what a true one says, but for one thing."""

FORGERIES = {
    "at": "at + interval '1 microsecond'",
    "via": "'cli'",
    "actor_id": "uuidv7()",
    "department_id": "NULL",
    "action": "'other'",
    "object_kind": "'users'",
    "object_id": "'77'",
    "request_id": "'r-77'",
    "request_hash": "'\\x00'",
    "details": "details || '{\"count\": 77}'",
    "mac": "substr(sha256(mac), 1, 24)",
}


@pytest.mark.attack
async def test_whoever_holds_the_services_role_writes_in_nobodys_name(
    pool: Pool, owner: Connection, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    (true,) = await write(pool, 1, now)
    await seal_committed(pool, KEYRING)
    forged = [
        FORGE.format(", ".join(FORGERIES[c] if c == name else c for c in COLUMNS.split(", ")))
        for name in FORGERIES
    ]
    for statement in (*forged, FORGE.format(COLUMNS)):
        await pool.execute(statement, true)
    for mac in ("NULL", "''", "mac || '\\x00'"):
        with pytest.raises(CheckViolationError):
            await pool.execute(FORGE.format(COLUMNS.replace("mac", mac)), true)
    await write(pool, 2, now + timedelta(seconds=1))
    assert await seal_committed(pool, KEYRING) == len(FORGERIES) + 3
    assert "no process of ours has written" in caplog.text
    async with pool.acquire() as conn:
        verdict = await verify(conn, KEYRING, now)
    assert (verdict.broken, verdict.entries, verdict.head.no) == (None, 3, len(FORGERIES) + 4)
    named = [(foreign.no, foreign.why) for foreign in verdict.foreign]
    assert named == [(no + 2, INVALID) for no in range(len(FORGERIES))] + [
        (len(FORGERIES) + 2, COPIED)
    ]
    assert verdict.foreigners == len(named)
    # What comes after a foreign entry is still looked at.
    await tamper(
        owner, "UPDATE audit_entries SET action = 'x' WHERE at >= $1", now + timedelta(seconds=1)
    )
    async with pool.acquire() as conn:
        broken = (await verify(conn, KEYRING, now)).broken
    assert broken is not None
    assert broken.no == len(FORGERIES) + 3


UNREADABLE = {
    "details": [
        "'[1]'",
        "jsonb_build_object('n', ('1' || repeat('0', 5000))::numeric)",
        "jsonb_build_object('n', (repeat('[', 5000) || repeat(']', 5000))::jsonb)",
    ],
    "at": ["'infinity'", "'20000-01-01'"],
}
"""What PostgreSQL keeps and the sealer could not read."""


@pytest.mark.attack
@pytest.mark.parametrize("column", UNREADABLE)
async def test_no_entry_stops_the_sealing(pool: Pool, now: datetime, column: str) -> None:
    (true,) = await write(pool, 1, now)
    for value in UNREADABLE[column]:
        values = [value if c == column else c for c in COLUMNS.split(", ")]
        with pytest.raises(CheckViolationError, match="audit_entries_readable"):
            await pool.execute(FORGE.format(", ".join(values)), true)
    assert await seal_committed(pool, KEYRING) == 1


@pytest.mark.attack
async def test_the_command_names_what_nobody_of_ours_has_written(
    pool: Pool, database_url: str, key_file: Path, now: datetime
) -> None:
    (true,) = await write(pool, 1, now)
    await pool.execute(FORGE.format(COLUMNS), true)
    await seal_committed(pool, KEYRING)
    copy = await pool.fetchval("SELECT id FROM audit_entries WHERE id <> $1", true)
    code, out, err = await tocsin_audit(database_url, key_file, now)
    assert (code, out, err) == (1, "", f"foreign: entry {copy} (seal 2): {COPIED}\n")


async def test_the_command_takes_no_other_key(
    pool: Pool, database_url: str, tmp_path: Path, now: datetime
) -> None:
    """With another key every entry would look foreign."""
    async with transaction(pool) as conn:
        await check_key(conn, KEYRING)
    await write(pool, 1, now)
    other = tmp_path / "other.key"
    create_key_file(other)
    code, _, err = await tocsin_audit(database_url, other, now)
    assert code != 0
    assert "not the one the database was written with" in err
    assert "foreign" not in err


async def test_entries_from_before_there_were_macs_are_ours_and_none_later_is(
    pool: Pool, owner: Connection, now: datetime
) -> None:
    await owner.execute("ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_mac")
    unmarked = "INSERT INTO audit_entries (at, via, action) VALUES ($1, 'cli', 'do')"
    for _ in range(2):
        await owner.execute(unmarked, now)
    await seal_committed(pool, KEYRING)
    await write(pool, 1, now)
    async with pool.acquire() as conn:
        assert (await verify(conn, KEYRING, now)).foreign == []
    await owner.execute(unmarked, now)  # by whoever may change the table
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        verdict = await verify(conn, KEYRING, now)
    assert [(foreign.no, foreign.why) for foreign in verdict.foreign] == [(4, UNMARKED)]


@pytest.mark.attack
async def test_a_copy_of_an_entry_that_is_gone_is_known_by_its_age(
    pool: Pool, owner: Connection, now: datetime
) -> None:
    past = timedelta(days=1096, hours=1)
    old = await write_old(owner, past, past)
    values = await owner.fetchrow(f"SELECT {COLUMNS} FROM audit_entries WHERE id = $1", old)
    present = datetime.now(UTC)
    await write(pool, 1, present)
    await seal_committed(pool, KEYRING)
    assert await delete_old(pool) == 1
    await pool.execute(
        f"INSERT INTO audit_entries ({COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *(values or ()),
    )
    await seal_committed(pool, KEYRING)
    async with pool.acquire() as conn:
        verdict = await verify(conn, KEYRING, present)
    assert [(foreign.no, foreign.why) for foreign in verdict.foreign] == [(3, LATE)]


async def test_macs_outlive_a_rotation_of_the_master_key(pool: Pool, now: datetime) -> None:
    await write(pool, 1, now)
    both = Keys({1: KEY, 2: b"\x02" * 32})
    async with transaction(pool) as conn:
        await store.insert_entry(conn, Keyring(both), AuditAct("do", now, "cli"))
    left = Keyring(Keys({2: b"\x02" * 32}, both.index_key()))
    async with transaction(pool) as conn:
        await store.insert_entry(conn, left, AuditAct("do", now, "cli"))
    await seal_committed(pool, left)
    async with pool.acquire() as conn:
        for keyring in (KEYRING, left):
            verdict = await verify(conn, keyring, now)
            assert (verdict.foreigners, verdict.entries) == (0, 3)
        assert (await verify(conn, Keyring(b"\x03" * 32), now)).foreigners == 3


ODD: tuple[dict[Any, Any], ...] = (
    {},
    {"a": 1e16, "b": -0.0, "c": 1e-7, "d": 1.0, "e": 123456789012345678901, "f": 0.1, "g": 1.5e300},
    {10: "int", 9: ["tuple", ("x", {"z": 1, "y": None})]},
    {"名": "\u2028\U0001f600\x7f\\", "": True},
)


@pytest.mark.parametrize("details", ODD)
async def test_what_an_entry_says_is_the_same_once_it_is_stored(
    conn: Connection, now: datetime, details: Any
) -> None:
    at = now.astimezone(timezone(timedelta(hours=8))) + timedelta(microseconds=1)
    act = AuditAct("do", at, "api", uuid4(), None, "k", "7", "", b"", details)
    await store.insert_entry(conn, KEYRING, act)
    (entry,) = await store.unsealed_entries(conn, 2)
    assert entry.act.said() == act.said()
    assert not entry.is_foreign(KEYRING)
    assert entry.mac is not None
    assert len(entry.mac) == MAC_OCTETS
    assert not AuditEntry(uuid4(), act, make_mac(KEYRING, act)).is_foreign(KEYRING)
    assert make_mac(KEYRING, act) != make_mac(KEYRING, act)


@pytest.mark.parametrize("text", ["", "3", "3:77", "0:" + "00" * 32, "x:" + "00" * 32, ":" * 66])
def test_a_head_that_was_not_printed_by_us_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="as it was printed"):
        parse_head(text)
    assert str(parse_head("3:" + "07" * 32)) == "3:" + "07" * 32
