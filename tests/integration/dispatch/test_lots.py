"""Several recipients a submit, and answers that are no failure of the text: account, day, lot."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.channels.config.codes import Codes
from service.channels.config.store import get_hold, hold_channel, lift_hold
from service.channels.contract.gateway import Submission, SubmitResult
from service.channels.contract.model import Hold
from service.channels.contract.outcome import Outcome
from service.dispatch.limits.pace import Pace
from service.ledger.reasons import Reason
from tests.harness.ledger import TEXT
from tests.harness.stage import Accept, Scripted, SetUp, Stage, done, working
from tests.harness.waiting import until

LONG = TEXT * 3


def sizes(gateway: Scripted) -> Counter[int]:
    return Counter(len(submission.recipients) for submission in gateway.submissions)


async def test_alike_texts_share_their_submits_and_everybody_gets_one(stage: SetUp) -> None:
    on = await stage(23, window=4, destinations=5)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: done(on))
    assert set(Counter(phone for phone, _ in gateway.written).values()) == {1}
    assert len(gateway.written) == 23
    assert sizes(gateway)[5] >= 3
    assert await on.states() == {"submitted": 23}
    refs = await on.pool.fetchval("SELECT count(DISTINCT ref) FROM parts")
    assert refs == 23


async def test_the_parts_of_a_shared_text_carry_one_reference(stage: SetUp) -> None:
    on = await stage(8, window=8, destinations=4, text=LONG)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: done(on))
    by_phone: dict[str, set[int]] = {}
    numbers: dict[str, list[int]] = {}
    for submission in gateway.submissions:
        for phone in submission.recipients:
            by_phone.setdefault(phone, set()).add(submission.reference)
            numbers.setdefault(phone, []).append(submission.part.number)
    assert all(len(references) == 1 for references in by_phone.values())
    assert all(order == sorted(set(order)) for order in numbers.values())


async def test_a_lot_that_is_refused_for_one_number_is_sent_singly(stage: SetUp) -> None:
    on = await stage(12, window=4, destinations=6)
    bad: set[str] = set()

    def answer(submission: Submission) -> SubmitResult:
        bad.add(min(bad | set(submission.recipients)))
        worst = min(bad)
        if worst not in submission.recipients:
            return Accept
        if len(submission.recipients) > 1:
            return SubmitResult(Outcome.REFUSED_LOT, code="13", reason="format")
        return SubmitResult(Outcome.REJECTED, code="13", reason="format")

    gateway = Scripted(answer)
    async with working(on, gateway):
        await until(lambda: done(on))
    assert await on.states() == {"submitted": 11, "rejected": 1}
    assert sizes(gateway)[1] >= 6


async def test_lots_keep_within_the_pace(stage: SetUp, redis: Redis) -> None:
    on = await stage(60, window=8, tps=80, destinations=10)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Pace(redis)):
        await until(lambda: done(on), 10)
    assert sizes(gateway)[10] >= 4
    assert len(gateway.written) == 60


@pytest.mark.parametrize("outcome", [Outcome.SUSPENDED, Outcome.DAILY_LIMIT])
async def test_an_account_that_may_not_send_loses_nobody_and_holds_the_channel(
    stage: SetUp, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dispatch.handoff.sender.IDLE_SECONDS", 0.02)
    on = await stage(20, window=4)
    allowed = 6

    def answer(_: Submission) -> SubmitResult:
        nonlocal allowed
        allowed -= 1
        return Accept if allowed >= 0 else SubmitResult(outcome, code="75", reason="account")

    gateway = Scripted(answer)
    async with working(on, gateway) as sender:
        await until(lambda: _held(on))
        await until(lambda: _nothing_leaving(on))
        tried = len(gateway.written)
        assert tried <= 6 + 4
        assert await on.states() == {"submitted": 6, "queued": 14}
        await sender.looks()
        assert len(gateway.written) == tried
        async with on.pool.acquire() as conn:
            allowed = 100
            await lift_hold(conn, on.channel.id)
            await conn.execute("UPDATE slices SET not_before = NULL")
        await until(lambda: done(on), 10)
    assert await on.states() == {"submitted": 20}


async def test_the_days_amount_comes_back_at_midnight_of_the_carriers_zone(stage: SetUp) -> None:
    on = await stage(4, window=4)
    gateway = Scripted(lambda _: SubmitResult(Outcome.DAILY_LIMIT, code="75"))
    async with working(on, gateway):
        await until(lambda: _held(on))
    until_ = await on.pool.fetchval("SELECT held_until FROM channels")
    assert on.now < until_ <= datetime(2027, 1, 12, 16, 0, tzinfo=UTC)
    assert until_.astimezone(UTC).hour == 16


async def test_a_held_channel_gives_out_no_work(stage: SetUp) -> None:
    on = await stage(3)
    lease = await on.must_lease()
    async with on.pool.acquire() as conn:
        await hold_channel(conn, on.channel.id, Hold(on.now + timedelta(minutes=5), "barred"))
    assert await on.claim(lease) is None
    async with on.pool.acquire() as conn:
        await lift_hold(conn, on.channel.id)
    assert await on.claim(lease) == 1


async def _held(on: Stage) -> bool:
    async with on.pool.acquire() as conn:
        return await get_hold(conn, on.channel.id, on.now) is not None


async def _nothing_leaving(on: Stage) -> bool:
    return "submitting" not in await on.states()


async def test_one_text_that_cannot_be_written_holds_up_nobody(stage: SetUp) -> None:
    on = await stage(9, window=9)
    async with on.pool.acquire() as conn:
        unlucky = await conn.fetchval("SELECT phone_cipher FROM messages WHERE no = 5")
    phone = on.keyring.decrypt("phone", unlucky)

    def answer(submission: Submission) -> SubmitResult:
        return Accept

    class Strict(Scripted):
        def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
            if any(phone in submission.recipients for submission in batch):
                raise ValueError("the value is not ASCII")
            return super().submit(batch)

    gateway = Strict(answer)
    async with working(on, gateway):
        await until(lambda: done(on))
    assert await on.states() == {"submitted": 8, "rejected": 1}
    reason = await on.pool.fetchrow("SELECT reason, code FROM messages WHERE no = 5")
    assert reason is not None
    assert tuple(reason) == ("format", "unwritable")


async def test_a_carrier_that_says_how_long_to_wait_is_obeyed(stage: SetUp) -> None:
    on = await stage(3, window=3)
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def answer(_: Submission) -> SubmitResult:
        times.append(loop.time())
        if len(times) == 1:
            return SubmitResult(Outcome.THROTTLED, code="429", retry_after=1.0)
        return Accept

    async with working(on, Scripted(answer)):
        await until(lambda: done(on))
    assert await on.states() == {"submitted": 3}
    assert all(later - times[0] >= 0.99 for later in times[-3:])


async def test_only_the_last_part_asks_for_a_report_where_the_channel_says_so(
    stage: SetUp,
) -> None:
    on = await stage(4, window=8, receipts="last", text=LONG)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: done(on))
    asked = {(s.part.number == s.part.total, s.receipt) for s in gateway.submissions}
    assert asked == {(True, True), (False, False)}


async def test_the_operators_word_on_a_code_counts(stage: SetUp) -> None:
    on = await stage(6, window=6)
    answers = iter([SubmitResult(Outcome.REJECTED, code="177", reason="other")] * 3)
    gateway = Scripted(lambda _: next(answers, Accept))
    codes = {on.channel.kind: Codes({"177": (Outcome.THROTTLED, Reason.FREQUENCY_LIMIT)})}
    async with working(on, gateway, codes=codes):
        await until(lambda: done(on))
    assert await on.states() == {"submitted": 6}
    assert len(gateway.written) == 9
