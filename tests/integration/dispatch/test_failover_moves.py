"""What waits on a channel that does not work goes to another one, on a real PostgreSQL."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from service.campaigns.core.safety import SafetyLimits
from service.campaigns.plans import lifecycle
from service.campaigns.stops import guard_store
from service.campaigns.stops.guard import guard_runs
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.failover import failover, failover_store
from service.dispatch.failover.failover import LOOK_AGAIN, OFF_GRACE, shift_waiting
from service.dispatch.handoff import store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.retries import reroute_store
from service.storage.postgres import COLLISIONS, Connection, Pool, transaction
from tests.harness.ledger import add_run
from tests.harness.owner import as_owner
from tests.harness.pauses import delay, random_moment
from tests.harness.sick import SECOND, breaker, events, open_breaker
from tests.harness.three_channels import MOBILE, TELECOM, UNICOM, ThreeChannels, alter, lay_out, ref
from tests.harness.waiting import until

SetUp = Callable[..., Awaitable[ThreeChannels]]


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch) -> SetUp:
    """Everybody is China Mobile's, and China Unicom's channel takes all networks."""
    monkeypatch.setattr("service.dispatch.expansion.expand.SLICE_ROWS", 10)

    async def set_up(**more: Any) -> ThreeChannels:
        on = await lay_out(pool, keyring, now, **more)
        await alter(pool, on.channels[UNICOM], on_net_only=False)
        return on

    return set_up


async def shifted(on: ThreeChannels, **more: Any) -> list[int]:
    return await shift_waiting(on.pool, on.now, **more)


async def channels_of(on: ThreeChannels) -> Counter[tuple[str, str]]:
    """How many texts are in which state on whose channel."""
    rows = await on.pool.fetch("SELECT no FROM messages WHERE run_id = $1", on.run)
    return Counter([await on.where(row["no"]) for row in rows])


async def ranges(on: ThreeChannels) -> list[tuple[int, int, int]]:
    """Each slice's channel and range; two of the same would be worked on twice at once."""
    rows = await on.pool.fetch(
        "SELECT channel_id, first_no, last_no FROM slices WHERE run_id = $1", on.run
    )
    return [tuple(row) for row in rows]


# ---- an open breaker


async def test_on_an_open_channel_nothing_is_claimed_and_nothing_marked(stage: SetUp) -> None:
    on = await stage()
    lease = await on.lease(MOBILE)
    assert await on.claim(lease) == (1, [1, 2, 3, 4])
    assert await on.mark(lease, 1, 1) == [1]
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await on.mark(lease, 1, 2) == []
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))  # what was on its way gets its answer
    assert not await on.finish(lease, 1)
    assert await on.claim(lease) is None
    await open_breaker(on.pool, on.id(MOBILE), on.now, state="half_open")
    assert await on.claim(lease) == (1, [2, 3, 4])
    assert await on.mark(lease, 1, 2) == [2]


# ---- what moves, and what stays


async def test_what_is_queued_moves_and_everything_else_stays(stage: SetUp) -> None:
    on = await stage(people=25)
    lease = await on.lease(MOBILE)
    assert await on.claim(lease) == (1, list(range(1, 11)))
    await on.mark(lease, 1, 1, 2, 3)
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))
    await on.record(MOBILE, await on.result(2, "uncertain", reason="no_answer"))
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await shifted(on) == [on.id(UNICOM)]
    assert await channels_of(on) == {
        ("submitted", MOBILE): 1,
        ("uncertain", MOBILE): 1,
        ("submitting", MOBILE): 1,
        ("queued", UNICOM): 22,
    }
    await on.states()
    assert await events(on.pool, on.id(MOBILE)) == [("shifted", 22)]
    row = await on.pool.fetchrow("SELECT * FROM circuit_breaker_events")
    assert row is not None
    assert (row["to_channel_id"], row["run_id"], row["why"]) == (on.id(UNICOM), on.run, "It broke.")
    assert await on.mark(lease, 1, 4) == [], "the old holder has it in hand and may not mark it"
    await on.submitted(MOBILE, 3, ref(MOBILE, 3))
    assert await on.finish(lease, 1)
    await on.sent(UNICOM, *range(4, 26))
    assert await channels_of(on) == {
        ("submitted", MOBILE): 2,
        ("uncertain", MOBILE): 1,
        ("submitted", UNICOM): 22,
    }
    await on.close()
    assert (await on.run_row())["state"] == "sent"
    await on.delivered(MOBILE, 1, 2, 3)
    await on.delivered(UNICOM, 4)
    assert [await on.where(no) for no in (1, 3, 4)] == [
        ("delivered", MOBILE),
        ("delivered", MOBILE),
        ("delivered", UNICOM),
    ]


