"""Taking slices on one connection: which come next, what a dead holder left in them, their rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from service.channels.config.extension import fitting
from service.channels.contract.model import Channel
from service.dispatch.compose import ClaimedSlice, claimed_slice_from
from service.dispatch.handoff import lease_store, slice_store
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.recorder import Handoff
from service.dispatch.handoff.slice_store import HeldSlice
from service.dispatch.retries import retry_store
from service.storage.postgres import Connection, Record, transaction
from service.tracing import begin_span

MOST_SLICES = 8
MOST_FLOWS = 64
"""The most slices in hand; slices that were taken together count as one. Beyond MOST_SLICES a slice
is taken only if it is of a further priority or department, or more urgent.
"""


class Claims:
    """Takes slices, and lets go of those that the database alone takes for this connection's."""

    def __init__(self, shared: Handoff, channel: Channel, held: HeldLease) -> None:
        self._shared = shared
        self._channel = channel
        self._held = held
        self._unsure = False
        self._direct_last = False

    def compare(self) -> None:
        """With the next slices, let go of those that the database alone takes for ours."""
        self._unsure = True

    async def take(
        self, works: Sequence[ClaimedSlice], leaving: Iterable[ClaimedSlice]
    ) -> list[ClaimedSlice]:
        """What comes next beside the slices in hand; leaving: those that wait for results."""
        if _in_hand(works) >= MOST_FLOWS:
            return []
        try:
            return await self._take(works, leaving)
        except BaseException:
            self._unsure = True
            raise

    async def _take(
        self, works: Sequence[ClaimedSlice], leaving: Iterable[ClaimedSlice]
    ) -> list[ClaimedSlice]:
        now = self._shared.clock.now()
        lease = self._held.lease
        held = [
            HeldSlice(w.run_id, w.flow.priority, w.flow.department, w.taken_together) for w in works
        ]
        only_new_flows = _in_hand(works) >= MOST_SLICES
        async with transaction(self._shared.pool) as conn:
            if self._unsure:
                known = [work.key for work in (*works, *leaving)]
                await slice_store.release_unknown(conn, lease, known)
            claimed = await slice_store.claim_slices(
                conn,
                lease,
                now,
                held,
                only_new_flows=only_new_flows,
                campaigns_first=self._direct_last or any(work.taken_together for work in works),
            )
            rows: dict[UUID, list[Record]] = {}
            if claimed:
                keys = [(row["run_id"], row["no"]) for row in claimed]
                await lease_store.recover_slices(conn, keys, now)
                rows = await self._rows_of(conn, claimed, now)
        self._unsure = False
        if claimed:
            self._direct_last = claimed[0]["direct"]
        return [self._begun(row, rows[row["run_id"]]) for row in claimed]

    def _begun(self, row: Record, rows: list[Record]) -> ClaimedSlice:
        work = claimed_slice_from(row, rows, fitting(self._channel, row["extension"]))
        work.span = begin_span(
            "slice",
            {
                "tocsin.channel": self._channel.name,
                "tocsin.run_id": str(work.run_id),
                "tocsin.texts": len(work.rows),
            },
        )
        return work

    async def _rows_of(
        self, conn: Connection, claimed: Sequence[Record], now: datetime
    ) -> dict[UUID, list[Record]]:
        """What slices just taken still have to hand off, by their runs.

        If a text was handed off before, its receipt may have been folded at the moment when the
        text was put back, so that neither transaction saw the other: such a text is withdrawn.
        """
        slices = [(row["run_id"], row["first_no"], row["last_no"]) for row in claimed]
        rows = await slice_store.queued_rows(conn, self._channel.id, slices, now)
        again = [(row["run_id"], row["no"]) for row in rows if row["attempt"]]
        arrived = await retry_store.withdraw(conn, again, now) if again else set()
        found: dict[UUID, list[Record]] = {row["run_id"]: [] for row in claimed}
        for row in rows:
            if (row["run_id"], row["no"]) not in arrived:
                found[row["run_id"]].append(row)
        return found


def _in_hand(works: Sequence[ClaimedSlice]) -> int:
    return len({(work.flow, None if work.taken_together else work.key) for work in works})
