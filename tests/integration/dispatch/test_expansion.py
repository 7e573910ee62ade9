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
