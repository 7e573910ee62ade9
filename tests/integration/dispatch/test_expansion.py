"""Whom an expansion writes to: people on lists that still hold."""

from datetime import timedelta
from typing import Any

import pytest

from service.campaigns.audience.preview import preview_rule
from service.clock import day_in_china
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.reports.progress import run_report
from service.storage.postgres import Connection, Pool, transaction
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


async def test_a_carriers_subscribers_go_over_its_own_channels_to_its_own_network_alone(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    """Whoever is ported away is another carrier's now, and no channel of all networks is used."""
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
        own = await add_channel(conn, keyring, 2, now, rank=9, on_net_only=False)
        await conn.execute("UPDATE channels SET carriers = '{china_mobile}' WHERE id = $1", own.id)
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET rule = 'gender != f' WHERE id = $1", run)
    made = await expand_run(pool, run, now)
    assert made is not None
    assert (made.target, made.excluded, made.channels) == (2, 1, [own.id])
    assert await pool.fetchval("SELECT reason FROM exclusions") == "no_route"
    assert await pool.fetchval("SELECT channels FROM runs WHERE id = $1", run) == [own.id]
    assert everybodys.id != own.id


@pytest.mark.parametrize(
    ("rule", "roles", "merged"),
    [
        ("role = parent", ["parent", "finance", "resident"], {"finance": 1, "resident": 1}),
        ("role in (finance, parent)", ["finance", "parent", "resident"], None),
        ("not role = driver", ["finance", "parent", "resident"], None),
    ],
)
async def test_who_has_several_roles_gets_one_text_and_the_report_says_by_which(
    pool: Pool, keyring: Keyring, now: Any, rule: str, roles: list[str], merged: Any
) -> None:
    """Of the roles that the rule asks for; else any before resident. The others are merged."""
    today = day_in_china(now)
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(0)], now)
        for name, held, last_day in (
            ("a", ["resident", "parent"], today),
            ("b", ["finance"], today),
            ("expired", ["teacher"], today - timedelta(days=1)),
        ):
            await on_a_roster(conn, keyring, scene, [phone(0)], name, last_day)
            await conn.execute("UPDATE links SET roles = $1 WHERE digest = $2", held, name.encode())
        await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now)
        await conn.execute("UPDATE runs SET rule = $2 WHERE id = $1", run, rule)
    await expand_run(pool, run, now)
    async with transaction(pool) as conn:
        report = await run_report(conn, run)
        # How a ledger is counted is nothing to the rest of a transaction.
        assert await conn.fetchval("SHOW enable_sort") == "on"
        written = await conn.fetchval("SELECT roles FROM messages")
    assert written == roles
    merged = merged or dict.fromkeys(roles[1:], 1)
    assert report["merged"] == {role: {roles[0]: people} for role, people in merged.items()}
    assert {role: group["target"] for role, group in report["by_role"].items()} == dict.fromkeys(
        sorted(roles), 1
    )
