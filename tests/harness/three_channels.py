"""A run whose people may have to take a second channel, and what its carriers say, step by step."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.accounts.people.model import By, Role, User
from service.audience.vocabulary.choices import CARRIERS
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.plans.lifecycle import finish_campaigns
from service.channels.contract.gateway import Receipt
from service.channels.contract.model import Channel
from service.channels.contract.outcome import ReceiptState
from service.channels.routing import route_store
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.delivery.receipts.receipts import fold_receipts, rematch_answered
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, record_store, slice_store, store, sweep_store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import (
    Scene,
    add_channel,
    add_contacts,
    add_run,
    correct,
    make_scene,
    phone,
    states,
)
from tests.harness.stage import claim_one

MOBILE, UNICOM, TELECOM, _ = CARRIERS
NP = "NP:1243"
"""What China Mobile's receipts say of a number that another network serves."""


@dataclass
class ThreeChannels:
    """One run to customers of China Mobile, with a channel for each of the three carriers."""

    pool: Pool
    keyring: Keyring
    scene: Scene
    channels: dict[str, Channel]
    run: uuid.UUID
    now: datetime
    leases: dict[str, Lease] = field(default_factory=dict)
    woken: list[int] = field(default_factory=list)

    def id(self, carrier: str) -> int:
        return self.channels[carrier].id

    # ---- handing off

    async def lease(self, carrier: str, slot: int = 0) -> Lease:
        async with transaction(self.pool) as conn:
            await lease_store.ensure_connections(conn, self.id(carrier), slot + 1)
            lease = await lease_store.claim_connection(
                conn, self.id(carrier), slot, uuid.uuid4(), self.now
            )
        assert lease is not None
        return lease

    async def claim(self, lease: Lease) -> tuple[int, list[int]] | None:
        """Take a slice as a connection does: its number, and the rows still to be handed off."""
        async with transaction(self.pool) as conn:
            found = await claim_one(conn, lease, self.now)
            if found is None:
                return None
            await lease_store.recover_slices(conn, [(found["run_id"], found["no"])], self.now)
            rows = await slice_store.queued_rows(
                conn,
                lease.channel_id,
                [(found["run_id"], found["first_no"], found["last_no"])],
                self.now,
            )
        return found["no"], [row["no"] for row in rows]

    async def mark(self, lease: Lease, slice_no: int, *nos: int, parts: int = 1) -> list[int]:
        async with transaction(self.pool) as conn:
            await store.lock_for_mark(conn, lease, self.run)
            asked = [MarkRequest(self.run, slice_no, no, parts) for no in nos]
            moved, _ = await store.mark(conn, lease, asked, self.now)
        return sorted(row["no"] for row in moved if row["state"] == "submitting")

    async def result(
        self, no: int, state: str, *refs: bytes, reason: str | None = None, code: str | None = None
    ) -> HandoffResult:
        row = await self.row(no)
        numbered = tuple(enumerate(refs, start=1))
        return HandoffResult(
            self.run, no, row["attempt"], row["phone_hash"], state, reason, code, numbered
        )

    async def record(self, carrier: str, *results: HandoffResult) -> list[int]:
        async with transaction(self.pool) as conn:
            woken = await record_store.record_results(conn, self.id(carrier), results, self.now)
        async with self.pool.acquire() as conn:
            refs = [ref for result in results for _, ref in result.refs]
            await rematch_answered(conn, self.id(carrier), refs)
        return woken

    async def submitted(self, carrier: str, no: int, *refs: bytes) -> None:
        await self.record(carrier, await self.result(no, "submitted", *refs))

    async def refused(self, carrier: str, no: int, *refs: bytes, reason: str = "ported") -> None:
        """The answer to the submit says that the number is another network's."""
        result = await self.result(no, "rejected", *refs, reason=reason, code=NP)
        self.woken += await self.record(carrier, result)

    async def finish(self, lease: Lease, slice_no: int) -> bool:
        async with transaction(self.pool) as conn:
            ended = [ReleasedSlice(self.run, slice_no)]
            return bool(await slice_store.finish_slices(conn, lease, ended, self.now))

    async def sent(self, carrier: str, *nos: int, parts: int = 1) -> None:
        """Claim, mark and submit on this carrier's channel; `ref` gives each part's reference."""
        lease = self.leases.setdefault(carrier, await self.lease_once(carrier))
        claimed = await self.claim(lease)
        while claimed is not None:
            slice_no, rows = claimed
            mine = [no for no in nos if no in rows]
            assert await self.mark(lease, slice_no, *mine, parts=parts) == mine
            for no in mine:
                await self.submitted(carrier, no, *(ref(carrier, no, n) for n in range(parts)))
            if not await self.finish(lease, slice_no):
                return
            claimed = await self.claim(lease)

    async def lease_once(self, carrier: str) -> Lease:
        return self.leases.get(carrier) or await self.lease(carrier)

    # ---- what comes back

    async def receive(
        self, carrier: str, no: int, state: str, code: str, reason: str = "", part: int = 0
    ) -> None:
        receipt = Receipt(ref(carrier, no, part), "", ReceiptState(state), code, reason, None)
        async with transaction(self.pool) as conn:
            await delivery.insert_receipts(
                conn, self.keyring, [(self.id(carrier), receipt)], self.now
            )

    async def fold(self, carrier: str) -> None:
        async def wake(channel_id: int) -> None:
            self.woken.append(channel_id)

        await fold_receipts(self.pool, self.id(carrier), self.now, wake)

    async def ported(self, carrier: str, *nos: int) -> None:
        """Final receipts of this channel say that the numbers are another network's."""
        for no in nos:
            await self.receive(carrier, no, "undelivered", NP, "ported")
        await self.fold(carrier)

    async def delivered(self, carrier: str, *nos: int) -> None:
        for no in nos:
            await self.receive(carrier, no, "delivered", "DELIVRD")
        await self.fold(carrier)

    async def correct(self) -> None:
        """A correction of the run has fired."""
        await correct(self.pool, self.run)

    # ---- looking

    async def row(self, no: int) -> Any:
        return await self.pool.fetchrow(
            "SELECT *, state::text AS state FROM messages WHERE run_id = $1 AND no = $2",
            self.run,
            no,
        )

    async def where(self, no: int) -> tuple[str, str]:
        """A message's state, and the carrier whose channel it is on."""
        row = await self.row(no)
        (carrier,) = (c for c, channel in self.channels.items() if channel.id == row["channel_id"])
        return row["state"], carrier

    async def states(self) -> dict[str, int]:
        """The ledger's states, checked against the target (I1)."""
        async with self.pool.acquire() as conn:
            found = await states(conn, self.run)
            target = await conn.fetchval("SELECT target FROM runs WHERE id = $1", self.run)
        assert sum(found.values()) == target
        return found

    async def run_row(self) -> Any:
        return await self.pool.fetchrow("SELECT * FROM runs WHERE id = $1", self.run)

    async def listed(self) -> list[tuple[bytes, str]]:
        rows = await self.pool.fetch("SELECT ref, why FROM receipts_unmatched ORDER BY id")
        return [(row["ref"], row["why"]) for row in rows]

    async def known(self, no: int) -> route_store.Override | None:
        async with self.pool.acquire() as conn:
            return await route_store.get_override(conn, (await self.row(no))["phone_hash"])

    async def campaign(self) -> uuid.UUID:
        value: uuid.UUID = (await self.run_row())["campaign_id"]
        return value

    async def close(self) -> None:
        """What the scheduler does each second."""
        async with transaction(self.pool) as conn:
            closed = await sweep_store.close_finished_runs(conn, self.now)
            await finish_campaigns(conn, closed, self.now)

    async def act(self, act: Callable[..., Awaitable[Any]], conn: Connection | None = None) -> None:
        """Pause, resume or cancel the campaign, as its operator does."""
        who = User(
            self.scene.operator,
            self.scene.department,
            "police",
            "o",
            "o",
            frozenset({Role.OPERATOR}),
        )
        by = By(who.id, "test", self.now)
        campaign = await self.campaign()
        if conn is not None:
            await act(conn, who, campaign, by)
            return
        async with transaction(self.pool) as own:
            await act(own, who, campaign, by)


def ref(carrier: str, no: int, part: int = 0) -> bytes:
    return f"{carrier[6:9]}{no}.{part}".encode()


async def lay_out(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    *,
    people: int = 4,
    carriers: Sequence[str] = (MOBILE, UNICOM),
) -> ThreeChannels:
    """A channel for each carrier, and an urgent run to customers of the first."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], now)
        channels = {}
        for carrier in carriers:
            channels[carrier] = await add_channel(conn, keyring, 1, now)
            await alter(conn, channels[carrier], carriers=[carrier])
        run = await add_run(conn, scene, now, priority="urgent")
        await conn.execute("UPDATE campaigns SET schedule = $1", Schedule().as_json())
    made = await expand_run(pool, run, now)
    assert made is not None
    assert made.target == people
    return ThreeChannels(pool, keyring, scene, channels, run, now)


async def alter(conn: Connection | Pool, channel: Channel, **columns: Any) -> None:
    for name, value in columns.items():
        await conn.execute(f"UPDATE channels SET {name} = $2 WHERE id = $1", channel.id, value)
