"""Webhooks on a real database and over real HTTP: what is told, and to whom it is told again."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.clock import CHINA
from service.crypto import Keyring
from service.delivery.webhooks import webhook_calls_store as calls
from service.delivery.webhooks import webhook_store as store
from service.delivery.webhooks.webhook import new_secret
from service.delivery.webhooks.webhooks import KEPT, SECRET, call_due, forget, hand_out
from service.dispatch.limits import allowance_store
from service.storage.postgres import Pool, Record, transaction
from tests.factories import Team, make_draft, make_team
from tests.harness.clocks import HandClock

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
NOBODY = UUID(int=0)
METADATA = "http://169.254.169.254/latest"
ALL = ["message.final", "run.finished", "import.finished", "webhook.disabled"]


@dataclass
class Receiver:
    """A department's server: what it was told, and what it answers next."""

    url: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[web.Request], Any] = lambda _: web.Response(status=204)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((dict(request.headers), await request.read()))
        answer = self.answer(request)
        taken: web.StreamResponse = await answer if asyncio.iscoroutine(answer) else answer
        return taken

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/hook"))
        yield found


@dataclass
class World:
    """A department with a webhook, a run of three texts whose ends are told, and a clock."""

    pool: Pool
    keyring: Keyring
    clock: HandClock
    team: Team
    secret: str
    webhook: UUID = NOBODY
    run: UUID = NOBODY

    async def add_webhook(self, url: str, events: list[str] = ALL) -> UUID:
        async with transaction(self.pool) as conn:
            cipher = self.keyring.encrypt(SECRET, self.secret)
            made = await store.insert_webhook(
                conn,
                self.team.department_id,
                url,
                events,
                cipher,
                self.team.admin.id,
                self.clock.at,
            )
        return made.id

    async def add_run(self, texts: int = 3) -> UUID:
        async with transaction(self.pool) as conn:
            draft = await make_draft(conn, self.team.operator, now=self.clock.at)
            run: UUID = await conn.fetchval(
                """
                INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                                  rule, send_hours, timezone, created_at, target)
                VALUES ($1, $2, $3, 'sent', 'normal', 'service', '', '', '[]', '', $3, $4)
                RETURNING id
                """,
                draft.id,
                self.team.department_id,
                self.clock.at,
                texts,
            )
            await conn.execute(
                """
                INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier,
                                      roles, state, told)
                SELECT $1, n, decode(lpad(n::text, 32, '0'), 'hex'), '\\x', 1, '', '{}',
                       'submitted', is_told($2, 'message.final')
                FROM generate_series(1, $3::int) n
                """,
                run,
                self.team.department_id,
                texts,
            )
        return run

    async def end(self, no: int, state: str = "delivered", run: UUID | None = None) -> None:
        await self.pool.execute(
            """
            UPDATE messages SET state = $3::message_state, final_at = $4
            WHERE run_id = $1 AND no = $2
            """,
            run or self.run,
            no,
            state,
            self.clock.at,
        )

    async def call(self, webhook: UUID | None = None) -> int:
        """What the scheduler and the worker do, once."""
        due = await hand_out(self.pool, self.clock.at)
        chosen = webhook or self.webhook
        if chosen not in due:
            return 0
        return await call_due(self.pool, self.keyring, self.clock, chosen, LOOPBACK, CHINA)

    async def deliveries(self) -> list[Record]:
        async with self.pool.acquire() as conn:
            return await calls.list_deliveries(conn, self.webhook, None, 500, None)

    async def shown(self) -> store.Webhook:
        async with self.pool.acquire() as conn:
            return await store.get_webhook(conn, self.webhook, None)


@pytest.fixture
async def world(pool: Pool, keyring: Keyring, now: datetime, receiver: Receiver) -> World:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
    made = World(pool, keyring, HandClock(now), team, new_secret())
    made.webhook = await made.add_webhook(receiver.url)
    made.run = await made.add_run()
    return made


