"""Expansion by carrier on a real PostgreSQL: overrides, own channels, fallbacks, holds."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import hold_channel
from service.channels.contract.model import Channel, Hold
from service.channels.routing import route_store
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.reports.progress import run_report
from service.storage.postgres import Connection, Pool
from tests.harness.ledger import (
    Scene,
    add_channel,
    add_contacts,
    add_real_channel,
    add_run,
    make_scene,
    phone,
)

MOBILE, UNICOM, TELECOM, _ = CARRIERS


async def add_carrier_channel(
    conn: Connection, keyring: Keyring, now: datetime, *carriers: str, **columns: Any
) -> Channel:
    """A simulated channel of these carriers; `columns` as the table has them."""
    channel = await add_channel(conn, keyring, 1, now)
    for name, value in {"carriers": list(carriers), **columns}.items():
        await conn.execute(f"UPDATE channels SET {name} = $2 WHERE id = $1", channel.id, value)
    return channel


async def people(conn: Connection, keyring: Keyring, scene: Scene, now: datetime, n: int) -> None:
    await add_contacts(conn, keyring, scene, [phone(i) for i in range(n)], now)


async def ledger(
    pool: Pool, keyring: Keyring, scene: Scene, now: datetime, chosen: list[int] | None = None
) -> tuple[uuid.UUID, dict[int, tuple[int, str]], dict[int, str]]:
    """Expand a run: its id, (channel, carrier) by the person's number, exclusions likewise."""
    async with pool.acquire() as conn:
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET channels = $2 WHERE id = $1", run, chosen)
    assert await expand_run(pool, run, now) is not None
    numbers = {keyring.phone_index(phone(n)): n for n in range(50)}
    rows = await pool.fetch(
        "SELECT phone_hash, channel_id, carrier FROM messages WHERE run_id = $1", run
    )
    out = await pool.fetch("SELECT phone_hash, reason FROM exclusions WHERE run_id = $1", run)
    return (
        run,
        {numbers[row["phone_hash"]]: (row["channel_id"], row["carrier"]) for row in rows},
        {numbers[row["phone_hash"]]: row["reason"] for row in out},
    )


@pytest.fixture
async def scene(pool: Pool, keyring: Keyring, now: datetime) -> Scene:
    """A department with four contacts of China Mobile."""
    async with pool.acquire() as conn:
        made = await make_scene(conn, now)
        await people(conn, keyring, made, now, 4)
    return made


