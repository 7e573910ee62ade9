"""A run whose texts are handed off, receipts for them, and what becomes of both."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.channels.contract.gateway import Receipt
from service.channels.contract.model import Channel
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store
from service.delivery.receipts.receipts import (
    SETTLE_AFTER,
    fold_receipts,
    rematch_answered,
    sweep_parked,
)
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, record_store
from service.dispatch.handoff import store as dispatch
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import Scene, add_run
from tests.harness.stage import claim_one

DAYS_3 = timedelta(hours=72)
SECOND = timedelta(seconds=1)


@dataclass
class HandedOff:
    """One run on one channel, marked and written; `no` is the number of a message."""

    pool: Pool
    keyring: Keyring
    scene: Scene
    channel: Channel
    run: uuid.UUID
    now: datetime
    lease: Lease

    async def mark(self, *nos: int, parts: int = 1) -> None:
        async with transaction(self.pool) as conn:
            await dispatch.lock_for_mark(conn, self.lease, self.run)
            asked = [dispatch.MarkRequest(self.run, 1, no, parts) for no in nos]
            moved, _ = await dispatch.mark(conn, self.lease, asked, self.now)
        assert len(moved) == len(nos)

    async def result(self, no: int, state: str, *refs: bytes) -> HandoffResult:
        row = await self.pool.fetchrow(
            "SELECT attempt, phone_hash FROM messages WHERE run_id = $1 AND no = $2", self.run, no
        )
        assert row is not None
        reason = "no_answer" if state == "uncertain" else None
        numbered = tuple(enumerate(refs, start=1))
        return HandoffResult(
            self.run, no, row["attempt"], row["phone_hash"], state, reason, None, numbered
        )

    async def answered(self, no: int, *refs: bytes, state: str = "submitted") -> None:
        """Commit the answer to a submit, then look again, as the Sender does."""
        result = await self.result(no, state, *refs)
        async with transaction(self.pool) as conn:
            await record_store.record_results(conn, self.channel.id, [result], self.now)
        async with self.pool.acquire() as conn:
            await rematch_answered(conn, self.channel.id, refs)

    async def receive(
        self,
        ref: bytes,
        state: str = "delivered",
        to: str = "",
        *,
        reason: str = "",
        at: datetime | None = None,
    ) -> None:
        receipt = Receipt(ref, to, ReceiptState(state), state.upper()[:7], reason, None)
        async with transaction(self.pool) as conn:
            await store.insert_receipts(
                conn, self.keyring, [(self.channel.id, receipt)], at or self.now
            )

    async def fold(self) -> int:
        return await fold_receipts(self.pool, self.channel.id, self.now)

    async def sweep(self, at: datetime | None = None) -> None:
        async with transaction(self.pool) as conn:
            await sweep_parked(conn, self.channel.id, at or self.now + SETTLE_AFTER + SECOND)

    async def phone(self, no: int) -> str:
        cipher = await self.pool.fetchval(
            "SELECT phone_cipher FROM messages WHERE run_id = $1 AND no = $2", self.run, no
        )
        return self.keyring.decrypt("phone", cipher)

    async def state(self, no: int) -> str:
        value: str = await self.pool.fetchval(
            "SELECT state::text FROM messages WHERE run_id = $1 AND no = $2", self.run, no
        )
        return value

    async def listed(self) -> list[tuple[bytes, str]]:
        """What is kept aside: (reference, why)."""
        rows = await self.pool.fetch("SELECT ref, why FROM receipts_unmatched ORDER BY id")
        return [(row["ref"], row["why"]) for row in rows]

    async def waiting(self) -> int:
        count: int = await self.pool.fetchval("SELECT count(*) FROM receipt_inbox")
        return count

    async def count_uncertain(self) -> int:
        count: int = await self.pool.fetchval("SELECT count(*) FROM uncertain")
        return count


SetUp = Callable[..., Awaitable[HandedOff]]


async def begin(
    pool: Pool, keyring: Keyring, scene: Scene, channel: Channel, now: datetime, slot: int
) -> HandedOff:
    async with pool.acquire() as conn:
        run = await add_run(conn, scene, now)
    await expand_run(pool, run, now)
    async with transaction(pool) as conn:
        await lease_store.ensure_connections(conn, channel.id, slot + 1)
        lease = await lease_store.claim_connection(conn, channel.id, slot, uuid.uuid4(), now)
        assert lease is not None
        assert await claim_one(conn, lease, now) is not None
    return HandedOff(pool, keyring, scene, channel, run, now, lease)


async def another_run(on: HandedOff) -> HandedOff:
    """A second run to the same people over another connection of the same channel."""
    return await begin(on.pool, on.keyring, on.scene, on.channel, on.now, slot=1)
