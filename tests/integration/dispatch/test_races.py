"""Who may meet whom at the hand-off: pause, opt-out, takeover, crash, and what each must not undo.

The statements of `dispatch.store` on several connections, interleaved by hand or at random, and the
real Sender over a scripted gateway.
"""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
from redis.asyncio import Redis

from service.audience.suppressions.suppression import add_suppressions
from service.campaigns.core import run_store
from service.campaigns.plans.lifecycle import finish_campaigns
from service.channels.contract.gateway import Submission, SubmitResult
from service.clock import Clock
from service.coding.parts import split
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.settle_store import settle_runs
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease as lease_module
from service.dispatch.handoff import lease_store, record_store, slice_store, store, sweep_store
from service.dispatch.handoff.channel_server import ChannelServer
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.sender import DRAIN_SECONDS
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.limits.in_flight import permits_for
from service.dispatch.limits.pace import Pace, RateLimit, TokenGrant, channel_limit
from service.ledger.reasons import Reason
from service.ledger.states import MOVES, MessageState
from service.runtime import Runtime
from service.storage.locks import lock_suppressions
from service.storage.postgres import COLLISIONS, Pool, transaction
from tests.factories import suppression
from tests.harness.ledger import (
    TEXT,
    add_channel,
    add_run,
    phone,
)
from tests.harness.pauses import delay, random_moment
from tests.harness.rounds import RACE_ROUNDS
from tests.harness.stage import (
    Accept,
    Free,
    Scripted,
    SetUp,
    Stage,
    TooFast,
    Wire,
    done,
    kill,
    mark,
    nothing,
    wakes_nobody,
    working,
)
from tests.harness.valkey import answered
from tests.harness.waiting import (
    BLOCKED,
    counted,
    everybody_tried_again,
    turns,
    until,
    until_blocked,
)

NIGHT = datetime(2027, 1, 12, 19, 0, tzinfo=UTC)  # 03:00 in Shanghai
DAY_HOURS = [["08:00", "20:00"]]
LONG = TEXT * 3


# ---- pause and opt-out: invariant I7


@pytest.mark.races
async def test_after_a_pause_has_answered_nothing_is_marked(stage: SetUp) -> None:
    """Pauses at random moments, against four connections that mark without end."""
    on = await stage(8, connections=4)
    leases = [await on.must_lease(slot) for slot in range(4)]
    # One slice for all four: this is about the run's lock, not about slices.
    await on.claim(leases[0])
    over = asyncio.Event()
    marked, tries = Counter[str](), dict.fromkeys(range(1, 5), 0)

    async def keep_marking(no: int) -> None:
        while not over.is_set():
            async with transaction(on.pool) as conn:
                moved = await mark(conn, leases[0], on.run, [no, no + 4], 1, on.now)
                await random_moment(0.002)
            marked["moved" if moved else "refused"] += 1
            tries[no] += 1
            if moved:
                await on.give_back(list(moved.items()))
            else:
                await delay(0.001)

    markers = [asyncio.create_task(keep_marking(no)) for no in range(1, 5)]
    try:
        for _ in range(RACE_ROUNDS):
            await on.renew(leases[0])
            await random_moment(0.003)
            await on.pause()
            before = await on.marks()
            await everybody_tried_again(tries)
            assert await on.marks() == before
            await on.resume()
    finally:
        over.set()
        await asyncio.gather(*markers)
    assert marked["moved"] > RACE_ROUNDS // 10
    assert marked["refused"] > RACE_ROUNDS // 10


