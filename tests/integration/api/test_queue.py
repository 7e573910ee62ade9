"""What waits on a channel over HTTP: counted by slices, with what holds it, and for how long."""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.channels.config.store import get_hold, hold_channel
from service.channels.contract.model import Channel, Hold
from service.dispatch import fair_queue_store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.fair_queue import Charge, Flow
from service.dispatch.handoff import lease_store
from service.dispatch.handoff.lease_store import Lease
from service.storage.postgres import transaction
from tests.harness.instants import instant
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import claim_one, mark
from tests.integration.api.conftest import Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
SCHOOL = ("school", "viewer")


@dataclass
class BusyChannel:
    """A channel with people, and what a test does to it."""

    api: Api
    scene: Scene
    channel: Channel

    @property
    def path(self) -> str:
        return f"/channels/{self.channel.id}"

    async def run(self, **more: Any) -> uuid.UUID:
        async with self.api.runtime.pool.acquire() as conn:
            run = await add_run(conn, self.scene, self.api.clock.at, **more)
        assert await expand_run(self.api.runtime.pool, run, self.api.clock.at) is not None
        return run

    async def connect(self) -> Lease:
        async with transaction(self.api.runtime.pool) as conn:
            now = self.api.clock.at
            lease = await lease_store.claim_connection(conn, self.channel.id, 0, uuid.uuid4(), now)
            assert lease is not None
            await lease_store.note_connection(conn, lease, "up", "", now)
        return lease

    async def queue(self, who: tuple[str, str] = ADMIN) -> Any:
        answer = await self.api.get(f"{self.path}/queue", who)
        assert answer.status == 200, answer.body
        return answer.json

    async def only(self) -> Any:
        (of_class,) = (await self.queue())["classes"]
        return of_class


@pytest.fixture
async def busy(api: Api) -> BusyChannel:
    runtime, now = api.runtime, api.clock.at
    async with runtime.pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, runtime.keyring, scene, [phone(n) for n in range(300)], now)
        channel = await add_channel(conn, runtime.keyring, 1, now, tps=100)
    return BusyChannel(api, scene, channel)


async def test_an_idle_channel_has_nothing_waiting(busy: BusyChannel) -> None:
    await busy.connect()
    assert await busy.queue() == {
        "tps": 100,
        "rate": pytest.approx(98 / 1.01),
        "reasons": [],
        "day": {"quota": None, "used": 0},
        "month": {"quota": None, "used": 0},
        "classes": [],
    }


