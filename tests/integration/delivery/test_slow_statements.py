"""Receipts on a slow database: the log says which statement is, and smaller batches make progress.

As a whole a batch passes its limit here, and a part of it does not.
"""

import asyncio
from collections.abc import Mapping

import pytest

from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import receipts
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.receipts import fold_receipts
from service.storage.postgres import Pool, open_pool
from tests.harness.receipts import SetUp
from tests.harness.slow import LIMIT, ROWS, losses, slow_down, told

pytestmark = pytest.mark.slow  # statements that run into their limits


@pytest.mark.parametrize(
    ("session", "seconds", "message"),
    [
        ({}, LIMIT, "a statement takes too long"),
        pytest.param(
            {"transaction_timeout": f"{LIMIT}s"},
            60.0,
            "a transaction takes too long",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["statement", "transaction"],
)
async def test_receipts_that_take_too_long_are_folded_in_smaller_batches(
    stage: SetUp,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    session: Mapping[str, str],
    seconds: float,
    message: str,
) -> None:
    monkeypatch.setattr(receipts, "BATCH", ROWS)
    on = await stage(ROWS)
    await on.mark(*range(1, ROWS + 1))
    for no in range(1, ROWS + 1):
        await on.answered(no, b"r%d" % no)
        await on.receive(b"r%d" % no)
    await slow_down(on.pool, "UPDATE ON messages")
    async with open_pool(database_url, size=2, session=session, seconds=seconds) as slow:
        assert await fold_receipts(slow, on.channel.id, on.now) == ROWS
    delivered = "SELECT count(*) FROM messages WHERE state = 'delivered'"
    assert await on.pool.fetchval(delivered) == ROWS
    found = told(caplog, message, "statement", "limit")
    assert found
    assert {place for place, _ in found} == {"service.delivery.receipts.store.take_receipts"}
    assert all(LIMIT <= limit < 60 for _, limit in found)
    sizes = [size for (size,) in told(caplog, "fold takes fewer at once", "size")]
    assert sizes == [ROWS // 2**n for n in range(1, len(found) + 1)]
    assert losses(caplog) == [], "the database was there all the time"


async def test_receipts_that_take_too_long_to_store_are_stored_in_smaller_batches(
    pool: Pool, database_url: str, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    await slow_down(pool, "INSERT ON receipt_inbox")

    async def heard(_: int) -> None:
        return None

    async with open_pool(database_url, size=2, seconds=LIMIT) as slow:
        inbox = Inbox(slow, keyring, Clock(), heard)
        deliver = inbox.deliver_for(1)
        running = asyncio.create_task(inbox.run())
        stored = [
            deliver(Receipt(b"r%d" % n, "", ReceiptState.DELIVERED, "DELIVRD", "", None))
            for n in range(ROWS)
        ]
        await asyncio.wait_for(asyncio.gather(*stored), 60)
        running.cancel()
    assert await pool.fetchval("SELECT count(DISTINCT ref) FROM receipt_inbox") == ROWS
    assert told(caplog, "a statement takes too long", "limit")[0] == (LIMIT,)
    assert losses(caplog) == []