@pytest.mark.attack
async def test_each_end_is_told_once_and_signed(world: World, receiver: Receiver) -> None:
    for no, state in ((1, "delivered"), (2, "undelivered"), (1, "delivered")):
        await world.end(no, state)
    assert await world.call() == 2
    assert await world.call() == 0
    told = {event["data"]["message_id"]: event["data"]["state"] for event in receiver.told}
    assert told == {f"{world.run}.1": "delivered", f"{world.run}.2": "undelivered"}
    for headers, body in receiver.calls:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(world.secret.removeprefix("whsec_"))
        made = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{made}"


async def test_what_is_not_final_and_what_was_undone_is_not_told(
    world: World, receiver: Receiver
) -> None:
    await world.end(1, "uncertain")
    async with world.pool.acquire() as conn:
        undone = conn.transaction()
        await undone.start()
        await conn.execute("UPDATE messages SET state = 'delivered' WHERE run_id = $1", world.run)
        await undone.rollback()
    assert await world.call() == 0
    assert receiver.calls == []


async def test_of_two_events_about_one_text_the_newer_has_the_higher_version(
    world: World, receiver: Receiver
) -> None:
    await world.end(1, "unknown")
    await world.end(1, "delivered")
    await world.call()
    versions = {event["data"]["state"]: event["version"] for event in receiver.told}
    assert versions["unknown"] < versions["delivered"]


@pytest.mark.attack
async def test_runs_and_imports_are_told_and_strangers_are_not(
    world: World, receiver: Receiver
) -> None:
    async with transaction(world.pool) as conn:
        other = await make_team(conn, now=world.clock.at)
    mine, world.team = world.team, other
    theirs = await world.add_run()
    world.team = mine
    for run in (world.run, theirs):
        await world.pool.execute(
            "UPDATE runs SET settled_at = $2 WHERE id = $1", run, world.clock.at
        )
    await world.end(1, run=theirs)
    await world.call()
    assert [(e["type"], e["data"]["run_id"]) for e in receiver.told] == [
        ("run.finished", str(world.run))
    ]


def cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


