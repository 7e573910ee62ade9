"""How far a run has come: figures that add up, what keeps it, and little work for many watchers."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from service import shared_counts
from service.api.sending import run_progress
from service.channels.contract.model import Channel
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store
from service.dispatch.handoff.lease_store import Lease
from service.ledger.states import HANDED_OFF, MessageState
from service.reports.runs import progress_store
from service.storage.postgres import Connection, transaction
from tests.harness.instants import instant
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import claim_one, mark
from tests.harness.waiting import until
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")
PEOPLE = 300


@dataclass
class Watched:
    """A run on one channel, and what a test does to it."""

    api: Api
    scene: Scene
    channel: Channel
    run: uuid.UUID

    async def begin(self, **more: Any) -> None:
        async with self.api.runtime.pool.acquire() as conn:
            self.run = await add_run(conn, self.scene, self.api.clock.at, **more)
        assert await expand_run(self.api.runtime.pool, self.run, self.api.clock.at) is not None

    async def connect(self) -> Lease:
        async with transaction(self.api.runtime.pool) as conn:
            now = self.api.clock.at
            lease = await lease_store.claim_connection(conn, self.channel.id, 0, uuid.uuid4(), now)
            assert lease is not None
            await lease_store.note_connection(conn, lease, "up", "", now)
        return lease

    async def hand_off(self, lease: Lease, nos: range) -> None:
        async with transaction(self.api.runtime.pool) as conn:
            await claim_one(conn, lease, self.api.clock.at)
            await mark(conn, lease, self.run, nos, 1, self.api.clock.at)
        await self.become("submitted", nos)

    async def become(self, state: str, nos: Collection[int]) -> None:
        await self.api.runtime.pool.execute(
            "UPDATE messages SET state = $2::message_state, part_count = 1,"
            " submitted_at = CASE WHEN $2 <> 'queued' THEN $3::timestamptz END"
            " WHERE run_id = $1 AND no = ANY ($4)",
            self.run,
            state,
            self.api.clock.at,
            list(nos),
        )

    async def ask(self, **options: Any) -> Answer:
        answer = await self.api.get(f"/runs/{self.run}/progress", ADMIN, **options)
        assert answer.status in {200, 304}, answer.body
        return answer

    async def show(self, *, anew: bool = True) -> Any:
        if anew:
            run_progress._COUNTS.clear()
        return (await self.ask()).json


@pytest.fixture
async def watched(api: Api) -> Watched:
    runtime, now = api.runtime, api.clock.at
    async with runtime.pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, runtime.keyring, scene, [phone(n) for n in range(PEOPLE)], now)
        channel = await add_channel(conn, runtime.keyring, 1, now, tps=100)
    return Watched(api, scene, channel, uuid.UUID(int=0))


async def test_what_has_left_what_waits_and_when_it_will_be_done(watched: Watched) -> None:
    await watched.begin()
    lease = await watched.connect()
    await watched.hand_off(lease, range(1, 121))
    await watched.become("delivered", range(1, 61))
    await watched.become("rejected", range(61, 65))
    watched.api.clock.at += timedelta(seconds=30)
    shown = await watched.show()
    assert (shown["target"], shown["handed_off"], shown["left"]) == (PEOPLE, 116, 180)
    assert shown["counts"] == {
        "target": PEOPLE,
        "states": {"queued": 180, "submitted": 56, "delivered": 60, "rejected": 4},
        "adds_up": True,
    }
    assert shown["held"] == []
    assert shown["per_second"] == pytest.approx(116 / 30, abs=0.05), "what was refused is not sent"
    assert shown["expected_at"] == instant("2027-01-12T01:31:00Z"), "2 seconds, to the full minute"
    (channel,) = shown["channels"]
    assert channel["delivered_share"] == pytest.approx(60 / 64, abs=0.0001)
    assert (channel["limit"], channel["held"], channel["left"]) == (100, "turn", 180)
    assert (channel["answer_p50_ms"], channel["answer_p95_ms"]) == (None, None)


async def test_hand_offs_are_counted_at_each_asking_and_states_seldom(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty people watch: the ledger is counted once, and what has left is right all the same."""
    monkeypatch.setattr(shared_counts, "REST", 1e9)
    counts = Counter[uuid.UUID]()
    real = progress_store.count_rows

    async def count_rows(conn: Connection, run_id: uuid.UUID, since: Any) -> Any:
        counts[run_id] += 1
        return await real(conn, run_id, since)

    monkeypatch.setattr("service.reports.runs.progress.count_rows", count_rows)
    await watched.begin()
    lease = await watched.connect()
    await watched.show()
    await watched.hand_off(lease, range(1, 101))
    watched.api.clock.at += timedelta(seconds=7)
    answers = await asyncio.gather(*(watched.ask() for _ in range(20)))
    for shown in (answer.json for answer in answers):
        assert (shown["handed_off"], shown["left"]) == (100, 200)
        assert shown["counts"]["states"] == {"queued": PEOPLE}, "as it was counted"
        assert shown["counts"]["adds_up"]
        assert shown["counted_at"] < shown["asked_at"]
    assert counts == {watched.run: 1}