async def test_numbers_stay_what_they_are_and_no_range_is_twice_on_a_channel(stage: SetUp) -> None:
    """There and back and there again: each time the slices of before are opened again."""
    on = await stage(people=25)
    before = {row["no"]: row["phone_hash"] for row in await on.pool.fetch("SELECT * FROM messages")}
    for round_ in range(4):
        broken, other = (MOBILE, UNICOM) if round_ % 2 == 0 else (UNICOM, MOBILE)
        await open_breaker(on.pool, on.id(other), on.now, state="closed")
        await open_breaker(on.pool, on.id(broken), on.now + round_ * SECOND)
        assert await shifted(on) == [on.id(other)]
        assert await channels_of(on) == {("queued", other): 25}
    after = {row["no"]: row["phone_hash"] for row in await on.pool.fetch("SELECT * FROM messages")}
    assert after == before
    assert len(set(await ranges(on))) == len(await ranges(on)) == 6
    open_ones = await on.pool.fetch("SELECT channel_id FROM slices WHERE done_at IS NULL")
    assert [row["channel_id"] for row in open_ones] == [on.id(MOBILE)] * 3
    await open_breaker(on.pool, on.id(MOBILE), on.now, state="closed")
    await on.sent(MOBILE, *range(1, 26))
    assert await on.states() == {"submitted": 25}


async def test_what_comes_back_unwritten_follows_at_the_next_look(stage: SetUp) -> None:
    on = await stage()
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    assert await on.mark(lease, 1, 1) == [1]
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    await shifted(on)
    await give_back(on, lease, 1)
    assert await on.where(1) == ("queued", MOBILE)
    assert await shifted(on) == [], "all was looked through a moment ago"
    on.now += LOOK_AGAIN
    assert await shifted(on) == [on.id(UNICOM)]
    assert await on.where(1) == ("queued", UNICOM)
    assert await events(on.pool, on.id(MOBILE)) == [("shifted", 4)]
    assert await on.finish(lease, 1)
    await on.sent(UNICOM, 1, 2, 3, 4)
    assert await on.states() == {"submitted": 4}


async def give_back(on: ThreeChannels, lease: Lease, *nos: int) -> None:
    from service.dispatch.handoff import record_store

    rows = [(no, (await on.row(no))["attempt"]) for no in nos]
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, on.run)
        await record_store.give_back(conn, lease, (on.run, 1), rows, on.now)


async def test_a_text_on_its_second_channel_stays_there(stage: SetUp) -> None:
    """Its first channel said that the number is another network's; the ledger names the first."""
    on = await stage(carriers=(MOBILE, UNICOM, TELECOM))
    await on.sent(MOBILE, 1, 2, 3, 4)
    await on.ported(MOBILE, 2)
    assert await on.where(2) == ("queued", UNICOM)
    await open_breaker(on.pool, on.id(UNICOM), on.now)
    assert await shifted(on) == []
    assert await on.where(2) == ("queued", UNICOM)
    assert await events(on.pool, on.id(UNICOM)) == [("waiting", 1)]


async def test_a_canary_that_moves_is_one_there_too(stage: SetUp) -> None:
    """It goes first on the other channel as well, and until then the rest waits for it."""
    on = await stage(people=12)
    await on.pool.execute("UPDATE runs SET canary = 'sending'")
    await on.pool.execute("UPDATE slices SET canary = (no = 1)")
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await shifted(on) == [on.id(UNICOM)]
    async with on.pool.acquire() as conn:
        assert (await guard_store.canary_stand(conn, on.run)).unsent == 10
    await guard_runs(on.pool, SafetyLimits(0.2, 0.05, 0.02, timedelta(minutes=60), least=1), on.now)
    assert (await on.run_row())["canary"] == "sending"
    lease = await on.lease(UNICOM)
    found = await on.claim(lease)
    assert found is not None
    assert found[1] == list(range(1, 11))
    assert await on.claim(lease) is None, "the rest has to wait"


async def test_a_canarys_text_may_take_its_second_channel_at_once(stage: SetUp) -> None:
    on = await stage(people=12)
    await on.pool.execute("UPDATE runs SET canary = 'sending'")
    await on.pool.execute("UPDATE slices SET canary = (no = 1)")
    await on.sent(MOBILE, *range(1, 11))
    await on.ported(MOBILE, 2)
    found = await on.claim(await on.lease(UNICOM))
    assert found is not None
    assert found[1] == [2]