FAILURES: list[tuple[str, Callable[[web.Request], Any], int | None, str]] = [
    ("error", lambda _: web.Response(status=500), 500, "answered 500"),
    (
        "redirect",
        lambda _: web.Response(status=302, headers={"Location": METADATA}),
        302,
        "answered 302",
    ),
    ("refused", lambda _: web.Response(status=401), 401, "answered 401"),
    ("cut", cut, None, "no answer"),
]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("answer", "status", "error"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
async def test_a_failed_call_is_made_again_later_and_redirects_are_not_followed(
    world: World,
    receiver: Receiver,
    answer: Callable[[web.Request], Any],
    status: int | None,
    error: str,
) -> None:
    await world.end(1)
    receiver.answer = answer
    assert await world.call() == 0
    (row,) = await world.deliveries()
    assert (row["state"], row["attempt"], row["status"]) == ("waiting", 1, status)
    assert error in row["error"]
    assert (await world.shown()).failing_since == world.clock.at
    assert await world.call() == 0
    assert len(receiver.calls) == 1
    world.clock.at += timedelta(seconds=6)
    receiver.answer = lambda _: web.Response(status=200)
    assert await world.call() == 1
    assert (await world.shown()).failing_since is None


@pytest.mark.attack
async def test_one_that_hangs_is_let_go_and_delays_no_other(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.delivery.webhooks.webhooks.CALL_SECONDS", 0.3)
    other = await world.add_webhook(receiver.url.replace("/hook", "/other"), ["message.final"])
    gone = asyncio.Event()
    receiver.answer = lambda r: gone.wait() if r.path == "/hook" else web.Response()
    await world.end(1)
    await hand_out(world.pool, world.clock.at)
    hanging = asyncio.create_task(
        call_due(world.pool, world.keyring, world.clock, world.webhook, LOOPBACK, CHINA)
    )
    assert await call_due(world.pool, world.keyring, world.clock, other, LOOPBACK, CHINA) == 1
    assert await hanging == 0
    gone.set()
    assert "no answer within" in (await world.deliveries())[0]["error"]


@pytest.mark.attack
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.7",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_our_own_network_is_not_called(world: World, receiver: Receiver, host: str) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    chosen = await world.add_webhook(f"http://{host}:{port}/hook", ["message.final"])
    await world.end(1)
    await hand_out(world.pool, world.clock.at)
    assert await call_due(world.pool, world.keyring, world.clock, chosen, [], CHINA) == 0
    assert receiver.calls == []
    world.webhook = chosen
    error = (await world.deliveries())[0]["error"]
    assert "private network" in error or "Invalid" in error


@pytest.mark.attack
async def test_while_it_is_away_it_costs_one_call_at_a_time(
    world: World, receiver: Receiver
) -> None:
    world.run = await world.add_run(300)
    for no in range(1, 301):
        await world.end(no)
    receiver.answer = lambda _: web.Response(status=503)
    await world.call()
    first = len(receiver.calls)
    assert first <= 8
    for _ in range(10):
        world.clock.at += timedelta(minutes=11)
        await world.call()
    assert len(receiver.calls) == first + 10
    receiver.answer = lambda _: web.Response()
    for _ in range(60):
        world.clock.at += timedelta(minutes=10)
        await world.call()
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_gone_is_gone_and_the_others_are_told(world: World, receiver: Receiver) -> None:
    other = await world.add_webhook(receiver.url.replace("/hook", "/other"))
    receiver.answer = lambda r: web.Response(status=410 if r.path == "/hook" else 200)
    await world.end(1)
    await world.call()
    assert "410" in ((await world.shown()).disabled_why or "")
    await world.call(other)
    assert "webhook.disabled" in [event["type"] for event in receiver.told]
    before = len(receiver.calls)
    world.clock.at += timedelta(days=2)
    assert await world.call() == 0
    assert len(receiver.calls) == before


async def test_after_a_day_without_success_it_is_disabled_and_can_be_taken_up_again(
    world: World, receiver: Receiver
) -> None:
    await world.end(1)
    receiver.answer = lambda _: web.Response(status=500)
    for _ in range(200):
        await world.call()
        if (await world.shown()).disabled_at:
            break
        world.clock.at += timedelta(minutes=15)
    shown = await world.shown()
    assert shown.disabled_at is not None
    assert shown.failing_since is not None
    assert shown.disabled_at - shown.failing_since >= timedelta(hours=24)
    receiver.answer = lambda _: web.Response()
    async with transaction(world.pool) as conn:
        await store.edit_webhook(
            conn, world.webhook, shown.url, shown.events, world.clock.at, enabled=True
        )
        began = world.clock.at - timedelta(days=3)
        await calls.replay(conn, world.webhook, began, world.clock.at, all_of_them=False)
    receiver.calls.clear()
    world.clock.at += timedelta(hours=9)
    await world.call()
    assert {e["type"] for e in receiver.told} == {"message.final", "webhook.disabled"}


async def test_a_dead_caller_leaves_its_calls_to_the_next(world: World, receiver: Receiver) -> None:
    """Taken and never made: a kill -9 between the claim and the answer."""
    await world.end(1)
    await hand_out(world.pool, world.clock.at)
    until = world.clock.at + timedelta(seconds=60)
    async with transaction(world.pool) as conn:
        assert len(await calls.claim(conn, world.webhook, 10, until, world.clock.at)) == 1
    assert await world.call() == 0
    world.clock.at += timedelta(seconds=61)
    assert await world.call() == 1


async def test_two_callers_at_once_make_each_call_once(world: World, receiver: Receiver) -> None:
    for no in (1, 2, 3):
        await world.end(no)
    await hand_out(world.pool, world.clock.at)
    taken = await asyncio.gather(
        *[
            call_due(world.pool, world.keyring, world.clock, world.webhook, LOOPBACK, CHINA)
            for _ in range(4)
        ]
    )
    assert sum(taken) == len(receiver.calls) == 3


async def test_what_was_told_long_ago_is_forgotten_and_what_waits_is_not(
    world: World, receiver: Receiver
) -> None:
    await world.end(1)
    await world.call()
    await world.end(2)
    await hand_out(world.pool, world.clock.at)
    world.clock.at += KEPT + timedelta(hours=1)
    assert await forget(world.pool, world.clock.at) == 1
    assert len(await world.deliveries()) == 1


async def test_what_waits_for_a_webhook_that_is_switched_off_is_forgotten_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a receiver that nobody switches on again would be kept its events for ever."""
    monkeypatch.setattr("service.delivery.webhooks.webhooks.HAND_OUT", 1)
    for no in (1, 2, 3):
        await world.end(no)
    await hand_out(world.pool, world.clock.at)
    async with transaction(world.pool) as conn:
        assert await store.disable(conn, world.webhook, "gone", world.clock.at)
    world.clock.at += KEPT - timedelta(hours=1)
    assert await forget(world.pool, world.clock.at) == 0
    world.clock.at += timedelta(hours=2)
    assert await forget(world.pool, world.clock.at) == 4  # and the word that it was switched off
    assert await world.pool.fetchval("SELECT count(*) FROM webhook_deliveries") == 0


@pytest.mark.attack
async def test_the_callback_of_one_send_is_told_of_its_run_alone(
    world: World, receiver: Receiver
) -> None:
    async with transaction(world.pool) as conn:
        cipher = world.keyring.encrypt(SECRET, world.secret)
        args = (world.team.department_id, receiver.url, cipher, world.team.admin.id, world.clock.at)
        world.webhook = await store.callback_webhook(conn, *args)
        assert await store.callback_webhook(conn, *args) == world.webhook
    mine = await world.add_run()
    await world.pool.execute("UPDATE runs SET webhook_id = $2 WHERE id = $1", mine, world.webhook)
    await world.end(1, run=mine)
    await world.end(1)
    assert await world.call() == 1
    assert receiver.told[0]["data"]["run_id"] == str(mine)


async def test_however_many_callbacks_were_named_an_event_costs_the_same(world: World) -> None:
    async def hand_out_some() -> float:
        run = await world.add_run(300)
        await world.pool.execute(
            "UPDATE messages SET state = 'delivered', final_at = $2 WHERE run_id = $1",
            run,
            world.clock.at,
        )
        began = time.monotonic()
        await hand_out(world.pool, world.clock.at)
        return time.monotonic() - began

    few = max([await hand_out_some() for _ in range(3)])
    await world.pool.execute(
        "INSERT INTO webhooks (department_id, url, events, run_calls_back, secret_cipher, "
        "created_by, created_at) SELECT $1, 'https://x.example/' || n, "
        "'{message.final,run.finished}', true, '', $2, $3 FROM generate_series(1, 10000) n",
        world.team.department_id,
        world.team.admin.id,
        world.clock.at,
    )
    await world.pool.execute("ANALYZE webhooks")
    many = min([await hand_out_some() for _ in range(3)])
    assert many < 5 * few
    assert await world.pool.fetchval("SELECT count(*) FROM webhook_deliveries") == 6 * 300


async def test_a_quota_is_warned_of_once(world: World, receiver: Receiver) -> None:
    world.webhook = await world.add_webhook(receiver.url, ["quota.warning"])
    await world.pool.execute("UPDATE departments SET daily_quota = 10, yearly_quota = 1000")
    for used in (7, 0, 1, 2):
        async with transaction(world.pool) as conn:
            await allowance_store.free_parts(conn, world.team.department_id, world.clock.at)
            await allowance_store.use(conn, world.team.department_id, used, world.clock.at)
    assert await world.call() == 1
    (event,) = receiver.told
    assert (event["type"], event["data"]["span"]) == ("quota.warning", "day")
    assert (event["data"]["used"], event["data"]["quota"]) == (8, 10)
