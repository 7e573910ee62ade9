"""No commit a message: what is marked, recorded, stored or folded goes in batches.

A row carries the transaction that wrote it last (`xmin`), so the commits can be counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.receipts import fold_receipts
from service.storage.postgres import Pool
from tests.harness.stage import SetUp

PEOPLE = 600
AT_ONCE = 60
MOST_COMMITS = 2 * PEOPLE // AT_ONCE
"""Twice as many as a stream of receipts in lots needs; a commit each would be 600."""


async def writers(pool: Pool, table: str) -> int:
    """How many transactions wrote the rows of a table as they are."""
    found: int = await pool.fetchval(f"SELECT count(DISTINCT xmin::text) FROM {table}")
    return found


@asynccontextmanager
async def storing(pool: Pool, keyring: Keyring, clock: Clock) -> AsyncIterator[Inbox]:
    async def wake(_: int) -> None:
        """Nobody folds."""

    inbox = Inbox(pool, keyring, clock, wake)
    task = asyncio.create_task(inbox.run())
    try:
        yield inbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def receipts(first: int, count: int, now: datetime) -> list[Receipt]:
    return [
        Receipt(number.to_bytes(8, "big"), "", ReceiptState.DELIVERED, "DELIVRD", "", now)
        for number in range(first, first + count)
    ]


async def test_receipts_are_stored_and_folded_in_batches(
    pool: Pool, keyring: Keyring, clock: Clock, stage: SetUp, now: datetime
) -> None:
    on = await stage(people=PEOPLE)
    lease = await on.must_lease()
    await on.claim(lease)
    marked = await on.mark(lease, range(1, PEOPLE + 1))
    assert len(marked) == PEOPLE
    results = [
        await on.result(no, attempt, "submitted", no.to_bytes(8, "big"))
        for no, attempt in marked.items()
    ]
    await on.record(*results)
    async with storing(pool, keyring, clock) as inbox:
        deliver = inbox.deliver_for(on.channel.id)
        for start in range(1, PEOPLE + 1, AT_ONCE):  # as they come off a socket
            await asyncio.gather(*map(deliver, receipts(start, AT_ONCE, now)))
    assert await pool.fetchval("SELECT count(*) FROM receipt_inbox") == PEOPLE
    assert await writers(pool, "receipt_inbox") <= MOST_COMMITS
    await fold_receipts(pool, on.channel.id, clock.now())
    assert await on.states() == {"delivered": PEOPLE}
    assert await writers(pool, "messages") <= MOST_COMMITS