async def test_only_running_runs_move(stage: SetUp) -> None:
    on = await stage()
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    await on.act(lifecycle.pause)
    assert await shifted(on) == []
    assert await on.where(1) == ("queued", MOBILE)
    await on.act(lifecycle.resume)
    on.now += LOOK_AGAIN
    assert await shifted(on) == [on.id(UNICOM)]
    await on.act(lifecycle.cancel)
    assert set(await on.states()) <= {"queued", "cancelled"}


async def test_a_pause_between_two_slices_stops_the_shift(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=25)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    close = failover_store.close_emptied

    async def meanwhile(conn: Connection, *args: Any) -> None:
        await close(conn, *args)
        await conn.execute("UPDATE runs SET state = 'paused'")

    monkeypatch.setattr(failover_store, "close_emptied", meanwhile)
    await shifted(on)
    assert await channels_of(on) == {("queued", UNICOM): 10, ("queued", MOBILE): 15}


async def test_a_channel_that_works_keeps_what_waits_for_it(stage: SetUp) -> None:
    on = await stage()
    for state in ("closed", "half_open"):
        await open_breaker(on.pool, on.id(MOBILE), on.now, state=state)
        assert await shifted(on) == []
    assert await on.where(1) == ("queued", MOBILE)


# ---- where to


async def test_with_no_other_channel_they_wait_and_it_is_recorded_once(stage: SetUp) -> None:
    on = await stage(people=25)
    await alter(on.pool, on.channels[UNICOM], on_net_only=True)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    for _ in range(3):
        assert await shifted(on) == []
        on.now += LOOK_AGAIN
    assert await channels_of(on) == {("queued", MOBILE): 25}
    assert await events(on.pool, on.id(MOBILE)) == [("waiting", 25)]
    first = on.id(MOBILE)
    assert sorted(await ranges(on)) == [(first, 1, 10), (first, 11, 20), (first, 21, 25)]
    await open_breaker(on.pool, on.id(MOBILE), on.now, state="closed")
    await on.sent(MOBILE, *range(1, 26))
    assert await on.states() == {"submitted": 25}


@pytest.mark.parametrize("why", ["held", "open", "off", "not chosen", "real"])
async def test_never_to_a_channel_that_may_not_or_cannot(stage: SetUp, why: str) -> None:
    on = await stage(carriers=(MOBILE, UNICOM))
    other = on.channels[UNICOM]
    match why:
        case "held":
            await alter(on.pool, other, held_until=on.now + SECOND)
        case "open":
            await open_breaker(on.pool, other.id, on.now)
        case "off":
            await alter(on.pool, other, enabled=False)
        case "not chosen":
            await on.pool.execute("UPDATE runs SET channels = $1", [on.id(MOBILE)])
        case _:
            await as_owner(on.pool, "ALTER TABLE channels DISABLE TRIGGER ALL")
            await alter(on.pool, other, simulated=False)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await shifted(on) == []
    assert await channels_of(on) == {("queued", MOBILE): 4}


async def test_each_carrier_goes_its_own_way_and_whoever_has_none_waits(stage: SetUp) -> None:
    on = await stage(people=25, carriers=(MOBILE, UNICOM, TELECOM))
    await alter(on.pool, on.channels[UNICOM], on_net_only=True)
    await on.pool.execute("UPDATE messages SET carrier = $1 WHERE no % 5 = 0", UNICOM)
    await on.pool.execute("UPDATE messages SET carrier = $1 WHERE no % 5 = 1", TELECOM)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await shifted(on) == [on.id(UNICOM), on.id(TELECOM)]
    expected = {("queued", MOBILE): 15, ("queued", UNICOM): 5, ("queued", TELECOM): 5}
    assert await channels_of(on) == expected
    kinds = await events(on.pool, on.id(MOBILE))
    assert sorted(kinds) == [("shifted", 5), ("shifted", 5), ("waiting", 15)]
    assert len(set(await ranges(on))) == len(await ranges(on)) == 9
    await open_breaker(on.pool, on.id(MOBILE), on.now, state="closed")
    nos = {carrier: [] for carrier in (MOBILE, UNICOM, TELECOM)}  # type: dict[str, list[int]]
    for no in range(1, 26):
        nos[(await on.where(no))[1]].append(no)
    for carrier, mine in nos.items():
        await on.sent(carrier, *mine)
    assert await on.states() == {"submitted": 25}
    await on.close()
    assert (await on.run_row())["state"] == "sent"


