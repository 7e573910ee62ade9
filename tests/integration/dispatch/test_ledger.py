"""What the ledger itself guarantees (I1, I12), whatever the code above it thinks."""

import asyncio
from uuid import UUID

import pytest

from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import Pool, UniqueViolation, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone, states
from tests.harness.waiting import until_blocked


async def expanded(pool: Pool, keyring: Keyring, clock: Clock, people: int) -> UUID:
    async with pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], clock.now())
        await add_channel(conn, keyring, 1, clock.now())
        run = await add_run(conn, scene, clock.now())
    await expand_run(pool, run, clock.now())
    return run


async def test_a_person_stands_once_in_a_run(pool: Pool, keyring: Keyring, clock: Clock) -> None:
    run = await expanded(pool, keyring, clock, 3)
    with pytest.raises(UniqueViolation):
        await pool.execute(
            "INSERT INTO messages"
            " (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)"
            " SELECT run_id, 99, phone_hash, phone_cipher, channel_id, carrier, roles"
            " FROM messages WHERE run_id = $1 AND no = 1",
            run,
        )


async def test_a_run_is_expanded_once(pool: Pool, keyring: Keyring, clock: Clock) -> None:
    run = await expanded(pool, keyring, clock, 3)
    assert await expand_run(pool, run, clock.now()) is None
    async with pool.acquire() as conn:
        assert await states(conn, run) == {"queued": 3}


async def test_a_ledger_that_is_being_written_is_left_to_whoever_writes_it(
    pool: Pool, keyring: Keyring, clock: Clock
) -> None:
    """The sweep rings for it every few seconds; each ring would wait with a connection."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(3)], clock.now())
        await add_channel(conn, keyring, 1, clock.now())
        run = await add_run(conn, scene, clock.now())
    async with transaction(pool) as conn:
        await conn.execute("LOCK TABLE exclusions IN ACCESS EXCLUSIVE MODE")
        writing = asyncio.create_task(expand_run(pool, run, clock.now()))
        await until_blocked(pool, writing)
        async with asyncio.timeout(5):
            assert await expand_run(pool, run, clock.now()) is None
    made = await writing
    assert made is not None
    assert made.target == 3


async def test_whom_nobody_may_reach_is_left_out_by_name(
    pool: Pool, keyring: Keyring, clock: Clock
) -> None:
    async with pool.acquire() as conn:
        now = clock.now()
        scene = await make_scene(conn, now, text="{姓名}，您好")
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(4)], now)
        hashes = [keyring.phone_index(phone(n)) for n in range(4)]
        await conn.execute(
            "INSERT INTO suppressions (phone_hash, reason, created_at) "
            "VALUES ($1, 'protected', $2)",
            hashes[0],
            now,
        )
        await conn.execute("UPDATE contacts SET synthetic = false WHERE phone_hash = $1", hashes[1])
        await conn.execute(
            "UPDATE contacts SET name_cipher = $2 WHERE phone_hash = $1",
            hashes[3],
            keyring.encrypt("name", "方敏"),
        )
        await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now, text="【县反诈中心】{姓名}，您好")
        made = await expand_run(pool, run, now)
        assert made is not None
        assert (made.target, made.excluded) == (1, 3)
        rows = await conn.fetch("SELECT reason FROM exclusions WHERE run_id = $1", run)
    assert sorted(row["reason"] for row in rows) == ["no_name", "not_synthetic", "protected"]
