"""Whom an expansion writes to: people on lists that still hold."""

from datetime import timedelta
from typing import Any

from service.audience.rosters import day_in_china
from service.campaigns.preview import preview_rule
from service.crypto import Keyring
from service.dispatch.expand import expand_run
from service.storage.postgres import Connection, Pool
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone


async def on_a_roster(
    conn: Connection, keyring: Keyring, scene: Scene, people: list[str], name: str, last_day: Any
) -> None:
    roster = await conn.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on) "
        "VALUES ($1, $2, 'consent', $3) RETURNING id",
        scene.department,
        name,
        last_day,
    )
    await conn.execute(
        "INSERT INTO links (contact_id, roster_id, digest, roles) "
        "SELECT id, $2, $4, '{}' FROM contacts WHERE phone_hash = ANY($3) AND department_id = $1",
        scene.department,
        roster,
        [keyring.phone_index(number) for number in people],
        name.encode(),
    )


async def test_whoever_is_on_expired_lists_only_is_not_written_to(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    """A list holds to the end of its last day in China (its basis ends with it)."""
    today = day_in_china(now)
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(4)], now)
        yesterday = today - timedelta(days=1)
        expired = [phone(0), phone(1)]
        await on_a_roster(conn, keyring, scene, expired, "old", yesterday)
        await on_a_roster(conn, keyring, scene, [phone(1), phone(2)], "current", today)
        await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now)
        seen = await preview_rule(conn, keyring, scene.department, "carrier = mobile", now)
    made = await expand_run(pool, run, now)
    assert made is not None
    written = {row["phone_hash"] for row in await pool.fetch("SELECT phone_hash FROM messages")}
    assert written == {keyring.phone_index(phone(n)) for n in (1, 2, 3)}
    assert seen.counts.target == made.target == 3


async def test_a_carriers_subscribers_go_over_its_own_lanes_to_its_own_network_alone(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    """Whoever is ported away is another carrier's by now, and no lane of all networks is used."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await conn.execute(
            "UPDATE departments SET kind = 'carrier', carrier = 'china_mobile' WHERE id = $1",
            scene.department,
        )
        people = [phone(n) for n in range(3)]
        await add_contacts(conn, keyring, scene, people, now)
        await conn.execute(
            "INSERT INTO carrier_overrides (phone_hash, carrier, source, set_by, set_at)"
            " VALUES ($1, 'china_unicom', 'operator', $2, $3)",
            keyring.phone_index(people[0]),
            scene.operator,
            now,
        )
        everybodys = await add_channel(conn, keyring, 1, now, rank=1)
        own = await add_channel(conn, keyring, 2, now, rank=9)
        await conn.execute("UPDATE channels SET carriers = '{china_mobile}' WHERE id = $1", own.id)
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET rule = 'gender != f' WHERE id = $1", run)
    made = await expand_run(pool, run, now)
    assert made is not None
    assert (made.target, made.excluded, made.channels) == (2, 1, [own.id])
    assert await pool.fetchval("SELECT reason FROM exclusions") == "no_route"
    assert await pool.fetchval("SELECT channels FROM runs WHERE id = $1", run) == [own.id]
    assert everybodys.id != own.id