async def test_what_waits_by_class_and_department_with_the_expected_wait(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run(priority="urgent")
    await busy.run(priority="bulk")
    urgent, bulk = (await busy.queue())["classes"]
    assert (urgent["priority"], urgent["messages"], urgent["parts"]) == ("urgent", 300, 300)
    assert (bulk["priority"], bulk["messages"], bulk["paused"], bulk["reasons"]) == (
        "bulk", 300, 0, [],
    )  # fmt: skip
    assert urgent["expected_wait_seconds"] == round(300 / (98 / 1.01 * 0.95))
    assert bulk["expected_wait_seconds"] == round(600 / (98 / 1.01))
    (department,) = bulk["departments"]
    assert department["department_id"] == str(busy.scene.department)
    assert (department["weight"], department["messages"]) == (10, 300)


async def test_what_has_been_handed_off_waits_no_more(busy: BusyChannel) -> None:
    lease = await busy.connect()
    run = await busy.run()
    async with transaction(busy.api.runtime.pool) as conn:
        assert await claim_one(conn, lease, busy.api.clock.at) is not None
        await mark(conn, lease, run, range(1, 41), 1, busy.api.clock.at)
    assert (await busy.only())["messages"] == 260


async def test_without_a_connection_nobody_knows_how_long(busy: BusyChannel) -> None:
    await busy.run()
    queue = await busy.queue()
    assert [reason["name"] for reason in queue["reasons"]] == ["no_connection"]
    assert queue["classes"][0]["expected_wait_seconds"] is None
    await busy.connect()
    assert (await busy.only())["expected_wait_seconds"] == 3
    await busy.api.patch(busy.path, ADMIN, {"enabled": False})
    queue = await busy.queue()
    assert [reason["name"] for reason in queue["reasons"]] == ["disabled"]
    assert queue["classes"][0]["expected_wait_seconds"] is None


async def test_a_paused_campaign_is_counted_and_has_no_end(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run()
    await busy.api.runtime.pool.execute("UPDATE runs SET state = 'paused'")
    waiting = await busy.only()
    assert (waiting["messages"], waiting["paused"]) == (300, 300)
    assert waiting["expected_wait_seconds"] is None
    assert waiting["reasons"] == [{"name": "paused", "until": None, "detail": ""}]
    await busy.run()
    waiting = await busy.only()
    assert (waiting["messages"], waiting["paused"]) == (600, 300)
    assert waiting["expected_wait_seconds"] == 3


async def test_closed_hours_are_waited_out(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run(send_hours=[["10:00", "11:00"]])  # it is 09:30
    waiting = await busy.only()
    assert waiting["expected_wait_seconds"] == 30 * 60 + 3
    assert waiting["reasons"] == [
        {"name": "hours", "until": instant("2027-01-12T02:00:00Z"), "detail": ""}
    ]


async def test_maintenance_and_a_carriers_hold_are_named(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run()
    changed = await busy.api.patch(busy.path, ADMIN, {"maintenance": [["09:00", "09:45"]]})
    assert changed.status == 200, changed.body
    until = busy.api.clock.at + timedelta(minutes=5)
    async with busy.api.runtime.pool.acquire() as conn:
        await hold_channel(conn, busy.channel.id, Hold(until, "no balance"))
    queue = await busy.queue()
    assert queue["reasons"] == [
        {"name": "carrier", "until": instant("2027-01-12T01:35:00Z"), "detail": "no balance"},
        {"name": "maintenance", "until": instant("2027-01-12T01:45:00Z"), "detail": ""},
    ]
    assert queue["classes"][0]["expected_wait_seconds"] == 15 * 60 + 3


async def test_a_quota_is_shown_and_reckoned_with(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run()
    await busy.api.patch(busy.path, ADMIN, {"daily_quota": 200, "monthly_quota": 10_000})
    queue = await busy.queue()
    assert (queue["day"], queue["month"]) == (
        {"quota": 200, "used": 0},
        {"quota": 10_000, "used": 0},
    )
    to_morning = datetime(2027, 1, 13, 0, tzinfo=UTC) - busy.api.clock.at  # of the next day
    assert queue["classes"][0]["expected_wait_seconds"] == to_morning.total_seconds() + 1


async def test_another_quota_lifts_the_hold_of_the_old_one_and_no_other(busy: BusyChannel) -> None:
    pool, now = busy.api.runtime.pool, busy.api.clock.at
    until = now + timedelta(hours=1)
    for by, left in (("quota", False), ("carrier", True)):
        async with pool.acquire() as conn:
            await hold_channel(conn, busy.channel.id, Hold(until, "why", by))
        held = (await busy.api.get(busy.path, VIEWER)).json
        assert (held["held_why"], held["held_by"]) == ("why", by)
        changed = (await busy.api.patch(busy.path, ADMIN, {"daily_quota": 500})).json
        assert (changed["held_until"] is not None) is left
        async with pool.acquire() as conn:
            assert (await get_hold(conn, busy.channel.id, now) is not None) is left
    without = (await busy.api.patch(busy.path, ADMIN, {"daily_quota": None})).json
    assert without["daily_quota"] is None


async def test_texts_with_names_have_no_certain_number_of_parts(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.api.runtime.pool.execute(
        "UPDATE contacts SET name_cipher = $1", busy.api.runtime.keyring.encrypt("name", "张三")
    )
    await busy.run(text="【旌德县公安局】{姓名}，拿不准拨96110。")
    waiting = await busy.only()
    assert (waiting["messages"], waiting["parts"]) == (300, None)
    assert waiting["expected_wait_seconds"] == 3


async def test_without_a_limit_the_rate_is_the_measured_one(busy: BusyChannel) -> None:
    await busy.connect()
    await busy.run()
    await busy.api.patch(busy.path, ADMIN, {"tps": None})
    queue = await busy.queue()
    assert (queue["rate"], queue["classes"][0]["expected_wait_seconds"]) == (None, None)
    flow = Flow(1, busy.scene.department)
    began = busy.api.clock.at + timedelta(seconds=50)
    for second in range(0, 40, 2):
        async with busy.api.runtime.pool.acquire() as conn:
            at = began + timedelta(seconds=second)
            charges = {flow: Charge(30, 0.0, 0.0, 10)}
            await fair_queue_store.write_charges(conn, busy.channel.id, charges, at)
    busy.api.clock.at = began + timedelta(seconds=40)
    queue = await busy.queue()
    assert queue["rate"] == pytest.approx(15)
    assert queue["classes"][0]["expected_wait_seconds"] == 20
    busy.api.clock.at += timedelta(minutes=3)  # that was too long ago
    assert (await busy.queue())["rate"] is None


async def test_others_see_the_sums_and_their_own_department_alone(busy: BusyChannel) -> None:
    school = busy.api.teams["school"].viewer.department_id
    await busy.run()
    mine = await busy.run()
    await busy.api.runtime.pool.execute(
        "UPDATE runs SET department_id = $2 WHERE id = $1", mine, school
    )
    (of_class,) = (await busy.queue(SCHOOL))["classes"]
    assert of_class["messages"] == 600
    assert [item["department_id"] for item in of_class["departments"]] == [str(school)]
    (of_class,) = (await busy.queue())["classes"]
    assert len(of_class["departments"]) == 2


async def test_a_million_messages_are_counted_by_their_slices(busy: BusyChannel) -> None:
    """The ledger of these slices has no row: nothing but the slices is read."""
    await busy.connect()
    run = await busy.run()
    await busy.api.runtime.pool.execute(
        "INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority) "
        "SELECT $1, n + 1, $2, n * 1000 + 1, n * 1000 + 1000, 1 FROM generate_series(1, 1000) n",
        run,
        busy.channel.id,
    )
    began = time.process_time()
    assert (await busy.only())["messages"] == 1_000_300
    assert time.process_time() - began < 1


async def test_a_channel_that_there_is_not_has_no_queue(api: Api) -> None:
    assert (await api.get("/channels/9/queue", VIEWER)).status == 404


# ---- weights


async def test_the_county_sets_a_departments_weight(api: Api) -> None:
    school = str(api.teams["school"].viewer.department_id)
    path = f"/departments/{school}"
    changed = await api.patch(path, ADMIN, {"weight": 40})
    assert (changed.status, changed.json["weight"]) == (200, 40)
    (seen,) = (await api.get("/departments", SCHOOL)).json["items"]
    assert seen == changed.json
    for weight in (0, 101, "9"):
        assert (await api.patch(path, ADMIN, {"weight": weight})).status == 422
    assert (await api.patch(path, ("school", "admin"), {"weight": 90})).status == 403
    made = await api.post("/departments", ADMIN, {"name": "教育局", "weight": 30})
    assert made.json["weight"] == 30
    assert (await api.patch(f"/departments/{uuid.UUID(int=1)}", ADMIN, {"weight": 2})).status == 404
