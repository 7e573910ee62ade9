"""A backlog of receipts is worked off batch after batch, each of which begins where one ended."""

from typing import Any

import pytest

from service.delivery.receipts import receipts, store
from tests.harness.owner import as_owner
from tests.harness.receipts import SetUp


async def test_no_batch_reads_over_what_the_last_one_took(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage()
    for n in range(10):
        await on.receive(b"unknown %d" % n)
    ids = [row["id"] for row in await on.pool.fetch("SELECT id FROM receipt_inbox ORDER BY id")]
    begun, take = [], store.take_receipts

    async def watched(conn: Any, channel_id: int, limit: int, now: Any, after: int = 0) -> Any:
        begun.append(after)
        return await take(conn, channel_id, limit, now, after)

    monkeypatch.setattr(receipts, "BATCH", 4)
    monkeypatch.setattr(store, "take_receipts", watched)
    assert await on.fold() == 10
    assert begun == [0, ids[3], ids[7], 0]
    assert await on.waiting() == 0


async def test_what_was_committed_late_is_folded_all_the_same(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are given before commits: a receipt may appear before those that were taken already."""
    on = await stage()
    await as_owner(on.pool, "ALTER TABLE receipt_inbox ALTER COLUMN id RESTART WITH 100")
    for n in range(4):
        await on.receive(b"unknown %d" % n)
    take = store.take_receipts

    async def late(conn: Any, channel_id: int, limit: int, now: Any, after: int = 0) -> Any:
        taken = await take(conn, channel_id, limit, now, after)
        if not after and taken.count == 2:
            await conn.execute(
                "INSERT INTO receipt_inbox (id, channel_id, ref, state, reason, code, received_at)"
                " OVERRIDING SYSTEM VALUE"
                " VALUES (7, $1, 'late', 'delivered', '', 'DELIVRD', $2)",
                channel_id,
                on.now,
            )
        return taken

    monkeypatch.setattr(receipts, "BATCH", 2)
    monkeypatch.setattr(store, "take_receipts", late)
    await on.fold()
    assert await on.waiting() == 0
    assert (b"late", "parked") in await on.listed()