@pytest.mark.attack
async def test_fifty_pauses_of_a_working_sender_repeat_nobody(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(1_500, window=8)
    whole = store.mark

    async def slow_mark(*args: Any, **how: Any) -> Any:
        moved = await whole(*args, **how)
        await random_moment(0.003)
        return moved

    monkeypatch.setattr(store, "mark", slow_mark)
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: random.uniform(0, 0.004)
    async with working(on, gateway) as sender:
        for _ in range(50):
            await random_moment(0.03)
            await on.pause()
            before = await on.marks()
            await sender.looks()
            assert await on.marks() == before
            await on.resume()
        await until(lambda: done(on), 60)
        await sender.end()
    assert await on.states() == {"submitted": 1_500}
    assert set(Counter(gateway.written).values()) == {1}


@pytest.mark.parametrize("message_class", ["public_interest", "service"])
@pytest.mark.races
async def test_after_an_opt_out_has_answered_its_phone_is_not_marked(
    stage: SetUp, message_class: str
) -> None:
    """One of the sender's own notices alone stops these as one of publicity stops publicity."""
    on = await stage(1)
    await on.pool.execute("UPDATE runs SET class = $1", message_class)
    whose = on.scene.department if message_class == "service" else None
    lease = await on.must_lease()
    await on.claim(lease)
    hashed = on.keyring.phone_index(phone(0))
    for _ in range(RACE_ROUNDS):
        await on.renew(lease)
        over, tries = asyncio.Event(), {1: 0}

        async def keep_marking(over: asyncio.Event = over, tries: dict[int, int] = tries) -> None:
            while not over.is_set():
                async with transaction(on.pool) as conn:
                    moved = await mark(conn, lease, on.run, [1], 1, on.now)
                    await random_moment(0.002)
                await on.give_back(list(moved.items()))
                tries[1] += 1

        marker = asyncio.create_task(keep_marking())
        await random_moment(0.006)
        async with transaction(on.pool) as conn:
            await conn.execute(
                "INSERT INTO suppressions (phone_hash, reason, created_at, classes, department_id) "
                "VALUES ($1, 'opted_out', $2, ARRAY[$3::text], $4)",
                hashed,
                on.now,
                message_class,
                whose,
            )
            await lock_suppressions(conn)
        before = await on.marks()
        await everybody_tried_again(tries)
        assert await on.marks() == before
        over.set()
        await marker
        await on.pool.execute("DELETE FROM suppressions")
        await on.pool.execute(
            "UPDATE messages SET state = 'queued', reason = NULL, final_at = NULL"
        )


@pytest.mark.parametrize("message_class", ["public_interest", "service", "warning"])
async def test_a_list_waits_for_the_mark_in_flight_and_none_follows_it(
    stage: SetUp, message_class: str
) -> None:
    on = await stage(2)
    await on.pool.execute("UPDATE runs SET class = $1", message_class)
    lease = await on.must_lease()
    await on.claim(lease)
    phones = [phone(n) for n in range(2)]

    async def enter() -> None:
        async with transaction(on.pool) as conn:
            await add_suppressions(conn, on.keyring, phones, suppression("opted_out"), on.now)

    async with transaction(on.pool) as conn:
        assert await mark(conn, lease, on.run, [1], 1, on.now) == {1: 1}
        entering = asyncio.create_task(enter())
        await until_blocked(on.pool, entering)
    await entering
    refused = message_class != "warning"  # nobody can opt out of these
    assert await on.mark(lease, [2]) == ({} if refused else {2: 1})
    assert await on.state(2) == ("suppressed" if refused else "submitting")


async def test_a_mark_that_waited_for_a_pause_finds_it(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    async with transaction(on.pool) as conn:
        runs = await run_store.lock_open_runs(conn, await on.campaign(conn))
        waiting = asyncio.create_task(on.mark(lease, [1]))
        await until_blocked(on.pool, waiting)
        await run_store.set_runs(conn, runs, ["running"], "paused", on.now)
    assert await waiting == {}
    assert await on.states() == {"queued": 4}


async def test_a_pause_waits_for_a_mark_that_is_not_committed(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    async with transaction(on.pool) as conn:
        await mark(conn, lease, on.run, [1], 1, on.now)
        pausing = asyncio.create_task(on.pause())
        await until_blocked(on.pool, pausing)
    await pausing
    assert await on.marks() == 1


# ---- leases


async def test_an_old_holder_marks_and_claims_nothing_but_its_results_count(stage: SetUp) -> None:
    on = await stage()
    old = await on.must_lease()
    assert await on.claim(old) == 1
    assert await on.mark(old, [1, 2]) == {1: 1, 2: 1}
    new = await on.take_over()
    assert new.epoch > old.epoch
    assert await on.states() == {"uncertain": 2, "queued": 2}

    async with transaction(on.pool) as conn:
        assert not await lease_store.renew_connection(conn, old)
        await lease_store.note_connection(conn, old, "up", "old", on.now)
    assert await on.mark(old, [3]) == {}
    assert await on.mark(new, [3]) == {}  # not its slice yet
    assert await on.claim(old) is None
    assert await on.claim(new) == 1
    assert await on.mark(old, [3]) == {}
    async with transaction(on.pool) as conn:
        assert not await slice_store.finish_slices(conn, old, [ReleasedSlice(on.run, 1)], on.now)
        await lease_store.release_connection(conn, old, on.now)
    held = await on.pool.fetchrow("SELECT owner, epoch, note FROM connections")
    assert held is not None
    assert tuple(held) == (new.owner, new.epoch, "")
    assert await on.mark(new, [3]) == {3: 1}

    await on.record(await on.result(1, 1, ref=b"a"), await on.result(2, 1, "rejected"))
    assert [await on.state(no) for no in (1, 2, 3, 4)] == [
        "submitted",
        "rejected",
        "submitting",
        "queued",
    ]
    assert await on.pool.fetchval("SELECT count(*) FROM uncertain") == 0


async def test_an_old_holders_result_does_not_touch_a_later_attempt(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    await on.give_back([(1, 1)])
    assert await on.mark(lease, [1]) == {1: 2}
    await on.record(await on.result(1, 1, "rejected"))
    assert await on.state(1) == "submitting"
    await on.give_back([(1, 1)])
    assert await on.state(1) == "submitting"


async def test_nobody_takes_a_lease_that_is_held_and_one_that_ran_out_can_be_renewed(
    stage: SetUp,
) -> None:
    on = await stage()
    lease = await on.must_lease()
    assert await on.lease() is None
    async with transaction(on.pool) as conn:
        assert not await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
    await on.claim(lease)
    await on.expire()
    assert await on.mark(lease, [1]) == {}
    async with transaction(on.pool) as conn:
        assert await lease_store.renew_connection(conn, lease)
    assert await on.mark(lease, [1]) == {1: 1}
    assert await on.lease() is None


async def test_a_takeover_waits_for_a_mark_and_finds_it(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    async with transaction(on.pool) as conn:
        await mark(conn, lease, on.run, [1], 1, on.now)
        await conn.execute("UPDATE connections SET expires_at = clock_timestamp()")
        taking = asyncio.create_task(on.must_lease())
        await until_blocked(on.pool, taking)
    await taking
    assert await on.state(1) == "uncertain"


async def test_a_mark_that_waited_for_a_takeover_moves_nothing(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.expire()
    async with transaction(on.pool) as conn:
        taken = await lease_store.claim_connection(conn, on.channel.id, 0, uuid.uuid4(), on.now)
        waiting = [asyncio.create_task(on.mark(lease, [1])), asyncio.create_task(on.claim(lease))]
        await until_blocked(on.pool, *waiting)
    assert taken is not None
    assert await waiting[0] == {}
    assert await waiting[1] is None


async def test_recovery_makes_uncertain_what_was_marked_and_frees_the_slices(stage: SetUp) -> None:
    on = await stage(6)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1, 2, 3])
    await on.record(await on.result(3, 1, ref=b"c"))
    await on.expire()
    async with transaction(on.pool) as conn:
        assert await lease_store.expired_connections(conn) == [(on.channel.id, 0)]
        assert await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
        assert not await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
        assert await lease_store.expired_connections(conn) == []
    assert [await on.state(no) for no in range(1, 7)] == [
        "uncertain",
        "uncertain",
        "submitted",
        "queued",
        "queued",
        "queued",
    ]
    uncertain = await on.pool.fetch("SELECT no, attempt, channel_id FROM uncertain ORDER BY no")
    assert [tuple(row) for row in uncertain] == [(1, 1, on.channel.id), (2, 1, on.channel.id)]
    assert await on.pool.fetchval("SELECT count(*) FROM slices WHERE epoch IS NOT NULL") == 0
    async with transaction(on.pool) as conn:
        assert not await lease_store.renew_connection(conn, lease)
    successor = await on.must_lease()
    assert await on.claim(successor) == 1
    assert await on.mark(successor, list(range(1, 7))) == {4: 1, 5: 1, 6: 1}


async def test_two_connections_never_claim_the_same_slice(stage: SetUp) -> None:
    on = await stage(6_000, connections=4)
    leases = [await on.must_lease(slot) for slot in range(4)]
    claims = await asyncio.gather(*(on.claim(lease) for lease in leases for _ in range(2)))
    taken = [claim for claim in claims if claim is not None]
    assert sorted(taken) == sorted(set(taken))
    assert set(taken) <= set(range(1, 7))
    assert len(taken) >= 4


# ---- giving back


async def test_giving_back_takes_only_what_was_never_written(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1, 2, 3])
    await on.record(await on.result(2, 1, ref=b"b"))
    await on.give_back([(1, 1), (2, 1), (3, 2), (4, 1)])
    assert [await on.state(no) for no in (1, 2, 3, 4)] == [
        "queued",
        "submitted",
        "submitting",
        "queued",
    ]
    assert await on.mark(lease, [1]) == {1: 2}


async def test_what_a_takeover_made_uncertain_can_still_be_given_back(stage: SetUp) -> None:
    on = await stage()
    old = await on.must_lease()
    await on.claim(old)
    await on.mark(old, [1, 2])
    new = await on.take_over()
    assert await on.claim(new) == 1
    await on.give_back([(1, 1)])
    assert [await on.state(no) for no in (1, 2)] == ["queued", "uncertain"]
    assert [row["no"] for row in await on.pool.fetch("SELECT no FROM uncertain")] == [2]
    assert await on.mark(new, [1, 2]) == {1: 2}


async def test_what_is_given_back_after_a_cancel_is_cancelled(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1, 2])
    await on.cancel()
    await on.give_back([(1, 1)])
    await on.record(await on.result(2, 1, ref=b"b"))
    assert [await on.state(no) for no in (1, 2, 3)] == ["cancelled", "submitted", "cancelled"]


async def test_what_comes_back_of_a_sent_run_after_its_campaign_was_cancelled_is_cancelled(
    stage: SetUp,
) -> None:
    """A plan that fires again is cancelled between two fires; what the first one had handed off
    turns out not to have been written, by a process that had been frozen.
    """
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    await on.expire()
    async with transaction(on.pool) as conn:
        await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
    await on.pool.execute("UPDATE messages SET state = 'delivered' WHERE no <> 1")
    await on.pool.execute("UPDATE slices SET done_at = $1", on.now)
    await on.pool.execute("UPDATE runs SET state = 'sent', finished_at = $1", on.now)
    await on.pool.execute("UPDATE campaigns SET state = 'cancelled'")
    await on.give_back([(1, 1)])
    assert await on.state(1) == "cancelled"
    assert await on.pool.fetchval("SELECT state FROM runs") == "sent"
    assert await on.claim(await on.must_lease()) is None


async def test_a_lost_link_gives_back_what_was_not_written(stage: SetUp) -> None:
    """Marked, then the link is lost before the tokens come: nothing is uncertain."""
    on = await stage(8, window=4)
    gateway = Scripted(lambda _: Accept)

    class Dry(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:  # noqa: ARG002
            if not gateway.written:
                gateway.lost.set()
            return TokenGrant(0, 0.01, time.monotonic())

    async with working(on, gateway, pace=Dry()) as sender:
        await asyncio.wait_for(gateway.lost.wait(), 5)
        await sender.end()
    assert await on.states() == {"queued": 8}
    assert await on.marks() >= 4
    assert await on.pool.fetchval("SELECT count(*) FROM slices WHERE epoch IS NOT NULL") == 0


@pytest.mark.parametrize("lost", [False, True])
async def test_a_stop_waits_for_open_answers_but_not_on_a_lost_link(
    stage: SetUp, lost: bool
) -> None:
    waited: list[float] = []

    class Closing(Scripted):
        async def close(self, *, drain_seconds: float) -> None:
            waited.append(drain_seconds)
            await super().close(drain_seconds=drain_seconds)

    on = await stage(3, window=4)
    gateway = Closing(lambda _: None)
    async with working(on, gateway) as sender:
        await until(lambda: _wrote(gateway, 3))
        if lost:
            gateway.lost.set()
        await sender.end()
    assert waited == [0 if lost else DRAIN_SECONDS]


async def test_past_its_lease_a_holder_writes_nothing(stage: SetUp) -> None:
    """Frozen between mark and write for longer than the lease."""
    on = await stage(8, window=4)
    gateway = Scripted(lambda _: Accept)

    frozen = asyncio.Event()

    class Freezing(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            sender.held._deadline = 0.0
            frozen.set()
            return await super().take(limits, want, least)

    async with working(on, gateway, pace=Freezing()) as sender:
        await until(frozen.is_set)  # with marks
        await turns(50)
        sender.held.fenced.set()
        await sender.end()
    assert await on.marks() > 0
    assert gateway.written == []
    assert await on.states() == {"queued": 8}


# ---- the bound of what a crash leaves uncertain (I3)


@pytest.mark.parametrize("text", [TEXT, pytest.param(LONG, marks=pytest.mark.slow)])
async def test_a_silent_carrier_holds_a_window_and_what_is_marked_ahead(
    stage: SetUp, text: str
) -> None:
    on = await stage(2 * permits_for(5), window=5, text=text)
    parts = len(split(text))
    answered = 0

    def answer(_: Submission) -> SubmitResult | None:
        nonlocal answered
        answered += 1
        return Accept if answered <= 12 * parts else None

    gateway = Scripted(answer)
    async with working(on, gateway) as sender:

        async def stuck() -> bool:
            now = await on.states()
            assert now.get("submitting", 0) <= permits_for(5)
            return now.get("submitted") == 12 and len(gateway.silent) == 5

        await until(stuck, 10)
        await sender.looks()
        marked = (await on.states())["submitting"]
        assert len(gateway.silent) == 5
        assert permits_for(5) >= marked >= 5 // parts
        await on.take_over()  # a crash: nobody winds down
        assert (await on.states())["uncertain"] == marked
        assert await on.pool.fetchval("SELECT count(*) FROM uncertain") == marked


# ---- the moves


async def _every_statement(on: Stage, lease: Lease) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Each statement that changes a message's state, aimed at all rows of the run."""
    rows = await on.pool.fetch("SELECT no, attempt FROM messages ORDER BY no")
    nos = [row["no"] for row in rows]

    def results(state: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            await on.record(*[await on.result(no, 1, state) for no in nos])

        return act

    def receipts(state: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            changes = [delivery.ReceiptChange(on.run, no, state, None, None) for no in nos]
            async with transaction(on.pool) as conn:
                await delivery.apply_changes(conn, changes, on.now)

        return act

    async def stop() -> None:
        async with transaction(on.pool) as conn:
            await store.lock_for_mark(conn, lease, on.run)
            asked = [MarkRequest(on.run, 1, no, 1, Reason.VALIDITY_OVER) for no in nos]
            await store.mark(conn, lease, asked, on.now)

    async def recover() -> None:
        async with transaction(on.pool) as conn:
            await lease_store.recover_slices(conn, [(on.run, 1)], on.now)

    async def back_after_cancel() -> None:
        await on.pool.execute("UPDATE runs SET state = 'cancelled'")
        await on.give_back([(no, 1) for no in nos])

    async def silence() -> None:
        await on.pool.execute("UPDATE runs SET state = 'sent'")
        async with transaction(on.pool) as conn:
            await settle_runs(conn, on.now + timedelta(hours=73))

    return {
        "mark": lambda: on.mark(lease, nos),
        "stop": stop,
        "recover": recover,
        "give_back": lambda: on.give_back([(no, 1) for no in nos]),
        "give_back, attempt unknown": lambda: on.give_back([(no, 0) for no in nos]),
        "give_back, cancelled": back_after_cancel,
        "cancel": on.cancel,
        "silence": silence,
        **{f"result {s}": results(s) for s in ("submitted", "rejected", "uncertain")},
        **{
            f"receipt {s}": receipts(s)
            for s in ("delivered", "undelivered", "expired", "rejected", "unknown")
        },
    }


ALL_RECEIPTS = {"submitted", "uncertain", "unknown"}
MOVED_BY = {
    "mark": {"queued": "submitting"},
    "stop": {"queued": "suppressed"},
    "recover": {"submitting": "uncertain"},
    "give_back": {"submitting": "queued", "uncertain": "queued"},
    "give_back, cancelled": {"submitting": "cancelled", "uncertain": "cancelled"},
    "cancel": {"queued": "cancelled"},
    "silence": {"submitted": "unknown"},
    "result submitted": {"submitting": "submitted", "uncertain": "submitted"},
    "result rejected": {"submitting": "rejected", "uncertain": "rejected"},
    "result uncertain": {"submitting": "uncertain"},
    **{
        f"receipt {s}": dict.fromkeys(ALL_RECEIPTS - {s}, s)
        for s in ("delivered", "undelivered", "expired", "rejected", "unknown")
    },
}


async def test_every_statement_moves_messages_along_the_table_only(stage: SetUp) -> None:
    """A row in each state, each statement aimed at all of them: what moved, moved along MOVES."""
    words = [state.value for state in MessageState]
    on = await stage(len(words))
    lease = await on.must_lease()
    await on.claim(lease)

    async def lay_out() -> None:
        await on.pool.execute("UPDATE runs SET state = 'running', settled_at = NULL")
        await on.pool.execute("DELETE FROM uncertain")
        await on.pool.execute(
            """
            UPDATE messages m SET state = w.state, reason = NULL, final_at = NULL, attempt = 1,
                part_count = 1, marked_at = $2, submitted_at = $2
            FROM unnest($1::message_state[]) WITH ORDINALITY AS w(state, no) WHERE m.no = w.no
            """,
            words,
            on.now,
        )

    seen: dict[str, dict[str, str]] = {}
    for name, act in (await _every_statement(on, lease)).items():
        await lay_out()
        await act()
        after = [await on.state(no) for no in range(1, len(words) + 1)]
        moved = {b: a for b, a in zip(words, after, strict=True) if a != b}
        for before, to in moved.items():
            assert MessageState(to) in MOVES[MessageState(before)], f"{name}: {before} → {to}"
        seen[name] = moved
    seen.pop("give_back, attempt unknown")
    assert seen == MOVED_BY


# ---- closing


async def test_a_run_is_sent_only_when_no_slice_is_open(stage: SetUp) -> None:
    on = await stage()
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1, 2, 3])
    for no in (1, 2, 3):
        await on.record(await on.result(no, 1))

    async def close() -> list[uuid.UUID]:
        async with transaction(on.pool) as conn:
            return await sweep_store.close_finished_runs(conn, on.now)

    assert await close() == []
    async with transaction(on.pool) as conn:
        assert not await slice_store.finish_slices(conn, lease, [ReleasedSlice(on.run, 1)], on.now)
    assert await close() == []
    assert await on.claim(lease) == 1
    await on.mark(lease, [4])
    await on.record(await on.result(4, 1))
    async with transaction(on.pool) as conn:
        assert await slice_store.finish_slices(conn, lease, [ReleasedSlice(on.run, 1)], on.now)
    async with on.pool.acquire() as conn:
        assert await close() == [await on.campaign(conn)]


# ---- what reviews found: each of these is how it ought to be


async def test_an_unsure_mark_is_not_given_back_after_a_takeover(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder's mark fails with its connection and PostgreSQL stays out of its reach; the next
    holder marks and writes the same message; then the old one comes back and undoes "its" mark.
    """
    given_back = counted(monkeypatch, record_store, "give_back")
    on = await stage(1)
    old = await on.must_lease()
    wire = Wire(on.pool)
    wire.fail_at = "WITH permit AS"
    async with working(on, Scripted(lambda _: Accept), pool=wire, lease=old) as sender:
        await until(lambda: _is_broken(wire))
        new = await on.take_over()
        assert await on.claim(new) == 1
        assert await on.mark(new, [1]) == {1: 1}  # and writes it
        wire.broken = None
        await given_back.reach(1)
        assert await on.state(1) == "submitting"
        await on.record(await on.result(1, 1, ref=b"a"))
        assert await on.state(1) == "submitted"
        assert await on.mark(new, [1]) == {}, "a second text"
        sender.held.fenced.set()
        await sender.end()


async def _is_broken(wire: Wire) -> bool:
    return wire.broken is not None


async def test_what_is_given_back_during_a_cancel_does_not_stay_queued(stage: SetUp) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    async with on.pool.acquire() as conn:
        giving = conn.transaction()
        await giving.start()
        await store.lock_for_mark(conn, lease, on.run)
        await record_store.give_back(conn, lease, (on.run, 1), [(1, 1)], on.now)
        cancelling = asyncio.create_task(on.cancel())
        await until_blocked(on.pool, cancelling)
        await giving.commit()
        await cancelling
    assert await on.states() == {"cancelled": 1}


async def test_what_is_given_back_to_a_finished_slice_is_still_sent(stage: SetUp) -> None:
    """The old holder was frozen between mark and write; its successor has finished the slice."""
    on = await stage(2)
    old = await on.must_lease()
    await on.claim(old)
    await on.mark(old, [1])
    new = await on.take_over()
    await on.claim(new)
    await on.mark(new, [2])
    await on.record(await on.result(2, 1, ref=b"b"))
    async with transaction(on.pool) as conn:
        assert await slice_store.finish_slices(conn, new, [ReleasedSlice(on.run, 1)], on.now)
    await on.give_back([(1, 1)])
    async with transaction(on.pool) as conn:
        closed = await sweep_store.close_finished_runs(conn, on.now)
    if await on.state(1) == "queued":
        assert not closed
        assert await on.claim(new) == 1


async def test_a_lost_mark_takes_nothing_from_whoever_holds_another_slice_of_the_row(
    stage: SetUp,
) -> None:
    """A second channel and a shift may cut two slices over one row: it is in two hands."""
    on = await stage(2)
    async with on.pool.acquire() as conn:
        await lease_store.ensure_connections(conn, on.channel.id, 2)
    first, other = await on.must_lease(0), await on.must_lease(1)
    await on.claim(first)
    await on.pool.execute(
        "INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority) "
        "SELECT run_id, 2, channel_id, 1, 1, priority FROM slices"
    )
    assert await on.claim(other) == 2
    await on.mark(other, [1], slice_no=2)
    await on.give_back([(1, 0)], first)
    assert await on.state(1) == "submitting", "the other one has written it"


async def test_what_comes_back_to_a_paused_campaign_waits_in_a_paused_run(stage: SetUp) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    await on.pool.execute("UPDATE slices SET done_at = $1, epoch = NULL, slot = NULL", on.now)
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    await on.pool.execute("UPDATE campaigns SET state = 'paused'")
    await on.give_back([(1, 1)])
    assert await on.state(1) == "queued"
    assert await on.pool.fetchval("SELECT state FROM runs") == "paused"


async def test_a_slice_whose_claim_was_not_answered_is_worked_on(stage: SetUp) -> None:
    on = await stage(3)
    wire = Wire(on.pool)
    wire.lose_commit_after = "UPDATE slices s SET slot"
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pool=wire):
        await until(lambda: done(on))


@pytest.mark.parametrize("window", [1, 4])
async def test_a_carrier_that_finds_a_whole_window_too_fast_does_not_stop_us(
    stage: SetUp, window: int
) -> None:
    on = await stage(12, window=window)
    refused = Counter[str]()

    def answer(submission: Submission) -> SubmitResult:
        refused[submission.recipients[0]] += 1
        return TooFast if refused[submission.recipients[0]] == 1 else Accept

    gateway = Scripted(answer)
    gateway.delay = lambda: 0.02
    async with working(on, gateway):
        await until(lambda: done(on), 6)


async def test_a_database_that_dies_while_tokens_are_awaited_loses_nobody(stage: SetUp) -> None:
    on = await stage(4, window=4)
    wire = Wire(on.pool)
    died = asyncio.Event()

    class Dry(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            if not died.is_set():
                died.set()
                wire.broken = ConnectionResetError("PostgreSQL was killed")
                return TokenGrant(0, 0.2, time.monotonic())
            return await super().take(limits, want, least)

    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Dry(), pool=wire):
        await asyncio.wait_for(died.wait(), 5)
        await until(lambda: wire.refused >= 3)
        wire.broken = None
        await until(lambda: done(on))


async def test_a_gateway_that_cannot_write_a_part_hangs_nobody(stage: SetUp) -> None:
    """A CMPP service code in Chinese passes the settings and is refused by the packet."""
    on = await stage(4, window=4)

    def refuse(_: Submission) -> SubmitResult:
        raise ValueError("the value is not ASCII")

    async with working(on, Scripted(refuse)) as sender:

        async def over() -> bool:
            return await done(on) or (sender.task is not None and sender.task.done())

        await until(over)


@pytest.mark.attack
async def test_what_waited_for_the_database_does_not_leave_at_night(stage: SetUp) -> None:
    on = await stage(12, window=4, send_hours=DAY_HOURS)
    wire = Wire(on.pool)
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: 0.05
    async with working(on, gateway, pool=wire) as sender:
        await until(lambda: _wrote(gateway, 4))
        wire.broken = ConnectionResetError("PostgreSQL is away")  # before the answers are in
        await until(lambda: wire.refused >= 3)
        sender.clock.at = NIGHT
        by_day = len(gateway.written)
        wire.broken = None
        await until(lambda: _nothing_leaving(on))
        await sender.looks()
        assert len(gateway.written) == by_day


async def _nothing_leaving(on: Stage) -> bool:
    return "submitting" not in await on.states()


async def _wrote(gateway: Scripted, count: int) -> bool:
    return len(gateway.written) >= count


@pytest.mark.attack
async def test_what_was_too_fast_is_not_written_again_at_night(stage: SetUp) -> None:
    """A daily quota answers 8 until midnight, and takes everything then."""
    on = await stage(6, window=4, send_hours=DAY_HOURS)
    gateway = Scripted(lambda _: TooFast if len(gateway.written) % 4 else Accept)
    async with working(on, gateway) as sender:
        await until(lambda: _wrote(gateway, 6))
        sender.clock.at = NIGHT
        at_night = len(gateway.written)
        await until(lambda: _nothing_leaving(on))
        await sender.looks()
        assert len(gateway.written) == at_night


async def test_a_full_disk_of_the_database_stops_nothing_for_good(stage: SetUp) -> None:
    on = await stage(12, window=4)
    wire = Wire(on.pool)
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: 0.05
    async with working(on, gateway, pool=wire):
        await until(lambda: _wrote(gateway, 4))
        wire.broken = asyncpg.DiskFullError("could not extend file")
        await until(lambda: wire.refused >= 3)
        wire.broken = None
        await until(lambda: done(on))


async def test_a_lease_is_kept_after_an_error_of_any_kind(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dispatch.handoff.lease.RENEW_SECONDS", 0.01)
    on = await stage(1)
    held = HeldLease(await on.must_lease())
    wire = Wire(on.pool)
    wire.broken = asyncpg.QueryCanceledError("canceling statement due to user request")
    keeper = asyncio.create_task(held.keep(cast(Pool, wire)))
    await until(lambda: wire.refused >= 3)
    wire.broken = None
    held._deadline = 0.0
    try:
        await until(lambda: held.valid)
    finally:
        await kill(keeper)


async def test_a_sender_that_is_killed_while_it_winds_down_leaves_no_task(stage: SetUp) -> None:
    """Cancelled again while the last results wait for a database that is away."""
    on = await stage(10, window=10)
    wire = Wire(on.pool)
    before = asyncio.all_tasks()
    async with working(on, Scripted(lambda _: None), pool=wire) as sender:
        await until(lambda: _wrote(sender.gateway, 10))
        wire.broken = ConnectionResetError("the database went away")
    await until(lambda: not asyncio.all_tasks() - before, what="the end of all its tasks")


async def test_a_message_that_cannot_be_composed_stops_nobody_else(stage: SetUp) -> None:
    on = await stage(5, window=2)
    await on.pool.execute("UPDATE messages SET phone_cipher = 'broken' WHERE no = 3")
    async with working(on, Scripted(lambda _: Accept)) as sender:
        await until(lambda: _handed_off(on, 4), 5)
        assert sender.task is not None
        assert not sender.task.done()


NOBODYS_EVER = "+8610000000001"
"""No mobile, and in no synthetic range: it stands for a number that may be somebody's."""


@pytest.mark.parametrize(
    ("simulated", "stopped"), [(True, {3: "not_synthetic"}), (False, {1: "synthetic_range"})]
)
async def test_a_number_that_the_channel_must_not_have_is_never_written(
    stage: SetUp, simulated: bool, stopped: dict[int, str]
) -> None:
    """Whatever the ledger came by it: the number itself is looked at before it is marked."""
    on = await stage(4)
    on.channel = replace(on.channel, simulated=simulated)
    cipher = on.keyring.encrypt("phone", NOBODYS_EVER)
    of_somebody = [3] if simulated else [2, 3, 4]
    await on.pool.execute(
        "UPDATE messages SET phone_cipher = $1 WHERE no = ANY($2)", cipher, of_somebody
    )
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: _handed_off(on, 3), 5)
    rows = await on.pool.fetch("SELECT no, reason FROM messages WHERE state = 'suppressed'")
    assert {row["no"]: row["reason"] for row in rows} == stopped


async def _handed_off(on: Stage, count: int) -> bool:
    return (await on.states()).get("submitted") == count


async def test_a_phone_with_an_uncertain_hand_off_does_not_keep_a_run_open_past_its_validity(
    stage: SetUp,
) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.pool.execute(
        "INSERT INTO uncertain SELECT channel_id, phone_hash, gen_random_uuid(), 1, 1, $1, $1 "
        "FROM messages",
        on.now,
    )
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, on.run)
        await store.mark(conn, lease, [MarkRequest(on.run, 1, 1, 1, Reason.VALIDITY_OVER)], on.now)
    assert await on.state(1) == "suppressed"


async def test_a_night_without_redis_does_not_use_up_the_attempts(stage: SetUp) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.pool.execute("UPDATE messages SET attempt = 32767")
    assert await on.mark(lease, [1]) == {1: 32768}


async def test_a_short_pause_costs_no_half_minute(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused before the mark, resumed between its commit and the next statement."""
    on = await stage(1)
    wire = Wire(on.pool)
    whole = store.lock_for_mark
    paused = asyncio.Event()

    async def lock_after_a_pause(*args: Any) -> None:
        if not paused.is_set():
            await on.pause()
            paused.set()
        await whole(*args)

    monkeypatch.setattr(store, "lock_for_mark", lock_after_a_pause)
    wire.after = ("WITH permit AS", on.resume)
    async with working(on, Scripted(lambda _: Accept), pool=wire) as sender:
        await asyncio.wait_for(paused.wait(), 5)
        await until(lambda: _has_met(wire))
        await sender.looks()
        assert await on.pool.fetchval("SELECT not_before FROM slices") is None


async def test_whoever_holds_the_connection_next_need_not_wait_for_its_slices(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was away for longer than a lease: the first mark after it moves nothing, which
    says nothing of the rows.
    """
    # Else the old one may work on meanwhile.
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 3600)
    on = await stage(3)
    wire = Wire(on.pool)

    async def expire() -> None:
        await on.pool.execute("UPDATE connections SET expires_at = clock_timestamp()")

    async def is_free() -> bool:
        return await on.pool.fetchval("SELECT epoch FROM slices") is None

    wire.after = ("candidate AS", expire)  # between the claim and the mark
    async with working(on, Scripted(lambda _: Accept), pool=wire):
        await until(lambda: _has_met(wire))
        await until(is_free)
        assert await on.pool.fetchval("SELECT not_before FROM slices") is None
        new = await on.take_over()
        assert await on.claim(new) == 1


async def _has_met(wire: Wire) -> bool:
    return wire.after is None


async def test_a_pause_lets_a_text_that_has_begun_end(stage: SetUp) -> None:
    on = await stage(1, window=8, text=LONG)
    gateway = Scripted(lambda _: Accept)

    class OnePart(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:  # noqa: ARG002
            if gateway.written and not paused.is_set():
                await on.pause()
                paused.set()
                return TokenGrant(0, 0.2, time.monotonic())
            return TokenGrant(1, 0.0, time.monotonic())

    paused = asyncio.Event()
    async with working(on, gateway, pace=OnePart()):
        await until(lambda: _handed_off(on, 1), 5)


async def test_a_cancel_and_an_expansion_do_not_lock_each_other_out(
    stage: SetUp, keyring: Keyring
) -> None:
    on = await stage(1)
    async with on.pool.acquire() as conn:
        run = await add_run(conn, on.scene, on.now)
        campaign = await conn.fetchval("SELECT campaign_id FROM runs WHERE id = $1", run)
    async with transaction(on.pool) as conn:
        await conn.execute("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", campaign)
        expanding = asyncio.create_task(expand_run(on.pool, run, on.now))
        await until_blocked(on.pool, expanding)
        runs = await run_store.lock_open_runs(conn, campaign)
        await run_store.set_runs(conn, runs, run_store.OPEN, "cancelled", on.now)
    assert await expanding is None


async def test_a_pause_and_the_end_of_a_run_do_not_lock_each_other_out(stage: SetUp) -> None:
    on = await stage(1)
    await on.pool.execute("UPDATE slices SET done_at = $1", on.now)
    async with on.pool.acquire() as looking:
        campaign = await on.campaign(looking)

    async def close() -> None:
        async with transaction(on.pool) as conn:
            await finish_campaigns(
                conn, await sweep_store.close_finished_runs(conn, on.now), on.now
            )

    async def at_its_lock_or_over() -> bool:
        return closing.done() or await on.pool.fetchval(BLOCKED)

    async with transaction(on.pool) as conn:
        await conn.execute("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", campaign)
        runs = await run_store.lock_open_runs(conn, campaign)
        closing = asyncio.create_task(close())
        await until(at_its_lock_or_over)
        pausing = asyncio.create_task(run_store.set_runs(conn, runs, ["running"], "paused", on.now))
        outcome = await asyncio.gather(closing, pausing, return_exceptions=True)
        assert not [error for error in outcome if isinstance(error, COLLISIONS)]


@pytest.mark.attack
async def test_a_clock_of_redis_that_jumps_back_stops_nobody_for_long(redis: Redis) -> None:
    limit = channel_limit(1, 100)
    hour = (time.time() + 3_600) * 1_000_000
    await answered(redis.hset(limit.key, "tat", f"{hour:.0f}"))
    grant = await Pace(redis).take([limit], 1)
    assert grant.wait < 31


async def test_an_urgent_run_overtakes_a_slow_one(stage: SetUp, redis: Redis) -> None:
    on = await stage(200, window=4, tps=100, max_tps=5)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Pace(redis)):
        await until(lambda: _wrote(gateway, 2))
        urgent = await on.another_run(priority="urgent")
        await until(lambda: _begun(urgent), 5)


async def _begun(on: Stage) -> bool:
    return await on.marks() > 0


# ---- second look: each of these is how it ought to be


async def test_a_slice_is_not_finished_while_something_is_given_back_to_it(stage: SetUp) -> None:
    """The old holder gives back, not yet committed, while its successor finishes the slice."""
    on = await stage(2)
    old = await on.must_lease()
    await on.claim(old)
    await on.mark(old, [1])
    new = await on.take_over()
    await on.claim(new)
    await on.mark(new, [2])
    await on.record(await on.result(2, 1, ref=b"b"))

    async def finish() -> bool:
        async with transaction(on.pool) as conn:
            return bool(
                await slice_store.finish_slices(conn, new, [ReleasedSlice(on.run, 1)], on.now)
            )

    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, old, on.run)
        await record_store.give_back(conn, old, (on.run, 1), [(1, 1)], on.now)
        finishing = asyncio.create_task(finish())
        await until_blocked(on.pool, finishing)
    await finishing
    assert await on.state(1) == "queued"
    assert await on.claim(new) == 1


async def test_a_run_is_not_closed_while_something_is_given_back_to_it(stage: SetUp) -> None:
    on = await stage(2)
    old = await on.must_lease()
    await on.claim(old)
    await on.mark(old, [1])
    new = await on.take_over()
    await on.claim(new)
    await on.mark(new, [2])
    await on.record(await on.result(2, 1, ref=b"b"))
    async with transaction(on.pool) as conn:
        assert await slice_store.finish_slices(conn, new, [ReleasedSlice(on.run, 1)], on.now)

    async def close() -> None:
        async with transaction(on.pool) as conn:
            await sweep_store.close_finished_runs(conn, on.now)

    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, old, on.run)
        await record_store.give_back(conn, old, (on.run, 1), [(1, 1)], on.now)
        closing = asyncio.create_task(close())
        await until_blocked(on.pool, closing)
    await closing
    assert await on.state(1) == "queued"
    assert await on.pool.fetchval("SELECT state FROM runs") == "running"


async def test_what_waits_for_tokens_does_not_leave_at_night(stage: SetUp) -> None:
    on = await stage(4, window=4, send_hours=DAY_HOURS)
    asked = asyncio.Event()
    night = asyncio.Event()

    class Withheld(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            asked.set()
            if not night.is_set():
                return TokenGrant(0, 0.05, time.monotonic())
            return await super().take(limits, want, least)

    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Withheld()) as sender:
        await asyncio.wait_for(asked.wait(), 5)
        sender.clock.at = NIGHT
        night.set()
        await until(lambda: _nothing_leaving(on))
        await sender.looks()
        assert gateway.written == []
        await sender.end()
    assert await on.states() == {"queued": 4}


async def test_a_slow_run_does_not_slow_another_on_its_connection(
    stage: SetUp, redis: Redis
) -> None:
    slow = await stage(100, window=4, tps=200, max_tps=1)
    gateway = Scripted(lambda _: Accept)
    async with working(slow, gateway, pace=Pace(redis)):
        await until(lambda: _wrote(gateway, 1))
        fast = await slow.another_run()
        await until(lambda: _mostly_handed_off(fast), 40)  # at one a second it would take longer


async def _mostly_handed_off(on: Stage) -> bool:
    return (await on.states()).get("submitted", 0) >= 80


async def test_an_urgent_run_overtakes_many_slow_ones(stage: SetUp, redis: Redis) -> None:
    on = await stage(60, window=4, tps=100, max_tps=1)
    for _ in range(8):
        await on.another_run(max_tps=1)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Pace(redis)):

        async def eight() -> bool:
            held = "SELECT count(*) FROM slices WHERE epoch IS NOT NULL"
            return int(await on.pool.fetchval(held)) >= 8

        await until(eight, 30)
        urgent = await on.another_run(priority="urgent")
        await until(lambda: _begun(urgent), 8)