async def test_a_channel_that_is_switched_off_gives_its_texts_away_after_a_while(
    stage: SetUp,
) -> None:
    on = await stage()
    await open_breaker(on.pool, on.id(MOBILE), on.now, state="closed")
    await alter(on.pool, on.channels[MOBILE], enabled=False)
    await on.pool.execute("UPDATE circuit_breakers SET off_since = $1", on.now)
    on.now += OFF_GRACE - SECOND
    assert await shifted(on) == []
    on.now += SECOND
    assert await shifted(on) == [on.id(UNICOM)]
    row = await on.pool.fetchrow("SELECT * FROM circuit_breaker_events")
    assert row is not None
    assert (row["kind"], row["messages"], row["why"]) == (
        "shifted",
        4,
        "The channel is switched off.",
    )


async def test_a_new_run_avoids_the_channel_until_it_is_closed_again(stage: SetUp) -> None:
    on = await stage()
    for state, carrier in (("open", UNICOM), ("half_open", UNICOM), ("closed", MOBILE)):
        await open_breaker(on.pool, on.id(MOBILE), on.now, state=state)
        async with on.pool.acquire() as conn:
            run = await add_run(conn, on.scene, on.now)
        await expand_run(on.pool, run, on.now)
        found = await on.pool.fetch(
            "SELECT DISTINCT channel_id FROM messages WHERE run_id = $1", run
        )
        assert [row["channel_id"] for row in found] == [on.id(carrier)], state


# ---- slice by slice


async def test_a_failure_half_way_leaves_whole_slices_only(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=35)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    note = failover_store.note_shift
    calls = 0

    async def fail_later(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionResetError("the network is cut")
        await note(*args)

    with monkeypatch.context() as patch:
        patch.setattr(failover_store, "note_shift", fail_later)
        with pytest.raises(ConnectionResetError):
            await shifted(on)
    assert await channels_of(on) == {("queued", UNICOM): 20, ("queued", MOBILE): 15}
    assert await events(on.pool, on.id(MOBILE)) == [("shifted", 20)]
    assert await shifted(on) == [on.id(UNICOM)]
    assert await events(on.pool, on.id(MOBILE)) == [("shifted", 35)]
    assert await on.states() == {"queued": 35}


async def test_without_time_it_goes_on_at_the_next_look(stage: SetUp) -> None:
    on = await stage(people=25)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    assert await shifted(on, seconds=-1.0) == []
    assert (await breaker(on.pool, on.id(MOBILE)))["shift_at"] is None
    assert await shifted(on) == [on.id(UNICOM)]


async def test_a_channel_that_works_again_meanwhile_keeps_the_rest(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=25)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    close = failover_store.close_emptied

    async def meanwhile(*args: Any) -> None:
        await close(*args)
        await on.pool.execute("UPDATE circuit_breakers SET state = 'half_open'")

    monkeypatch.setattr(failover_store, "close_emptied", meanwhile)
    await shifted(on)
    assert await channels_of(on) == {("queued", UNICOM): 10, ("queued", MOBILE): 15}


# ---- at once


async def test_a_mark_in_flight_is_waited_for_and_nothing_marked_moves(stage: SetUp) -> None:
    on = await stage()
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, on.run)
        moved, _ = await store.mark(
            conn, lease, [MarkRequest(on.run, 1, 1, 1), MarkRequest(on.run, 1, 2, 1)], on.now
        )
        assert len(moved) == 2
        await open_breaker(on.pool, on.id(MOBILE), on.now)
        shifting = asyncio.create_task(shifted(on))
        await _waits_for_a_lock(on.pool)
        assert not shifting.done()
    await shifting
    assert await channels_of(on) == {("submitting", MOBILE): 2, ("queued", UNICOM): 2}


async def test_whoever_adds_slices_to_the_run_meanwhile_is_waited_for(stage: SetUp) -> None:
    on = await stage(people=25)
    await on.pool.execute(
        "UPDATE messages SET channel_id = $1 WHERE no = 25", on.id(UNICOM)
    )  # as a second channel takes it
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    async with transaction(on.pool) as conn:
        await reroute_store.lock_runs(conn, [on.run])
        await conn.execute(
            "INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority) "
            "SELECT $1, max(no) + 1, $2, 25, 25, 0 FROM slices",
            on.run,
            on.id(UNICOM),
        )
        shifting = asyncio.create_task(shifted(on))
        await _waits_for_a_lock(on.pool)
    assert await shifting == [on.id(UNICOM)]
    assert await channels_of(on) == {("queued", UNICOM): 25}
    numbers = [row["no"] for row in await on.pool.fetch("SELECT no FROM slices ORDER BY no")]
    assert numbers == list(range(1, 8))
    await on.sent(UNICOM, *range(1, 26))
    assert await on.states() == {"submitted": 25}


