"""What counts for and against a channel, and how much a process hands off by what it was told."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from service.channels.contract.gateway import Delivery, Inbound, Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.dispatch.failover.health import (
    IN_A_ROW,
    PROBE_SECONDS,
    RETURN_SECONDS,
    BreakerStanding,
    ChannelCounts,
    ChannelHealth,
    total,
)
from service.ledger.reasons import Place, Reason

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)

BLAME = [
    (Outcome.ACCEPTED, "", "accepted"),
    (Outcome.UNANSWERED, "", "unanswered"),
    (Outcome.NOT_SENT, "", "unsent"),
    (Outcome.THROTTLED, "", "throttled"),
    (Outcome.REFUSED_LOT, "", "refused"),
    *((Outcome.REJECTED, reason, "refused") for reason in (
        Reason.EMPTY_NUMBER, Reason.SUSPENDED, Reason.POWERED_OFF, Reason.BLACKLISTED,
        Reason.MEMORY_FULL, Reason.PORTED, Reason.CONTENT_FILTER, Reason.FREQUENCY_LIMIT,
        Reason.REJECTED, Reason.FORMAT)),
    *((Outcome.REJECTED, reason, "failed") for reason in (
        Reason.NETWORK, Reason.ACCOUNT, Reason.OTHER, Reason.NONE)),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "reason", "counted"), BLAME)
def test_each_answer_counts_once_where_it_belongs(
    outcome: Outcome, reason: str, counted: str
) -> None:
    counts = ChannelCounts()
    counts.answered(SubmitResult(outcome, reason=reason), 0.1)
    assert getattr(counts, counted) == 1
    assert counts.judged == (counted != "throttled")
    assert counts.faults == (counted in {"unanswered", "unsent", "failed"})


def test_every_reason_is_somebodys_fault() -> None:
    named = {reason for outcome, reason, _ in BLAME if outcome is Outcome.REJECTED}
    assert named == {Reason.NONE, *Reason.at(Place.CARRIER)}


def test_holds_by_the_carriers_word_count_for_nothing() -> None:
    counts = ChannelCounts()
    for outcome in (Outcome.SUSPENDED, Outcome.DAILY_LIMIT):
        counts.answered(SubmitResult(outcome), 0.1)
    assert counts == ChannelCounts()


def test_receipts_count_once_they_say_something() -> None:
    counts = ChannelCounts()
    for state in ReceiptState:
        counts.received(Receipt(b"1", "", state, "", "", None))
    counts.received(Inbound("+8619790000001", "10690000", "退订"))
    assert counts.receipts == len(ReceiptState) - 1
    assert counts.delivered == 1


def test_percentiles_are_of_all_processes_together() -> None:
    here, there = ChannelCounts(), ChannelCounts()
    for _ in range(90):
        here.answered(SubmitResult(Outcome.ACCEPTED), 0.03)
    for _ in range(10):
        there.answered(SubmitResult(Outcome.ACCEPTED), 3.0)
    both = total([here, there])
    assert (both.percentile(0.5), both.percentile(0.9), both.percentile(0.95)) == (0.05, 0.05, 5.0)
    assert ChannelCounts().percentile(0.5) is None
    there.answered(SubmitResult(Outcome.ACCEPTED), 1_000.0)
    assert there.percentile(1.0) == 120.0


def test_what_was_told_is_not_told_again_and_nothing_is_lost_meanwhile() -> None:
    health = ChannelHealth()
    counts = health.counts(1)
    counts.submits = 5
    fresh = health.unwritten()
    counts.submits += 2  # while they are written down
    assert fresh[1].submits == 5
    assert health.unwritten()[1].submits == 7  # writing failed: all of it again
    health.mark_written(fresh)
    assert health.unwritten()[1].submits == 2
    health.mark_written(health.unwritten())
    assert health.unwritten() == {}


async def test_receipts_are_counted_on_their_way_in() -> None:
    came = []

    def store(item: Delivery) -> "asyncio.Future[None]":
        came.append(item)
        return asyncio.get_running_loop().create_future()

    health = ChannelHealth()
    deliver = health.counting(lambda _: store)(3)
    deliver(Receipt(b"1", "", ReceiptState.DELIVERED, "", "", None))
    assert len(came) == 1
    assert health.counts(3).delivered == 1


def standing(state: str, *, climbing: bool = False) -> BreakerStanding:
    return BreakerStanding(state, NOW, climbing)


def test_how_much_a_connection_may_have_on_its_way() -> None:
    health = ChannelHealth()
    assert health.most(1, 64, NOW) == 64  # nobody has said anything
    states = {1: standing("closed"), 2: standing("open"), 3: standing("half_open")}
    health.take_standings(states)
    assert [health.most(channel, 64, NOW) for channel in (1, 2, 3)] == [64, 1, 1]
    assert [health.is_open(channel) for channel in (1, 2, 3, 4)] == [False, True, False, False]


def test_after_refusals_in_a_row_a_process_stops_by_itself_and_tries_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    health, clock = ChannelHealth(), [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    counts = health.counts(1)
    for _ in range(IN_A_ROW - 1):
        counts.answered(SubmitResult(Outcome.REJECTED, reason=Reason.OTHER), 0.1)
    assert health.most(1, 64, NOW) == 64
    counts.answered(SubmitResult(Outcome.REJECTED, reason=Reason.EMPTY_NUMBER), 0.1)
    assert health.most(1, 64, NOW) == 64, "a dead number is nobody's fault"
    counts.answered(SubmitResult(Outcome.REJECTED, reason=Reason.OTHER), 0.1)
    assert [health.most(1, 64, NOW) for _ in range(3)] == [1, 0, 0]
    assert health.most(2, 64, NOW) == 64
    clock[0] += PROBE_SECONDS
    assert [health.most(1, 64, NOW) for _ in range(2)] == [1, 0]
    counts.answered(SubmitResult(Outcome.ACCEPTED), 0.1)
    assert health.most(1, 64, NOW) == 64


def test_the_window_comes_back_in_steps() -> None:
    back = standing("closed", climbing=True)
    seconds = range(0, int(RETURN_SECONDS) + 1, 5)
    steps = [back.most(100, NOW + timedelta(seconds=s)) for s in seconds]
    assert (steps[0], steps[-1]) == (10, 100)
    assert all(b - a == 2 for a, b in itertools.pairwise(steps))
    assert back.most(4, NOW) == 1
    assert back.most(100, NOW - timedelta(seconds=60)) == 10  # another machine's clock