async def test_what_was_too_fast_is_not_written_again_after_a_pause(stage: SetUp) -> None:
    on = await stage(6, window=4)
    gateway = Scripted(lambda _: TooFast)
    async with working(on, gateway) as sender:
        await until(lambda: _wrote(gateway, 5))
        await on.pause()
        await until(lambda: _nothing_leaving(on))
        paused_at = len(gateway.written)
        await sender.looks()
        assert len(gateway.written) == paused_at


async def test_what_was_too_fast_is_not_written_again_past_its_validity(stage: SetUp) -> None:
    on = await stage(6, window=4)
    minutes = timedelta(minutes=3)
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.now + minutes)
    gateway = Scripted(lambda _: TooFast)
    written: list[datetime] = []
    async with working(on, gateway) as sender:

        def delay() -> float:
            written.append(sender.clock.now())
            return 0.0

        gateway.delay = delay
        await until(lambda: done(on))
    assert on.now < max(written) < on.now + minutes
    assert await on.states() == {"suppressed": 6}


async def test_what_a_gateway_refuses_to_write_is_not_uncertain(stage: SetUp) -> None:
    """`submit` says: ValueError, before any is written. A wrong setting must cost nobody a text."""
    on = await stage(4, window=4)

    def refuse(_: Submission) -> SubmitResult:
        raise ValueError("the value is not ASCII")

    async with working(on, Scripted(refuse)) as sender:
        await until(lambda: sender.gateway.submissions)
        await sender.looks()
        sender.stop.set()
    assert "uncertain" not in await on.states()


async def test_a_channel_that_cannot_be_read_ends_no_service(
    stage: SetUp, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dispatch.handoff.channel_server.FOLLOW_SECONDS", 0.05)
    on = await stage(1)
    async with on.pool.acquire() as conn:
        broken = await add_channel(conn, on.keyring, 1, on.now)
    await on.pool.execute(
        "UPDATE channels SET config_cipher = 'unreadable' WHERE id = $1", broken.id
    )
    inbox = Inbox(on.pool, on.keyring, Clock(), wakes_nobody)
    stop = asyncio.Event()
    serving = asyncio.create_task(ChannelServer(runtime, inbox.deliver_for, nothing).run(stop))
    try:
        owner = "SELECT owner FROM connections WHERE channel_id = $1"
        await until(lambda: serving.done() or on.pool.fetchval(owner, on.channel.id))
        assert not serving.done()
    finally:
        stop.set()
        await asyncio.gather(serving, return_exceptions=True)
