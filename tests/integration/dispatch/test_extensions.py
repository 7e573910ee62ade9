"""Texts leave from their department's extension number, and what comes to it is the department's:
over the wire of all four carriers' protocols."""

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.accounts.departments.department_store import end_registration, register
from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import Channel, ChannelSettings
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.inbound.inbound import read_inbound
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.local.embedded import free_port
from service.simulator.carrier.config import Account, ListenerConfig
from service.simulator.carrier.replies import Replies, originate
from service.simulator.run import Simulator
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import ALWAYS, Scene, make_scene, phone
from tests.harness.links import LINKS, NUMBER, account_of
from tests.harness.simulated import ACCOUNT, SECRET
from tests.harness.stage import Scripted, SetUp, Stage, claim_one, done, working
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate


async def way(
    pool: Pool, keyring: Keyring, clock: Clock, carrier: Simulator, kind: str, listen: int
) -> Channel:
    where: dict[str, Any] = {"host": "127.0.0.1", "port": carrier.ports[kind]}
    if kind == "sgip":
        where |= {"listen_host": "127.0.0.1", "listen_port": listen}
    config = parse_settings(kind, account_of(kind, **where))
    settings = ChannelSettings(
        name=kind, kind=kind, simulated=True, carriers=tuple(CARRIERS), config=config
    )
    async with pool.acquire() as conn:
        return await insert_channel(conn, keyring, settings, clock.now())


async def send(
    pool: Pool, keyring: Keyring, clock: Clock, scene: Scene, channels: list[Channel]
) -> uuid.UUID:
    """A run of the scene's department to one person on each channel."""
    people = [
        Recipient(
            keyring.phone_index(phone(n)),
            keyring.encrypt("phone", phone(n)),
            "china_mobile",
            synthetic=True,
            channel_id=channel.id,
        )
        for n, channel in enumerate(channels)
    ]
    new = NewRun(
        kind="direct",
        department_id=scene.department,
        message_class="service",
        priority="normal",
        text=f"【某局】{scene.department}",
        channels=[channel.id for channel in channels],
        send_hours=ALWAYS,
        timezone="Asia/Shanghai",
        valid_until=clock.now() + timedelta(days=1),
        sent_by=scene.operator,
    )
    async with transaction(pool) as conn:
        return (await direct.start(conn, new, people, clock.now())).run_id


async def _all_taken(pool: Pool) -> bool:
    waiting: int = await pool.fetchval(
        "SELECT count(*) FROM messages WHERE state NOT IN ('submitted', 'delivered', 'undelivered')"
    )
    return waiting == 0


async def test_over_every_carriers_protocol(
    pool: Pool, keyring: Keyring, clock: Clock, simulate: Simulate, serve: Serve, tmp_path: Path
) -> None:
    """Three departments write to the same four people, the one without an extension last; each
    person answers all three.
    """
    listen = free_port()
    listener = ListenerConfig(port=listen, login=ACCOUNT, password=SecretStr(SECRET))
    account = Account(account=ACCOUNT, secret=SecretStr(SECRET), listener=listener)
    ports = {f"{kind}_port": 0 for kind in LINKS}
    async with simulate(accounts=(account,), **ports) as carrier:
        channels = [await way(pool, keyring, clock, carrier, kind, listen) for kind in LINKS]
        server = await serve()
        scenes: dict[str, Scene] = {}
        runs: dict[str, uuid.UUID] = {}
        for digits in ("96110", "08", ""):
            async with pool.acquire() as conn:
                scenes[digits] = await make_scene(conn, clock.now())
                if digits:
                    owner = scenes[digits].department
                    await register(conn, "extension", digits, owner, by=None, now=clock.now())
            runs[digits] = await send(pool, keyring, clock, scenes[digits], channels)
            for channel in channels:
                server.wakeups.wake(channel.id)
            await until(lambda: _all_taken(pool))
        carrier.smsc.journal.flush()
        lines = map(json.loads, (tmp_path / "journal").read_text().splitlines())
        left = {(e["protocol"], e["sender"]) for e in lines if e["event"] == "submit"}
        assert left == {(kind, NUMBER + digits) for kind in LINKS for digits in runs}
        for n, kind in enumerate(LINKS):
            asked = [
                {"phone": phone(n), "to": NUMBER + digits, "text": f"致{digits}"} for digits in runs
            ]
            order = {"account": ACCOUNT, "protocol": kind, "messages": asked}
            originate(carrier.smsc, Replies.model_validate(order))

        async def all_there() -> bool:
            return bool(await pool.fetchval("SELECT count(*) = $1 FROM inbound", 3 * len(LINKS)))

        await until(all_there)
    await read_inbound(pool, keyring, clock.now())
    texts = await pool.fetch("SELECT * FROM inbound_texts")
    assert {
        (
            channels[row["channel_id"] - channels[0].id].kind,
            keyring.decrypt("inbound", row["text_cipher"]),
            row["extension"],
            row["run_id"],
            row["department_id"],
        )
        for row in texts
    } == {
        (kind, f"致{digits}", digits or None, runs[digits], scenes[digits].department)
        for kind in LINKS
        for digits in runs
    }


async def extension_of(on: Stage) -> str:
    """What the next slice of the stage's channel leaves from."""
    lease = await on.take_over()
    async with transaction(on.pool) as conn:
        await conn.execute("UPDATE slices SET slot = NULL, epoch = NULL")
        claimed = await claim_one(conn, lease, on.now)
    assert claimed is not None
    return str(claimed["extension"])


async def test_the_one_registered_last_is_used_until_it_is_given_up(stage: SetUp) -> None:
    on = await stage(2)
    assert await extension_of(on) == ""
    mine = on.scene.department
    async with on.pool.acquire() as conn:
        other = await make_scene(conn, on.now)
        await register(conn, "extension", "77", other.department, by=None, now=on.now)
        for minutes, digits in enumerate(("08", "96110")):
            at = on.now + timedelta(minutes=minutes)
            await register(conn, "extension", digits, mine, by=None, now=at)
    assert await extension_of(on) == "96110"
    for own in ("08", ""):  # of the run, which goes before
        await on.pool.execute("UPDATE runs SET extension = $1", own)
        assert await extension_of(on) == own
    await on.pool.execute("UPDATE runs SET extension = NULL")
    for digits, then in (("96110", "08"), ("08", "")):
        async with on.pool.acquire() as conn:
            await end_registration(conn, "extension", digits, mine, on.now)
        assert await extension_of(on) == then


@pytest.mark.parametrize(("digits", "left"), [("12345678", "12345678"), ("123456789", "")])
async def test_what_has_no_room_all_the_same_leaves_from_the_bare_number(
    stage: SetUp, digits: str, left: str
) -> None:
    """Such as one that was registered before the channels were looked at."""
    on = await stage(3)
    async with on.pool.acquire() as conn:
        await register(conn, "extension", digits, on.scene.department, by=None, now=on.now)
    gateway = Scripted(lambda _: None)
    async with working(on, gateway) as sender:
        await until(lambda: _written(gateway, 3))
        await gateway.close(drain_seconds=0)
        await until(lambda: done(on), 10)
        await sender.end()
    assert {submission.extension for submission in gateway.submissions} == {left}


async def _written(gateway: Scripted, count: int) -> bool:
    return len(gateway.submissions) >= count