async def test_an_override_goes_before_what_the_contact_says(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        own = await add_carrier_channel(conn, keyring, now, MOBILE)
        other = await add_carrier_channel(conn, keyring, now, UNICOM)
        await route_store.set_override(
            conn, keyring.phone_index(phone(2)), UNICOM, scene.operator, now
        )
    run, rows, left_out = await ledger(pool, keyring, scene, now)
    assert rows == {
        0: (own.id, MOBILE),
        1: (own.id, MOBILE),
        2: (other.id, UNICOM),
        3: (own.id, MOBILE),
    }
    assert left_out == {}
    async with pool.acquire() as conn:
        report = await run_report(conn, run)
    assert {c: group["target"] for c, group in report["by_carrier"].items()} == {
        MOBILE: 3,
        UNICOM: 1,
    }


async def test_an_override_to_a_carrier_without_a_channel_leaves_the_person_out_by_name(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        await add_carrier_channel(conn, keyring, now, MOBILE)
        await route_store.set_override(
            conn, keyring.phone_index(phone(2)), TELECOM, scene.operator, now
        )
    run, rows, left_out = await ledger(pool, keyring, scene, now)
    assert (sorted(rows), left_out) == ([0, 1, 3], {2: "no_route"})
    carrier = await pool.fetchval("SELECT carrier FROM exclusions WHERE run_id = $1", run)
    assert carrier == TELECOM


async def test_a_fallback_takes_those_whose_carrier_has_no_channel(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        fallback = await add_carrier_channel(conn, keyring, now, UNICOM, on_net_only=False, rank=1)
        own = await add_carrier_channel(conn, keyring, now, MOBILE, rank=200)
        await route_store.set_override(
            conn, keyring.phone_index(phone(1)), TELECOM, scene.operator, now
        )
    _, rows, _ = await ledger(pool, keyring, scene, now)
    assert rows[0] == (own.id, MOBILE)
    assert rows[1] == (fallback.id, TELECOM)


async def test_a_held_channel_waits_unless_the_carrier_has_another(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        held = await add_carrier_channel(conn, keyring, now, MOBILE, rank=1)
        await add_carrier_channel(conn, keyring, now, UNICOM, on_net_only=False)
        await hold_channel(conn, held.id, Hold(now + timedelta(hours=1), "no balance"))
    _, rows, _ = await ledger(pool, keyring, scene, now)
    assert {channel for channel, _ in rows.values()} == {held.id}
    async with pool.acquire() as conn:
        other = await add_carrier_channel(conn, keyring, now, MOBILE, rank=500)
    later = now + timedelta(minutes=1)
    _, rows, _ = await ledger(pool, keyring, scene, later)
    assert {channel for channel, _ in rows.values()} == {other.id}
    _, rows, _ = await ledger(pool, keyring, scene, now + timedelta(hours=2))  # the hold is over
    assert {channel for channel, _ in rows.values()} == {held.id}


async def test_a_campaigns_own_list_limits_the_choice(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        await add_carrier_channel(conn, keyring, now, MOBILE)
        chosen = await add_carrier_channel(conn, keyring, now, MOBILE, rank=500)
    _, rows, _ = await ledger(pool, keyring, scene, now, [chosen.id])
    assert {channel for channel, _ in rows.values()} == {chosen.id}


async def test_real_and_synthetic_numbers_take_channels_of_their_own_kind(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        simulated = await add_carrier_channel(conn, keyring, now, MOBILE)
        real = await add_real_channel(conn, keyring, now)
        await conn.execute(
            "UPDATE contacts SET synthetic = false WHERE phone_hash = $1",
            keyring.phone_index(phone(1)),
        )
    _, rows, left_out = await ledger(pool, keyring, scene, now)
    assert left_out == {}
    assert {n: channel for n, (channel, _) in rows.items()} == {
        0: simulated.id,
        1: real,
        2: simulated.id,
        3: simulated.id,
    }
    await pool.execute("UPDATE channels SET enabled = false WHERE id = $1", simulated.id)
    _, rows, left_out = await ledger(pool, keyring, scene, now + timedelta(seconds=1))
    assert list(rows) == [1]
    assert left_out == dict.fromkeys((0, 2, 3), "synthetic_range")


async def test_every_row_lies_in_one_slice_of_its_channel(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    async with pool.acquire() as conn:
        for carrier in (MOBILE, UNICOM):
            await add_carrier_channel(conn, keyring, now, carrier)
        for n in (1, 3):
            await route_store.set_override(
                conn, keyring.phone_index(phone(n)), UNICOM, scene.operator, now
            )
    run, _, _ = await ledger(pool, keyring, scene, now)
    slices = await pool.fetch(
        """
        SELECT m.no, count(s.no) AS slices FROM messages m LEFT JOIN slices s
          ON s.run_id = m.run_id AND s.channel_id = m.channel_id
         AND m.no BETWEEN s.first_no AND s.last_no
        WHERE m.run_id = $1 GROUP BY m.no
        """,
        run,
    )
    assert {row["no"]: row["slices"] for row in slices} == {1: 1, 2: 1, 3: 1, 4: 1}


async def test_a_list_replaces_lists_and_proofs_but_nobodys_word(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    entered, listed, learned = (keyring.phone_index(phone(n)) for n in range(3))
    async with pool.acquire() as conn:
        channel = await add_carrier_channel(conn, keyring, now, TELECOM)
        await route_store.set_override(conn, entered, UNICOM, scene.operator, now)
        await conn.execute(
            "INSERT INTO carrier_overrides (phone_hash, carrier, source, channel_id, set_at) "
            "VALUES ($1, $2, 'learned', $3, $4)",
            learned,
            TELECOM,
            channel.id,
            now,
        )
        everybody = dict.fromkeys((entered, listed, learned), MOBILE)
        taken = await route_store.import_overrides(conn, everybody, scene.approver, now)
        assert taken == 2
        found = [await route_store.get_override(conn, h) for h in (entered, listed, learned)]
    assert [(f.carrier, f.source, f.channel_id) for f in found if f] == [
        (UNICOM, "operator", None),
        (MOBILE, "import", None),
        (MOBILE, "import", None),
    ]


async def test_what_is_known_of_a_number_can_be_replaced_and_forgotten(
    pool: Pool, keyring: Keyring, now: datetime, scene: Scene
) -> None:
    number = keyring.phone_index(phone(0))
    async with pool.acquire() as conn:
        await route_store.set_override(conn, number, UNICOM, scene.operator, now)
        await route_store.set_override(conn, number, TELECOM, scene.approver, now)
        found = await route_store.get_override(conn, number)
        assert found is not None
        assert (found.carrier, found.set_by) == (TELECOM, scene.approver)
        assert await route_store.delete_override(conn, number)
        assert not await route_store.delete_override(conn, number)
        assert await route_store.get_override(conn, number) is None
