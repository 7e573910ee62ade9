"""Nobody gets more texts than the caps allow, whoever sends, whatever fails, whoever is faster."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from service.accounts.people.model import By
from service.campaigns.calendar.hours import County
from service.crypto import Keyring
from service.dispatch.compose import claimed_slice_from
from service.dispatch.handoff import lease_store, slice_store, store
from service.dispatch.handoff.slice_store import HeldSlice, ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.limits import caps
from service.dispatch.limits.caps import CapLimits
from service.errors import Invalid
from service.storage.postgres import Pool, open_pool, transaction
from tests.harness.crowd import departments, launch, received
from tests.harness.ledger import TEXT, phone
from tests.harness.pauses import random_moment
from tests.harness.stage import Accept, Scripted, Stage, claim_one, mark, working
from tests.harness.waiting import until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def verdicts(on: Stage) -> dict[int, tuple[str, str | None]]:
    rows = await on.pool.fetch(
        "SELECT no, state::text, reason FROM messages WHERE run_id = $1 ORDER BY no", on.run
    )
    return {row["no"]: (row["state"], row["reason"]) for row in rows}


async def hand_off(on: Stage, at: datetime) -> list[int]:
    """As a connection does: claim, mark, decide about what a cap stopped, let go; what leaves."""
    lease = await on.take_over()
    async with transaction(on.pool) as conn:
        others = await conn.fetch("SELECT id, department_id FROM runs WHERE id <> $1", on.run)
        held = [HeldSlice(row["id"], 1, row["department_id"]) for row in others]
        claimed = await claim_one(conn, lease, at, held)
        if claimed is None:
            return []
        span = claimed["run_id"], claimed["first_no"], claimed["last_no"]
        rows = await slice_store.queued_rows(conn, on.channel.id, [span], at)
    async with transaction(on.pool) as conn:
        nos = [row["no"] for row in rows]
        moved = await mark_rows(conn, lease, on, claimed["no"], nos, at)
        await caps.defer_or_stop(conn, claimed_slice_from(claimed, rows, ""), moved, County(), at)
    async with transaction(on.pool) as conn:
        await slice_store.finish_slices(conn, lease, [ReleasedSlice(on.run, claimed["no"])], at)
    return sorted(row["no"] for row in moved if row["state"] == "submitting")


async def mark_rows(
    conn: Any, lease: Any, on: Stage, slice_no: int, nos: list[int], at: datetime
) -> Any:
    await store.lock_for_mark(conn, lease, on.run)
    asked = [MarkRequest(on.run, slice_no, no, 1) for no in nos]
    moved, _ = await store.mark(conn, lease, asked, at)
    return moved


# ---- two departments at once


@pytest.mark.parametrize(
    ("over_cap", "other"),
    [("stop", ("suppressed", "capped")), ("defer", ("queued", "capped"))],
)
async def test_two_departments_in_the_same_minute_send_one_text(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    database_url: str,
    over_cap: str,
    other: tuple[str, str],
) -> None:
    """Two channel processes' worth of hand-off, each with connections of its own."""
    people = 60
    both = [
        await launch(pool, keyring, one, now, over_cap=over_cap)
        for one in await departments(pool, keyring, now, 2, people, window=4)
    ]
    links = [Scripted(lambda _: Accept) for _ in both]

    async def decided() -> bool:
        found = [await verdicts(on) for on in both]
        return all(("queued", None) not in x.values() for x in found) and all(
            not any(state == "submitting" for state, _ in x.values()) for x in found
        )

    async with (
        open_pool(database_url, size=4) as other_pool,
        working(both[0], links[0]),
        working(both[1], links[1], pool=other_pool),
    ):
        await until(decided, 20)
    written = Counter(who for link in links for who, _ in link.written)
    assert written == Counter({phone(n): 1 for n in range(people)})
    found = Counter[tuple[str, str | None]]()
    for on in both:
        found.update((await verdicts(on)).values())
    assert found == Counter({("submitted", None): people, other: people})
    waiting = await pool.fetch("SELECT not_before FROM deferrals")
    assert len(waiting) == (people if over_cap == "defer" else 0)
    assert all(now + DAY <= row["not_before"] < now + DAY + HOUR for row in waiting)


