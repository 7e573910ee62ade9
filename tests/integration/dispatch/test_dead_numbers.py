"""A number that two carriers' answers of different days call empty is not sent to any more."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from service.audience.suppressions import suppression_store
from service.audience.suppressions.suppression import add_suppressions
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.retries import dead_numbers
from service.storage.postgres import Pool, transaction
from tests.factories import suppression
from tests.harness.crowd import departments, launch
from tests.harness.ledger import phone
from tests.harness.stage import Stage

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONG_AGO = timedelta(days=181)

Send = Callable[[datetime, str], Awaitable[Stage]]


@pytest.fixture
async def send(pool: Pool, keyring: Keyring, now: datetime) -> Send:
    """Sends a warning to one person; what is said of it at an instant is told by a word: an
    answer to the submit (refused) or a receipt (dead, off, delivered; nothing yet: there is none).
    """
    ((scene, channel),) = await departments(pool, keyring, now, 1, 1)

    async def act(at: datetime, says: str) -> Stage:
        on = await launch(pool, keyring, (scene, channel), at, message_class="warning")
        lease = await on.take_over()
        claimed = await on.claim(lease)
        if claimed is None or await on.mark(lease, [1], claimed) == {}:
            return on
        if says == "refused":
            hashed = keyring.phone_index(phone(0))
            refused = HandoffResult(on.run, 1, 1, hashed, "rejected", "empty_number", "12", ())
            await on.record(refused)
        else:
            await on.record(await on.result(1, 1, ref=on.run.bytes))
            if says != "nothing yet":
                await receive(on, says)
        await pool.execute("UPDATE slices SET done_at = $1", at)
        return on

    return act


async def receive(on: Stage, says: str) -> None:
    state, code, reason = {
        "dead": (ReceiptState.UNDELIVERED, "MK:0001", "empty_number"),
        "off": (ReceiptState.UNDELIVERED, "MI:0024", "powered_off"),
        "delivered": (ReceiptState.DELIVERED, "DELIVRD", ""),
    }[says]
    receipt = Receipt(on.run.bytes, phone(0), state, code, reason, None)
    async with transaction(on.pool) as conn:
        await delivery.insert_receipts(conn, on.keyring, [(on.channel.id, receipt)], on.now)
    await fold_receipts(on.pool, on.channel.id, on.now)


async def is_dead(pool: Pool, at: datetime) -> bool:
    found: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM suppressions WHERE reason = 'dead_number' AND expires_at > $1)",
        at,
    )
    return found


@pytest.mark.parametrize(
    ("said", "dead"),
    [
        ([(0 * DAY, "dead"), (DAY, "dead")], True),
        ([(0 * DAY, "refused"), (3 * DAY, "dead")], True),
        ([(0 * DAY, "refused"), (3 * DAY, "refused")], True),
        ([(0 * DAY, "dead")], False),
        ([(0 * DAY, "dead"), (HOUR, "dead"), (2 * HOUR, "refused")], False),  # one bad day
        ([(0 * DAY, "dead"), (15 * HOUR, "dead")], True),  # past midnight in China
        ([(0 * DAY, "dead"), (DAY, "off")], False),
        ([(0 * DAY, "dead"), (DAY, "delivered"), (2 * DAY, "dead")], False),
        ([(0 * DAY, "dead"), (DAY, "delivered"), (2 * DAY, "dead"), (3 * DAY, "dead")], True),
        (
            [
                (0 * DAY, "dead"),
                (DAY, "delivered"),
                (2 * DAY, "dead"),
                (2 * DAY + HOUR, "dead"),
            ],
            False,
        ),
        ([(0 * DAY, "dead"), (LONG_AGO, "dead")], False),
    ],
)
async def test_two_answers_of_different_days_suppress_a_number(
    pool: Pool,
    now: datetime,
    send: Send,
    said: list[tuple[timedelta, str]],
    dead: bool,  # a table
) -> None:
    for after, says in said:
        await send(now + after, says)
    end = now + said[-1][0]
    assert await is_dead(pool, end) is dead
    if dead:
        row = await pool.fetchrow("SELECT * FROM suppressions")
        assert row is not None
        assert (row["source"], row["created_by"]) == ("receipts", None)
        assert row["classes"] == ["public_interest", "service", "warning"]
        assert row["note"].startswith("empty number on 2027-01-1")
        assert row["expires_at"] == end + dead_numbers.STOPPED_FOR
        on = await send(end + DAY, "delivered")
        assert await pool.fetchval("SELECT reason FROM exclusions WHERE run_id = $1", on.run) == (
            "dead_number"
        )
        # The number may be somebody else's by then.
        on = await send(end + dead_numbers.STOPPED_FOR, "delivered")
        assert await on.states() == {"delivered": 1}


async def test_what_arrived_after_all_lifts_it(pool: Pool, now: datetime, send: Send) -> None:
    await send(now, "dead")
    last = await send(now + DAY, "dead")
    assert await is_dead(pool, now + DAY)
    await receive(last, "delivered")  # a conflict with what it said before, and alive
    assert not await is_dead(pool, now + DAY)
    await send(now + 2 * DAY, "dead")
    assert not await is_dead(pool, now + 2 * DAY)  # the count began anew


async def test_a_text_that_left_before_and_arrives_lifts_it(
    pool: Pool, now: datetime, send: Send
) -> None:
    slow = await send(now, "nothing yet")
    await send(now + HOUR, "dead")
    await send(now + DAY, "dead")
    assert await is_dead(pool, now + DAY)
    await receive(slow, "delivered")
    assert await slow.state(1) == "delivered"
    assert not await is_dead(pool, now + DAY)


async def test_what_a_person_entered_is_lifted_by_a_person_only(
    pool: Pool, keyring: Keyring, now: datetime, send: Send
) -> None:
    await send(now, "dead")
    last = await send(now + DAY, "dead")
    async with transaction(pool) as conn:
        await add_suppressions(conn, keyring, [phone(0)], suppression("dead_number"), now + DAY)
    await receive(last, "delivered")
    (row,) = await pool.fetch("SELECT id, source, expires_at FROM suppressions")
    assert (row["source"], row["expires_at"]) == ("person", None)
    async with transaction(pool) as conn:
        await suppression_store.delete_suppression(conn, row["id"], None)
    await send(now + 3 * DAY, "dead")
    assert not await is_dead(pool, now + 3 * DAY)
    await send(now + 4 * DAY, "dead")
    assert await is_dead(pool, now + 4 * DAY)


async def test_two_answers_outlast_what_a_person_entered_for_a_shorter_time(
    pool: Pool, keyring: Keyring, now: datetime, send: Send
) -> None:
    """And for fewer classes: it is the more of both, and still the person's word."""
    new = suppression("dead_number", classes=["public_interest"], expires_at=now + 9 * DAY)
    async with transaction(pool) as conn:
        await add_suppressions(conn, keyring, [phone(0)], new, now)
    await send(now, "dead")
    last = await send(now + DAY, "dead")
    row = await pool.fetchrow("SELECT * FROM suppressions")
    assert row is not None
    assert (row["source"], row["expires_at"]) == ("person", now + DAY + dead_numbers.STOPPED_FOR)
    assert row["classes"] == ["public_interest", "service", "warning"]
    await receive(last, "delivered")
    assert await is_dead(pool, now + DAY)


async def test_once_a_person_has_lifted_it_the_count_begins_anew(
    pool: Pool, now: datetime, send: Send
) -> None:
    await send(now, "dead")
    await send(now + DAY, "dead")
    async with transaction(pool) as conn:
        found = await conn.fetchval("SELECT id FROM suppressions")
        await suppression_store.delete_suppression(conn, found, None)
    await send(now + 2 * DAY, "dead")
    assert not await is_dead(pool, now + 2 * DAY)


async def test_old_answers_are_deleted(pool: Pool, now: datetime, send: Send) -> None:
    await send(now, "dead")
    for at, left in ((now + timedelta(days=179), 1), (now + LONG_AGO, 0)):
        async with transaction(pool) as conn:
            await dead_numbers.forget(conn, at)
        assert await pool.fetchval("SELECT count(*) FROM dead_reports") == left