async def test_nobody_who_watches_waits_until_the_ledger_is_counted_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second count stands still: all get the first meanwhile, then the second is theirs."""
    monkeypatch.setattr(shared_counts, "REST", 0.0)
    go_on, counted = asyncio.Event(), [0]
    real = progress_store.count_rows

    async def count_rows(conn: Connection, run_id: uuid.UUID, since: Any) -> Any:
        counted[0] += 1
        if counted[0] > 1:
            await go_on.wait()
        return await real(conn, run_id, since)

    monkeypatch.setattr("service.reports.runs.progress.count_rows", count_rows)
    await watched.begin()
    lease = await watched.connect()
    await watched.show()
    await watched.hand_off(lease, range(1, 101))
    for _ in range(5):
        shown = (await watched.ask()).json
        assert (shown["handed_off"], shown["left"]) == (100, 200)
        assert shown["counts"]["states"] == {"queued": PEOPLE}, "as it was counted"
    await until(lambda: counted[0] == 2)
    monkeypatch.setattr(shared_counts, "REST", 1e9)
    go_on.set()

    async def counted_again() -> bool:
        states = (await watched.ask()).json["counts"]["states"]
        return bool(states == {"queued": 200, "submitted": 100})

    await until(counted_again)
    assert counted[0] == 2, "once for all who asked"


async def test_a_count_behind_those_who_watch_ends_with_the_server(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counts, "REST", 0.0)
    await watched.begin()
    await watched.show()
    begun = asyncio.Event()

    async def never(*_: object) -> Any:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("service.reports.runs.progress.count_rows", never)
    await watched.ask()
    await begun.wait()
    pool = watched.api.runtime.pool
    assert pool.get_idle_size() < pool.get_size()
    await watched.api.client.close()
    assert pool.get_idle_size() == pool.get_size()
    assert pool not in run_progress._COUNTS


async def test_an_answer_that_has_not_changed_is_not_given_again(watched: Watched) -> None:
    await watched.begin()
    lease = await watched.connect()
    first = await watched.ask()
    watched.api.clock.at += timedelta(seconds=1)
    run_progress._COUNTS.clear()
    seen = {"headers": {"If-None-Match": first.headers["ETag"]}}
    assert (await watched.ask(**seen)).status == 304, "only its time is another"
    await watched.hand_off(lease, range(1, 2))
    assert (await watched.ask(**seen)).status == 200


async def test_whatever_becomes_of_the_texts_the_figures_add_up(watched: Watched) -> None:
    await watched.begin()
    await watched.connect()
    chance = random.Random(341825)
    for _ in range(8):
        nos = chance.sample(range(1, PEOPLE + 1), 80)
        await watched.become(chance.choice(list(MessageState)), nos)
        shown = await watched.show()
        states = shown["counts"]["states"]
        assert sum(states.values()) == shown["counts"]["target"] == PEOPLE
        assert shown["counts"]["adds_up"]
        assert shown["handed_off"] == sum(states.get(state, 0) for state in HANDED_OFF)
        by_channel = Counter[str]()
        for channel in shown["channels"]:
            by_channel.update(channel["states"])
        assert dict(by_channel) == states


async def test_figures_that_do_not_add_up_say_so(watched: Watched) -> None:
    await watched.begin()
    await watched.api.runtime.pool.execute("UPDATE runs SET target = target + 1")
    assert not (await watched.show())["counts"]["adds_up"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE runs SET state = 'paused'", "paused"),
        ("UPDATE channels SET enabled = false", "disabled"),
        ("UPDATE departments SET held_until = '2027-01-12T10:00+08:00'", "department"),
        ("UPDATE connections SET state = 'down'", "no_connection"),
    ],
)
async def test_what_keeps_a_run_is_named_and_its_end_is_not_foretold(
    watched: Watched, change: str, code: str
) -> None:
    await watched.begin()
    await watched.connect()
    await watched.api.runtime.pool.execute(change)
    shown = await watched.show()
    (held,) = shown["held"]
    assert (held["code"], held["channels"]) == (code, [watched.channel.id])
    assert all(held["plain"].values())
    assert (shown["expected_at"], shown["left"]) == (None, PEOPLE)


async def test_a_stop_of_everything_keeps_it_and_maintenance_has_an_end(watched: Watched) -> None:
    await watched.begin()
    await watched.connect()
    maintained = {"maintenance": [["09:00", "09:45"]]}
    await watched.api.patch(f"/channels/{watched.channel.id}", ADMIN, maintained)
    shown = await watched.show()
    (held,) = shown["held"]
    assert (held["code"], held["until"]) == ("maintenance", instant("2027-01-12T01:45:00Z"))
    assert "9:45" in held["plain"]["zh"]
    assert shown["expected_at"] == instant("2027-01-12T01:46:00Z")
    await watched.api.post("/stop-all", ADMIN, {"reason": "r"})
    assert [held["code"] for held in (await watched.show())["held"]] == ["stopped"]


async def test_a_second_try_does_not_move_the_end_of_the_first(watched: Watched) -> None:
    await watched.begin()
    lease = await watched.connect()
    await watched.hand_off(lease, range(1, PEOPLE + 1))
    later = watched.api.clock.at + timedelta(minutes=30)
    await watched.become("queued", range(1, 13))
    await watched.api.runtime.pool.execute(
        "UPDATE slices SET not_before = $1, slot = NULL, epoch = NULL", later
    )
    shown = await watched.show()
    assert shown["again"] == {
        "texts": 12, "next_at": instant("2027-01-12T02:00:00Z"),
        "last_at": instant("2027-01-12T02:00:00Z"),
    }  # fmt: skip
    assert (shown["left"], shown["expected_at"], shown["held"]) == (0, None, [])
    assert shown["handed_off"] == PEOPLE - 12


async def test_before_its_ledger_is_written_and_after_its_end(watched: Watched) -> None:
    async with watched.api.runtime.pool.acquire() as conn:
        watched.run = await add_run(conn, watched.scene, watched.api.clock.at)
    shown = await watched.show()
    assert (shown["state"], shown["target"], shown["channels"]) == ("expanding", None, [])
    assert shown["counts"] == {"target": None, "states": {}, "adds_up": True}
    await expand_run(watched.api.runtime.pool, watched.run, watched.api.clock.at)
    await watched.become("delivered", range(1, PEOPLE + 1))
    await watched.api.runtime.pool.execute("UPDATE runs SET state = 'sent', finished_at = now()")
    shown = await watched.show(anew=False)  # another state: nobody gets the count of before
    assert (shown["state"], shown["left"], shown["handed_off"]) == ("sent", 0, PEOPLE)
    assert shown["counts"]["states"] == {"delivered": PEOPLE}


async def test_a_run_that_one_does_not_see_has_no_progress(watched: Watched) -> None:
    await watched.begin()
    answer = await watched.api.get(f"/runs/{watched.run}/progress", ("school", "operator"))
    assert answer.status == 404
