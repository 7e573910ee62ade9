"""The audit trail: only added to, sealed in a chain, and whoever touches it is found out."""

import asyncio
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from asyncpg import InsufficientPrivilegeError

from service.accounts import audit_store as store
from service.accounts.audit import KEPT, Act, Head
from service.accounts.audit_command import parse_head
from service.accounts.sealing import BATCH, seal_committed, verify
from service.errors import Misconfigured
from service.storage.postgres import Pool, transaction


async def write(pool: Pool, count: int, now: datetime, action: str = "do") -> list[UUID]:
    """Committed entries; their ids."""
    ids = []
    async with transaction(pool) as conn:
        for n in range(count):
            act = Act(
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
            ids.append(await store.insert_entry(conn, act))
    return ids


async def test_committed_entries_are_sealed_once_in_their_order(pool: Pool, now: datetime) -> None:
    ids = await write(pool, BATCH + 3, now)
    assert await seal_committed(pool) == BATCH + 3
    assert await seal_committed(pool) == 0
    async with pool.acquire() as conn:
        sealed = await conn.fetch("SELECT entry_id FROM audit_seals ORDER BY no")
        assert [row[0] for row in sealed] == ids
        verdict = await verify(conn)
    assert verdict.broken is None
    assert (verdict.entries, verdict.waiting, verdict.head.no) == (BATCH + 3, 0, BATCH + 3)


async def test_an_entry_that_commits_late_is_sealed_after_those_that_came_before(
    pool: Pool, now: datetime
) -> None:
    act = Act("late", now, "cli")
    async with pool.acquire() as slow:
        open_transaction = slow.transaction()
        await open_transaction.start()
        late = await store.insert_entry(slow, act)
        (early,) = await write(pool, 1, now)
        assert await seal_committed(pool) == 1
        await open_transaction.commit()
    assert await seal_committed(pool) == 1
    async with pool.acquire() as conn:
        order = await conn.fetch("SELECT entry_id FROM audit_seals ORDER BY no")
        assert [row[0] for row in order] == [early, late]
        assert late < early
        assert (await verify(conn)).broken is None


async def test_an_entry_whose_effect_fails_was_never_there(pool: Pool, now: datetime) -> None:
    async def effect() -> None:
        async with transaction(pool) as conn:
            await store.insert_entry(conn, Act("do", now, "cli"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await effect()
    assert await seal_committed(pool) == 0
    async with pool.acquire() as conn:
        assert (await verify(conn)).entries == 0


async def test_many_sealers_and_writers_at_once_make_one_chain(pool: Pool, now: datetime) -> None:
    writers = [write(pool, 20, now) for _ in range(10)]
    sealers = [seal_committed(pool) for _ in range(10)]
    await asyncio.gather(*writers, *sealers)
    await seal_committed(pool)
    async with pool.acquire() as conn:
        verdict = await verify(conn)
    assert (verdict.broken, verdict.entries, verdict.head.no) == (None, 200, 200)


async def test_a_sealer_that_dies_leaves_nothing_half_sealed(pool: Pool, now: datetime) -> None:
    await write(pool, 3, now)
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert await store.try_lock_sealing(conn)
        entries = await store.unsealed_entries(conn, 10)
        await store.insert_seals(conn, [Head().next(entries[0])])
        assert await seal_committed(pool) == 0  # it is still at work
        await transaction.rollback()
    assert await seal_committed(pool) == 3
    async with pool.acquire() as conn:
        assert (await verify(conn)).broken is None


async def test_the_database_refuses_to_change_it(pool: Pool, now: datetime) -> None:
    await write(pool, 1, now)
    await seal_committed(pool)
    async with pool.acquire() as conn:
        for table in ("audit_entries", "audit_seals"):
            for act in ("UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {}"):
                with pytest.raises(InsufficientPrivilegeError, match="append-only"):
                    await conn.execute(act.format(table))


async def test_only_what_is_past_its_record_duty_may_go_and_its_seal_stays(
    pool: Pool, now: datetime
) -> None:
    old = await write(pool, 2, now - KEPT - timedelta(seconds=1))
    kept = await write(pool, 2, now - KEPT + timedelta(seconds=1))
    new = await write(pool, 1, now)
    await seal_committed(pool)
    async with pool.acquire() as conn:
        await conn.execute("DELETE FROM audit_entries WHERE id = ANY ($1)", old)
        verdict = await verify(conn)
        assert (verdict.broken, verdict.entries, verdict.gone) == (None, 3, 2)
        for entry_id in (*kept, *new):
            with pytest.raises(InsufficientPrivilegeError, match="append-only"):
                await conn.execute("DELETE FROM audit_entries WHERE id = $1", entry_id)
        await conn.execute("SET session_replication_role = replica")
        await conn.execute("DELETE FROM audit_entries WHERE id = $1", kept[0])
        await conn.execute("RESET session_replication_role")
        broken = (await verify(conn)).broken
        assert broken is not None
        assert (broken.no, broken.why) == (3, "the entry is missing")


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


async def test_whoever_may_do_everything_is_still_found_out(pool: Pool, now: datetime) -> None:
    for statement, at, why in TAMPERINGS:
        async with pool.acquire() as conn:
            await conn.execute("SET session_replication_role = replica")  # a superuser's
            await conn.execute("TRUNCATE audit_entries, audit_seals, audit_unsealed")
            await conn.execute("RESET session_replication_role")
            ids = await write(pool, 5, now)
            await seal_committed(pool)
            ids += await write(pool, 1, now, "last")
            assert (await verify(conn)).broken is None
            await conn.execute("SET session_replication_role = replica")
            await conn.execute(statement.format("", *(f"'{entry_id}'" for entry_id in ids)))
            await conn.execute("RESET session_replication_role")
            broken = (await verify(conn)).broken
        assert broken is not None, statement
        assert broken.no == at, statement
        assert why in broken.why, statement
        if at is not None and "audit_entries" in statement:
            assert broken.entry_id == ids[at - 1], statement


async def test_a_chain_made_anew_or_cut_short_is_known_by_a_seal_that_was_written_down(
    pool: Pool, now: datetime
) -> None:
    await write(pool, 4, now)
    await seal_committed(pool)
    async with pool.acquire() as conn:
        known = (await verify(conn)).head
        assert (await verify(conn, known)).broken is None
        await conn.execute("SET session_replication_role = replica")
        await conn.execute("DELETE FROM audit_entries WHERE object_id = '3'")
        await conn.execute("DELETE FROM audit_seals WHERE no = 4")
        assert (await verify(conn)).broken is None  # the chain alone cannot tell
        cut = (await verify(conn, known)).broken
        assert cut is not None
        assert "before one that was written down" in cut.why
        await conn.execute("DELETE FROM audit_seals")
        await conn.execute("UPDATE audit_entries SET action = 'other'")
        await conn.execute("INSERT INTO audit_unsealed SELECT id FROM audit_entries")
        await conn.execute("RESET session_replication_role")
    await seal_committed(pool)
    async with pool.acquire() as conn:
        assert (await verify(conn)).broken is None
        anew = (await verify(conn, replace(known, no=3))).broken
    assert anew is not None
    assert anew.why == "it is not the seal that was written down"


async def tocsin_audit(database_url: str, *arguments: str) -> tuple[int | None, str, str]:
    """What `tocsin audit verify` ends with and says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "audit", "verify", *arguments,
        env={"TOCSIN_DATABASE_URL": database_url, "TOCSIN_REDIS_URL": "redis://127.0.0.1:1",
             "TOCSIN_KEY_FILE": "x"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_names_the_first_broken_entry(
    pool: Pool, database_url: str, now: datetime
) -> None:
    ids = await write(pool, 3, now)
    await seal_committed(pool)
    async with pool.acquire() as conn:
        head = str((await verify(conn)).head)
    assert await tocsin_audit(database_url, "--head", head) == (
        0,
        f"ok: 3 entries as they were sealed, 0 not sealed yet\nhead {head}\n",
        "",
    )
    async with pool.acquire() as conn:
        await conn.execute("SET session_replication_role = replica")
        await conn.execute("UPDATE audit_entries SET action = 'other' WHERE object_id <> '0'")
        await conn.execute("RESET session_replication_role")
    assert await tocsin_audit(database_url) == (
        1,
        "",
        f"broken at entry {ids[1]} (seal 2): the entry is not as it was sealed\n",
    )


@pytest.mark.parametrize("text", ["", "3", "3:77", "0:" + "00" * 32, "x:" + "00" * 32, ":" * 66])
def test_a_head_that_was_not_printed_by_us_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="as it was printed"):
        parse_head(text)
    assert str(parse_head("3:" + "07" * 32)) == "3:" + "07" * 32