# ---- what counts


LEAVES = ("submitting", None)


@pytest.mark.parametrize(
    ("ago", "verdict", "free_in"),
    [
        ([], LEAVES, None),
        ([DAY - timedelta(seconds=1)], ("queued", "capped"), timedelta(seconds=1)),
        ([DAY], LEAVES, None),
        ([2 * DAY, 7 * DAY - HOUR], ("queued", "capped"), HOUR),
        ([2 * DAY, 7 * DAY], LEAVES, None),
        ([n * DAY for n in (3, 8, 13, 18, 23, 29)], ("queued", "capped"), DAY),
        ([n * DAY for n in (3, 8, 13, 18, 23, 30)], LEAVES, None),
        # Two caps at once: the one that holds longest counts.
        ([HOUR, 6 * DAY], ("queued", "capped"), DAY),
        # From another process, whose clock is ahead.
        ([-HOUR], ("queued", "capped"), DAY + HOUR),
    ],
)
async def test_the_caps_of_practice(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    ago: list[timedelta],
    verdict: tuple[str, str | None],
    free_in: timedelta | None,
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    on = await launch(pool, keyring, one, now, over_cap="defer")
    if ago:
        await received(pool, keyring, phone(0), [now - span for span in ago])
    await hand_off(on, now)
    assert await verdicts(on) == {1: verdict}
    free_at = await pool.fetchval("SELECT not_before FROM deferrals")
    assert free_at == (None if free_in is None else now + free_in)


@pytest.mark.parametrize(
    ("days", "text", "verdict"),
    [
        (29, TEXT, ("suppressed", "same_text")),
        (30, TEXT, LEAVES),
        (29, TEXT + " ", LEAVES),
    ],
)
async def test_the_same_text_never_comes_twice_in_thirty_days(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    days: int,
    text: str,
    verdict: tuple[str, str | None],
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    on = await launch(pool, keyring, one, now, text=TEXT)
    await received(pool, keyring, phone(0), [now - days * DAY], text)
    await hand_off(on, now)
    assert await verdicts(on) == {1: verdict}


async def test_warnings_and_what_is_no_broadcast_have_no_cap_and_count_for_none(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    warnings = [
        await launch(pool, keyring, one, now, message_class="warning", text=TEXT) for _ in range(3)
    ]
    replies = [await launch(pool, keyring, one, now, over_cap="send") for _ in range(3)]
    for on in warnings + replies:
        assert await hand_off(on, now) == [1]
    assert await pool.fetchval("SELECT count(*) FROM recent_texts") == 0


async def test_work_notices_have_a_cap_of_their_own(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    sixth = await launch(pool, keyring, one, now, message_class="service")
    for minute in range(5):
        on = await launch(pool, keyring, one, now, message_class="service", text=TEXT)
        assert await hand_off(on, now + timedelta(minutes=minute)) == [1]
    publicity = await launch(pool, keyring, one, now)
    assert await hand_off(publicity, now + 6 * timedelta(minutes=1)) == [1]
    assert await hand_off(sixth, now + 6 * timedelta(minutes=1)) == []
    assert await verdicts(sixth) == {1: ("suppressed", "capped")}


async def test_the_caps_that_are_set_last_count_from_the_next_mark_on(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 2)
    runs = [await launch(pool, keyring, one, now) for _ in range(3)]
    assert await hand_off(runs[0], now) == [1, 2]
    by = By(one[0].operator, "a week of its own", now)
    async with transaction(pool) as conn:
        await caps.set_caps(conn, "public_interest", CapLimits(2, 2, None, same_text=False), by)
    assert await hand_off(runs[1], now) == [1, 2]
    assert await hand_off(runs[2], now) == []
    async with pool.acquire() as conn:
        history = await caps.list_caps(conn, history=True)
        current = await caps.list_caps(conn, history=False)
    assert [(c.message_class, c.limits.per_day, c.set_by) for c in history] == [
        ("public_interest", 2, one[0].operator),
        ("service", 5, None),
        ("public_interest", 1, None),
    ]
    assert {c.message_class: c.reason for c in current} == {
        "public_interest": "a week of its own",
        "service": "as delivered",
    }


def test_limits_that_contradict_each_other_are_refused() -> None:
    caps.check(CapLimits(None, 2, None, same_text=True))
    caps.check(CapLimits(3, 3, 3, same_text=True))
    with pytest.raises(Invalid) as refused:
        caps.check(CapLimits(3, None, 2, same_text=True))
    assert refused.value.fields == {"per_month": "must be at least per_day, which is 3"}


# ---- waiting


async def test_what_waits_leaves_within_the_hours_once_there_is_room(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    # It is half past nine; there is room at half past eight in the evening, which is too late.
    await received(pool, keyring, phone(0), [now - 13 * HOUR])
    hours = [["08:00", "20:00"]]
    on = await launch(pool, keyring, one, now, over_cap="defer", send_hours=hours)
    assert await hand_off(on, now) == []
    morning = now + timedelta(hours=22.5)
    assert await pool.fetchval("SELECT not_before FROM deferrals") == morning
    assert await pool.fetchval("SELECT not_before FROM slices") == morning
    before = morning - timedelta(seconds=1)
    async with pool.acquire() as conn:  # also while others of its slice are handed off
        span = (on.run, 1, 9)
        assert await slice_store.queued_rows(conn, on.channel.id, [span], before) == []
        assert len(await slice_store.queued_rows(conn, on.channel.id, [span], morning)) == 1
    assert await hand_off(on, before) == []
    assert await hand_off(on, morning) == [1]
    assert await verdicts(on) == {1: LEAVES}


async def test_whoever_took_the_place_meanwhile_lets_it_wait_again_or_end(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    async with transaction(pool) as conn:
        by = By(one[0].operator, "one a day", now)
        await caps.set_caps(conn, "public_interest", CapLimits(1, None, None, same_text=True), by)
    first, short, medium, long = [
        await launch(pool, keyring, one, now, over_cap="defer", valid_for=valid)
        for valid in (DAY, DAY, 30 * HOUR, 60 * HOUR)
    ]
    assert await hand_off(first, now) == [1]
    for on in (short, medium, long):
        assert await hand_off(on, now) == []
    assert await verdicts(short) == {1: ("suppressed", "capped")}  # there is room at its end only
    assert await hand_off(medium, now + DAY) == [1]
    assert await hand_off(long, now + DAY) == []
    assert await verdicts(long) == {1: ("queued", "capped")}
    assert (
        await pool.fetchval("SELECT not_before FROM deferrals WHERE run_id = $1", long.run)
        == now + 2 * DAY
    )
    assert await hand_off(long, now + 2 * DAY) == [1]


async def test_an_expansion_leaves_out_whom_no_place_will_be_free_for(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 4)
    await received(pool, keyring, phone(0), [now - HOUR])
    await received(pool, keyring, phone(1), [now - 20 * DAY], TEXT)
    await received(pool, keyring, phone(2), [now - DAY])
    expected = {
        ("stop", TEXT, DAY): {"capped": 1, "same_text": 1},
        ("stop", None, DAY): {"capped": 1},
        ("defer", TEXT, DAY): {"same_text": 1},
        ("defer", TEXT, 22 * HOUR): {"capped": 1, "same_text": 1},
    }
    for (over_cap, text, valid_for), left_out in expected.items():
        on = await launch(
            pool, keyring, one, now, over_cap=over_cap, text=text, valid_for=valid_for
        )
        rows = await pool.fetch("SELECT reason FROM exclusions WHERE run_id = $1", on.run)
        assert Counter(row["reason"] for row in rows) == left_out, (over_cap, text)


async def test_a_text_that_waits_for_its_hours_is_judged_as_of_then(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (one,) = await departments(pool, keyring, now, 1, 1)
    await received(pool, keyring, phone(0), [now - 20 * HOUR])
    evening = [["17:00", "20:00"]]  # in seven and a half hours
    on = await launch(pool, keyring, one, now, send_hours=evening)
    assert await verdicts(on) == {1: ("queued", None)}


# ---- what gives a place back, and what keeps it


async def place_is_free(on: Stage, other: Stage) -> bool:
    """Whether somebody else may write to the person now."""
    rows = await hand_off(other, on.now + timedelta(minutes=1))
    return bool(rows)


async def _never_written(on: Stage) -> None:
    await on.give_back([(1, 1)])


async def _refused(on: Stage) -> None:
    await on.record(await on.result(1, 1, "rejected"))


async def _refused_in_part(on: Stage) -> None:
    await on.record(await on.result(1, 1, "rejected", ref=b"a"))


async def _taken(on: Stage) -> None:
    await on.record(await on.result(1, 1, ref=b"a"))


async def _killed(on: Stage) -> None:
    async with transaction(on.pool) as conn:
        await lease_store.recover_slices(conn, [(on.run, 1)], on.now)
    assert await on.state(1) == "uncertain"


async def _killed_and_refused_late(on: Stage) -> None:
    await _killed(on)
    await _refused(on)


async def _cancelled_unwritten(on: Stage) -> None:
    await on.cancel()
    await on.give_back([(1, 1)])
    assert await on.state(1) == "cancelled"


async def _again_after_one_that_may_have_left(on: Stage) -> None:
    await on.pool.execute(
        "INSERT INTO attempts (run_id, no, attempt, channel_id, state) "
        "VALUES ($1, 1, 0, $2, 'uncertain')",
        on.run,
        on.channel.id,
    )
    await _refused(on)


async def _again_after_one_that_the_network_refused(on: Stage) -> None:
    """The carrier took it, and said later that it was rejected: it cost the person nothing, but the
    carrier had it.
    """
    await on.record(await on.result(1, 1, ref=b"a"))
    await on.pool.execute(
        "INSERT INTO attempts (run_id, no, attempt, channel_id, state) "
        "VALUES ($1, 1, 1, $2, 'rejected')",
        on.run,
        on.channel.id,
    )
    await on.pool.execute(
        "UPDATE messages SET state = 'submitting', attempt = 2 WHERE run_id = $1", on.run
    )
    await on.record(await on.result(1, 2, "rejected"))
    assert await on.state(1) == "rejected"


@pytest.mark.parametrize(
    ("became", "free"),
    [
        (_never_written, True),
        (_refused, True),
        (_cancelled_unwritten, True),
        (_killed_and_refused_late, True),
        (_refused_in_part, False),
        (_taken, False),
        (_killed, False),
        (_again_after_one_that_may_have_left, False),
        (_again_after_one_that_the_network_refused, False),
    ],
)
async def test_only_what_never_left_gives_its_place_back(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    became: Callable[[Stage], Awaitable[None]],
    free: bool,  # a table
) -> None:
    one, two = await departments(pool, keyring, now, 2, 1)
    on = await launch(pool, keyring, one, now)
    other = await launch(pool, keyring, two, now)
    assert await hand_off(on, now) == [1]
    await became(on)
    assert await place_is_free(on, other) is free


async def test_another_hand_off_of_the_same_text_takes_no_second_place(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    one, two = await departments(pool, keyring, now, 2, 1)
    on = await launch(pool, keyring, one, now)
    other = await launch(pool, keyring, two, now, over_cap="defer")
    for hour in range(3):
        assert await hand_off(on, now + hour * HOUR) == [1]
        await on.pool.execute("UPDATE messages SET state = 'queued' WHERE run_id = $1", on.run)
    places = await pool.fetchrow("SELECT at, runs, texts FROM recent_texts")
    assert places is not None
    assert places["at"] == [now + 2 * HOUR]
    assert places["runs"] == [on.run]
    assert len(places["texts"]) == 1
    # But somebody else's text in between counts.
    assert await hand_off(other, now + 26 * HOUR) == [1]
    assert await hand_off(on, now + 27 * HOUR) == []
    assert await verdicts(on) == {1: ("suppressed", "capped")}


# ---- everybody at once


@dataclass
class Month:
    """Departments that fire again and again in a month, with all that may happen to a hand-off.

    left: when texts left, or may have, by person; it is kept here and not asked of the caps.
    """

    pool: Pool
    keyring: Keyring
    rng: random.Random
    left: defaultdict[int, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    texts: defaultdict[tuple[int, str], list[datetime]] = field(
        default_factory=lambda: defaultdict(list)
    )
    became: Counter[str] = field(default_factory=Counter)

    async def send(self, on: Stage, text: str, at: datetime) -> None:
        lease = await on.take_over()
        on.now = at
        slice_no = await on.claim(lease)
        if slice_no is None:  # the expansion left everybody out
            return
        rows = await on.pool.fetch(
            "SELECT no, phone_cipher FROM messages WHERE run_id = $1 AND state = 'queued'", on.run
        )
        whose = {r["no"]: self.keyring.decrypt("phone", r["phone_cipher"]) for r in rows}
        nos = sorted(whose, key=lambda _: self.rng.random())
        for start in range(0, len(nos), 5):
            async with transaction(on.pool) as conn:
                lot = await mark(conn, lease, on.run, nos[start : start + 5], slice_no, at)
                await random_moment(0.004, self.rng)
            for no, attempt in lot.items():
                await self.answer(on, no, attempt, whose[no], text)
        await on.take_over()  # killed: what is still marked is uncertain, and a person settles it
        await on.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", on.run)
        await on.pool.execute("DELETE FROM uncertain WHERE run_id = $1", on.run)

    async def answer(self, on: Stage, no: int, attempt: int, who: str, text: str) -> None:
        fate = self.rng.choice(["submitted", "submitted", "killed", "rejected", "unwritten"])
        self.became[fate] += 1
        if fate == "unwritten":
            await on.give_back([(no, attempt)])
            return
        if fate != "killed":
            ref = uuid_ref(self.rng) if fate == "submitted" else None
            await on.record(await on.result(no, attempt, fate, ref))
        if fate != "rejected":
            person = int(who[-3:])
            self.left[person].append(on.now)
            self.texts[person, text].append(on.now)


def uuid_ref(rng: random.Random) -> bytes:
    return rng.randbytes(8)


async def test_nobody_ever_gets_more_than_the_caps_allow(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """Forty days, four departments that write to the same twelve people at the same time, each
    21 hours, now and then a text that was there before; results in any order, kills, refusals.
    """
    people, rounds = 12, 45
    seed = random.randrange(10**6)
    month = Month(pool, keyring, random.Random(seed))
    made = await departments(pool, keyring, now, 4, people)
    for turn in range(rounds):
        at = now + turn * timedelta(hours=21)
        texts = [f"{TEXT}{month.rng.randrange(12)}" for _ in made]
        stages = [
            await launch(pool, keyring, one, at, text=text, valid_for=HOUR)
            for one, text in zip(made, texts, strict=True)
        ]
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(
                    month.send(on, text, at + timedelta(seconds=month.rng.randrange(60)))
                    for on, text in zip(stages, texts, strict=True)
                )
            )
    assert min(month.became.values()) > 10, (seed, month.became)
    for instants in month.left.values():
        instants.sort()
        for most, span in ((1, DAY), (2, 7 * DAY), (6, 30 * DAY)):
            for early, late in zip(instants, instants[most:], strict=False):
                assert late - early >= span, seed
    for instants in month.texts.values():
        assert all(late - early >= 30 * DAY for early, late in pairwise(sorted(instants))), seed
    # And the caps are used up: nobody is kept from what is allowed.
    assert sum(map(len, month.left.values())) >= people * 5
