"""A run with uncertain hand-offs: put there as a connection does, settled as whoever may."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from service.accounts.people.model import By
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store
from service.delivery.receipts.receipts import SETTLE_AFTER, fold_receipts, sweep_parked
from service.delivery.uncertain import uncertain
from service.delivery.uncertain.uncertain import Decision, DecisionResult
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, slice_store, sweep_store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.ledger.message_id import MessageKey
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import Stage

LATER = timedelta(minutes=11)
SECOND = timedelta(seconds=1)


@dataclass
class UncertainRun:
    """One run on one channel whose only connection is ours; messages are known by their number."""

    on: Stage
    lease: Lease

    @property
    def pool(self) -> Pool:
        return self.on.pool

    @property
    def later(self) -> datetime:
        """When a person may decide."""
        return self.on.now + LATER

    def key(self, no: int) -> MessageKey:
        return self.on.run, no

    async def make_uncertain(self, *nos: int, parts: int = 1, refs: Sequence[bytes] = ()) -> None:
        """Mark and write, get the references of the first parts, and no answer for the rest."""
        attempts = await self.on.mark(self.lease, nos, parts=parts)
        assert sorted(attempts) == sorted(nos)
        for no in nos:
            result = await self.on.result(no, attempts[no], "uncertain")
            numbered = tuple(enumerate(refs, start=1))
            await self.on.record(replace(result, refs=numbered, reason="no_answer"))

    async def submit(self, no: int, ref: bytes) -> None:
        attempts = await self.on.mark(self.lease, [no])
        await self.on.record(await self.on.result(no, attempts[no], ref=ref))

    async def finish_slice(self) -> None:
        """Its holder finds nothing more in it and lets go."""
        async with transaction(self.pool) as conn:
            await slice_store.finish_slices(
                conn, self.lease, [ReleasedSlice(self.on.run, 1)], self.on.now
            )

    async def finish(self) -> None:
        """The slice is done and the run closed, as the sweep does."""
        await self.finish_slice()
        async with transaction(self.pool) as conn:
            await sweep_store.close_finished_runs(conn, self.on.now)

    async def decide(
        self,
        *nos: int,
        decision: str = "delivered",
        at: datetime | None = None,
        user: uuid.UUID | None = None,
        which: UncertainFilter | None = None,
    ) -> DecisionResult:
        by = By(user or self.on.scene.operator, "asked the carrier", at or self.later)
        asked = which or UncertainFilter(keys=[self.key(no) for no in nos])
        async with transaction(self.pool) as conn:
            return await uncertain.decide(conn, asked, Decision(decision), by)

    async def allow_resend(self, *, allowed: bool = True) -> None:
        by = By(self.on.scene.approver, "no charge for doubles", self.on.now)
        async with transaction(self.pool) as conn:
            await uncertain.set_policy(conn, "public_interest", allowed=allowed, by=by)

    async def receive(
        self, ref: bytes, no: int | None = None, state: str = "delivered", **more: Any
    ) -> None:
        """A receipt comes in; `no`: it names that message's phone."""
        to = "" if no is None else await self.phone(no)
        receipt = Receipt(ref, to, ReceiptState(state), state.upper()[:7], "", None)
        async with transaction(self.pool) as conn:
            await store.insert_receipts(
                conn, self.on.keyring, [(self.on.channel.id, receipt)], more.get("at", self.later)
            )

    async def fold(self) -> None:
        await fold_receipts(self.pool, self.on.channel.id, self.later)

    async def sweep(self, at: datetime | None = None) -> None:
        """Look at parked receipts again, first for what was decided, then for what is uncertain."""
        now = at or self.later + SETTLE_AFTER + SECOND
        async with transaction(self.pool) as conn:
            await uncertain.sweep_decided(conn, self.on.channel.id, now)
        async with transaction(self.pool) as conn:
            await sweep_parked(conn, self.on.channel.id, now)

    async def phone(self, no: int) -> str:
        cipher = await self.pool.fetchval(
            "SELECT phone_cipher FROM messages WHERE run_id = $1 AND no = $2", self.on.run, no
        )
        return self.on.keyring.decrypt("phone", cipher)

    async def another(self) -> "UncertainRun":
        """A second run to the same people, over a second connection of the channel."""
        async with transaction(self.pool) as conn:
            await lease_store.ensure_connections(conn, self.on.channel.id, 2)
        other = await self.on.another_run()
        lease = await other.must_lease(slot=1)
        assert await other.claim(lease) is not None
        return UncertainRun(other, lease)

    async def row(self, no: int) -> dict[str, Any]:
        found = await self.pool.fetchrow(
            "SELECT state::text, reason, code, attempt, marked_at, submitted_at, final_at "
            "FROM messages WHERE run_id = $1 AND no = $2",
            self.on.run,
            no,
        )
        assert found is not None
        return dict(found)

    async def kept(self) -> list[str]:
        """Why receipts are kept aside."""
        rows = await self.pool.fetch("SELECT why FROM receipts_unmatched ORDER BY id")
        return [row["why"] for row in rows]

    async def run_state(self) -> str:
        state: str = await self.pool.fetchval("SELECT state FROM runs WHERE id = $1", self.on.run)
        return state

    async def check(self) -> None:
        """I1: target = Σ states, each open or final; each uncertain hand-off is listed, and nothing
        else is.
        """
        async with transaction(self.pool) as conn:
            target = await conn.fetchval("SELECT target FROM runs WHERE id = $1", self.on.run)
            rows = await conn.fetch(
                "SELECT no, state::text, reason, attempt, final_at FROM messages WHERE run_id = $1",
                self.on.run,
            )
            listed = await conn.fetch(
                "SELECT no, attempt FROM uncertain WHERE run_id = $1", self.on.run
            )
        assert len(rows) == target
        for row in rows:
            open_ = row["state"] in ("queued", "submitting", "submitted", "uncertain")
            assert (row["final_at"] is None) == open_, dict(row)
        uncertain_keys = {(r["no"], r["attempt"]) for r in rows if r["state"] == "uncertain"}
        assert {(r["no"], r["attempt"]) for r in listed} == uncertain_keys


async def start_uncertain_run(
    pool: Pool, keyring: Keyring, now: datetime, people: int = 4, **of_run: Any
) -> UncertainRun:
    """A running run to some people, with a connection that has claimed its slice."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(1, people + 1)], now)
        channel = await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now, **of_run)
    made = await expand_run(pool, run, now)
    assert made is not None
    stage = Stage(pool, keyring, scene, channel, run, now)
    lease = await stage.must_lease()
    assert await stage.claim(lease) is not None
    return UncertainRun(stage, lease)
