"""What a department may not use (any more) is left out at the expansion, by name."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from service.accounts.departments.department_store import register
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff.sweep_store import close_finished_runs
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone

PEOPLE = 4


async def _expanded(
    pool: Pool, keyring: Keyring, now: datetime, *statements: str, mode: str = "live"
) -> tuple[Scene, Any]:
    """A run of four people on two channels, expanded after these changes to its department."""
    async with transaction(pool) as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(PEOPLE)], now)
        for channel in (1, 2):
            await add_channel(conn, keyring, channel, now)
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET key_mode = $2 WHERE id = $1", run, mode)
        for statement in statements:
            await conn.execute(statement, scene.department)
    await expand_run(pool, run, now)
    return scene, run


async def _excluded(pool: Pool) -> dict[str, int]:
    return Counter(row["reason"] for row in await pool.fetch("SELECT reason FROM exclusions"))


SET = "UPDATE departments SET {} WHERE id = $1"
AREAS = """
    INSERT INTO areas (code, name, level, parent_code) VALUES
        ('341825000000', '县', 'county', NULL), ('341825100000', '镇', 'town', '341825000000'),
        ('341825100001', '村', 'village', '341825100000'), ('341825200000', '乡', 'town',
        '341825000000')
"""


async def test_a_class_that_was_taken_away_reaches_nobody(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    await _expanded(pool, keyring, now, SET.format("classes = '{service}'"))
    assert await _excluded(pool) == {"class_not_allowed": PEOPLE}
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0


async def test_a_run_takes_only_the_channels_of_its_department(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    _, run = await _expanded(pool, keyring, now, SET.format("channels = '{2}'"))
    used = await pool.fetch("SELECT DISTINCT channel_id FROM messages")
    assert [row["channel_id"] for row in used] == [2]
    # What is routed again looks here.
    assert await pool.fetchval("SELECT channels FROM runs WHERE id = $1", run) == [2]


async def test_without_any_channel_there_is_no_route(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    await _expanded(pool, keyring, now, SET.format("channels = '{}'"))
    assert await _excluded(pool) == {"no_route": PEOPLE}


async def test_people_of_other_areas_are_left_out(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        await conn.execute(AREAS)
    places = """
        CASE row_number() OVER (ORDER BY id) WHEN 1 THEN '341825100001'
        WHEN 2 THEN '341825200000' WHEN 3 THEN '341825100000' END
    """
    await _expanded(
        pool,
        keyring,
        now,
        SET.format("area_code = '341825100000'"),
        f"UPDATE contacts c SET area_code = p.place FROM (SELECT id, {places} AS place"
        " FROM contacts WHERE department_id = $1) p WHERE p.id = c.id",
    )
    assert await _excluded(pool) == {"outside_area": 1}  # where one lives may be unknown


async def test_the_signature_of_another_department_reaches_nobody(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        other = await make_scene(conn, now)
        await register(conn, "signature", "旌德县公安局", other.department, by=None, now=now)
    await _expanded(pool, keyring, now)
    assert await _excluded(pool) == {"signature_of_another": PEOPLE}


async def _add_guest(conn: Connection, keyring: Keyring, scene: Scene, number: str) -> None:
    await conn.execute(
        "INSERT INTO guests (department_id, phone_hash, phone_cipher, created_by, created_at)"
        " VALUES ($1, $2, '', $3, now())",
        scene.department,
        keyring.phone_index(number),
        scene.operator,
    )


@pytest.mark.attack
async def test_a_trial_reaches_only_the_guests_of_its_department(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        other = await make_scene(conn, now)
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(PEOPLE)], now)
        await add_channel(conn, keyring, 1, now)
        await _add_guest(conn, keyring, scene, phone(1))
        await _add_guest(conn, keyring, other, phone(2))
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET key_mode = 'trial' WHERE id = $1", run)
    await expand_run(pool, run, now)
    rows = await pool.fetch("SELECT phone_hash FROM messages")
    assert [row["phone_hash"] for row in rows] == [keyring.phone_index(phone(1))]
    assert await _excluded(pool) == {"not_a_guest": PEOPLE - 1}


@pytest.mark.attack
async def test_a_test_goes_through_everything_and_sends_nothing(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    _, run = await _expanded(pool, keyring, now, mode="test")
    rows = await pool.fetch("SELECT state, reason, channel_id FROM messages")
    assert [(row["state"], row["reason"]) for row in rows] == [("cancelled", "test_key")] * PEOPLE
    assert all(row["channel_id"] for row in rows)  # each had its way
    assert await pool.fetchval("SELECT count(*) FROM slices") == 0
    async with transaction(pool) as conn:
        assert len(await close_finished_runs(conn, now)) == 1
    assert await pool.fetchval("SELECT state FROM runs WHERE id = $1", run) == "sent"


@pytest.mark.parametrize("mode", ["live", "trial", "test"])
async def test_expanding_again_changes_nothing(
    pool: Pool, keyring: Keyring, now: datetime, mode: str
) -> None:
    _, run = await _expanded(pool, keyring, now, mode=mode)
    assert await expand_run(pool, run, now) is None