async def _waits_for_a_lock(pool: Pool) -> None:
    async def waiting() -> bool:
        count: int = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return count > 0

    await until(waiting)


async def test_two_schedulers_at_once_move_each_text_once(stage: SetUp) -> None:
    on = await stage(people=95)
    await open_breaker(on.pool, on.id(MOBILE), on.now)
    await asyncio.gather(*(shifted(on) for _ in range(4)))
    await shifted(on)
    assert await channels_of(on) == {("queued", UNICOM): 95}
    assert await events(on.pool, on.id(MOBILE)) == [("shifted", 95)]
    assert len(set(await ranges(on))) == len(await ranges(on)) == 20


class Everybody:
    """Connections of two channels whose breakers come and go, schedulers, closings and pauses.

    took: how many texts the carriers took of each number.
    """

    def __init__(self, on: ThreeChannels, rng: random.Random) -> None:
        self.on = on
        self.rng = rng
        self.took: Counter[int] = Counter()
        self.over = asyncio.Event()

    async def connection(self, carrier: str, slot: int) -> None:
        on = self.on
        lease = await on.lease(carrier, slot)
        while not self.over.is_set():
            claimed = await again(lambda: on.claim(lease))
            if claimed is None:
                await delay(0.005)
                continue
            slice_no, rows = claimed
            for at in range(0, len(rows), 3):
                marked = await again(partial(on.mark, lease, slice_no, *rows[at : at + 3]))
                for no in marked:
                    await self.answer(carrier, lease, slice_no, no)
            await again(partial(on.finish, lease, slice_no))

    async def answer(self, carrier: str, lease: Lease, slice_no: int, no: int) -> None:
        from service.dispatch.handoff import record_store

        on = self.on
        if self.rng.random() < 0.3:  # provably not written
            row = await on.row(no)
            async with transaction(on.pool) as conn:
                await store.lock_for_mark(conn, lease, on.run)
                await record_store.give_back(
                    conn, lease, (on.run, slice_no), [(no, row["attempt"])], on.now
                )
            return
        await random_moment(0.01, self.rng)
        self.took[no] += 1
        await again(partial(on.submitted, carrier, no, ref(carrier, no)))

    async def repeatedly(self, act: Callable[[], Awaitable[Any]]) -> None:
        while not self.over.is_set():
            await again(act)
            await random_moment(0.02, self.rng)

    async def come_and_go(self) -> None:
        broken = self.rng.choice([MOBILE, UNICOM])
        for carrier in (MOBILE, UNICOM):
            state = "open" if carrier == broken else "closed"
            await open_breaker(self.on.pool, self.on.id(carrier), self.on.now, state=state)
        await delay(0.05)

    async def work(self) -> None:
        on = self.on
        acts = (partial(shifted, on), partial(shifted, on), on.close, self.come_and_go)
        tasks = [
            *(self.connection(carrier, slot) for carrier in (MOBILE, UNICOM) for slot in (0, 1)),
            *(self.repeatedly(act) for act in acts),
        ]
        working = [asyncio.create_task(task) for task in tasks]

        async def quiet() -> bool:
            return not {"queued", "submitting"} & (await on.states()).keys()

        try:
            await until(quiet, 60)
        finally:
            self.over.set()
            await asyncio.gather(*working)


async def again(act: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        try:
            return await act()
        except COLLISIONS:
            continue


async def test_everybody_at_once_loses_nobody_and_sends_nobody_twice(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "LOOK_AGAIN", timedelta(0))
    on = await stage(people=150)
    everybody = Everybody(on, random.Random(7))
    await everybody.work()
    assert await on.states() == {"submitted": 150}
    assert set(everybody.took.values()) == {1}
    assert len(everybody.took) == 150
    assert len(set(await ranges(on))) == len(await ranges(on))
    moved = [kind for kind, _ in await events(on.pool, on.id(MOBILE))]
    assert "shifted" in moved, "nothing was shifted: the test shows nothing"
    await on.close()
    assert (await on.run_row())["state"] == "sent"
