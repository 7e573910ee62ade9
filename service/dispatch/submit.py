"""The hand-off on one connection: claim slices, mark, and let the writer write (design §4).

The order is the whole point. A message takes a permit, is marked as leaving in PostgreSQL
(durable, under the locks that pause, cancel and opt-out wait for), takes its tokens, and is
written; its permit is free again once its result is committed. So a crash leaves at most a window
of messages in doubt, and they become `uncertain`, never a second text. What was marked and
provably not written goes back to `queued`. While one batch is written the next is marked.

A connection works on a slice of each class and department that has any, and they take turns by
`share`; what is marked leaves in that order, so little is marked ahead of its tokens.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from service.channels.extension import fitting
from service.channels.gateway import Gateway
from service.channels.maintenance import maintenance_end
from service.channels.model import Channel
from service.crypto import Undecipherable
from service.dispatch import (
    allowance,
    caps,
    lease_store,
    quota,
    retry_store,
    share_store,
    slice_store,
    store,
)
from service.dispatch.compose import Composer, Message, Work, WrongKind, work_from
from service.dispatch.lease import HeldLease
from service.dispatch.pace import run_limit
from service.dispatch.permits import Permits
from service.dispatch.record import Handoff, Recorder
from service.dispatch.share import Flow, Turns
from service.dispatch.write import IDLE_SECONDS, PASSING, RETRY_SECONDS, Writer
from service.errors import TocsinError
from service.storage.postgres import Connection, Record, transaction

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
BLOCKED = timedelta(seconds=30)  # before rows whose phone is in doubt elsewhere are looked at again
READ_AHEAD = 0.4  # seconds of the channel's TPS that its connections may mark ahead of the tokens
LOOK_SECONDS = 0.4  # between looks for a slice of another run while there is one
MOST_SLICES = 8
MOST_FLOWS = 64
"""The slices in hand; beyond MOST_SLICES only of more classes or departments, or more urgent."""


class Sender:
    """Hands off messages on one open connection until told to stop or the link is lost."""

    def __init__(
        self, shared: Handoff, channel: Channel, held: HeldLease, gateway: Gateway
    ) -> None:
        self._shared = shared
        self._channel = channel
        self._held = held
        self._gateway = gateway
        self._composer = Composer(
            shared.keyring,
            shared.areas,
            gateway.split,
            signature=channel.signature,
            signature_counts=channel.signature_counts,
            simulated=channel.simulated,
        )
        size = channel.window * channel.destinations
        self._permits = Permits(size)
        # While there is something to write, marks wait until they are worth a transaction.
        ahead = size if channel.tps is None else min(size, int(channel.tps * READ_AHEAD))
        self._lump = max(1, ahead // channel.connections // 4)
        self._works: list[Work] = []
        self._turns = Turns()
        self._waiting: set[Flow] = set()
        self._tell_at = 0.0
        self._look_at = 0.0
        self._claim_unsure = False
        self._direct_last = False
        self._recorder = Recorder(shared, held.lease, self._permits)
        self._writer = Writer(shared, channel, held, gateway, self._recorder)
        self._writing: asyncio.Task[None]

    async def run(self, stop: asyncio.Event, bell: asyncio.Event) -> None:
        """Work until `stop` is set, the lease is fenced or the link is lost; then wind down:
        nothing marked stays behind unaccounted for.
        """
        recording = asyncio.create_task(self._recorder.run())
        self._writing = asyncio.create_task(self._writer.run())
        try:
            while not (stop.is_set() or self._broken):
                bell.clear()
                try:
                    busy = await self._step()
                except PASSING as error:
                    log.warning("hand-off waits", extra={"why": str(error)})
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if not busy:
                    await self._wait_for(bell, stop)
            if self._writing.done():  # a bug: never without a word
                self._writing.result()
        finally:
            await self._wind_down()
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)

    @property
    def _broken(self) -> bool:
        return self._gateway.lost.is_set() or self._held.fenced.is_set() or self._writing.done()

    async def _wait_for(self, *events: asyncio.Event) -> None:
        """Until one of the events, the end of the link or a moment has come."""
        ends = (*events, self._gateway.lost, self._held.fenced)
        waits = [asyncio.create_task(event.wait()) for event in ends]
        await asyncio.wait(waits, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _step(self) -> bool:
        """Hand off one batch; False when there is nothing to do."""
        if not self._writer.ready.is_set():
            await self._wait_for(self._writer.ready)
            return True
        if self._rests(self._shared.clock.now()):
            for held in list(self._works):
                self._let_go(held)
            return False
        now = asyncio.get_running_loop().time()
        await self._look_for_work(now)
        work = self._next_work(now)
        if work is None:
            if not self._works:
                return False
            await asyncio.sleep(min(min(w.next_at for w in self._works) - now, LOOK_SECONDS))
            return True
        limit = self._room(work)
        if limit < (self._lump if self._writer.waiting else 1):
            await self._permits.wait_free(IDLE_SECONDS, even_if_free=True)
            return True
        await self._hand_off(work, limit)
        return True

    def _room(self, work: Work) -> int:
        """How many messages may be marked now: as many as have permits, and no more than have
        tokens soon. What is marked is not overtaken, so all connections together mark no further.
        """
        size = self._channel.window * self._channel.destinations
        most = self._shared.book.most(self._channel.id, size, self._shared.clock.now())
        room = self._permits.free - (size - most)
        if self._channel.tps is not None:
            share = self._channel.tps * READ_AHEAD / self._channel.connections
            ahead = max(1, int(share), self._writer.lot)
            room = min(room, ahead - self._writer.waiting // work.parts_each)
        return room

    async def _hand_off(self, work: Work, limit: int) -> None:
        batch = await self._next_batch(work, limit)
        if not batch and not work.broken:
            if not work.rows:
                self._let_go(work)
            return
        self._permits.take(len(batch))
        work.outstanding += len(batch)
        try:
            marked = await self._mark(work, batch)
        except BaseException:
            # The commit's answer may be lost, not the commit: undo the marks that may be there.
            self._recorder.unsent(batch)
            self._let_go(work)
            raise
        work.outstanding -= len(batch) - len(marked)
        self._permits.give(len(batch) - len(marked))
        parts = _parts(marked)
        work.had += parts
        self._turns.charge(work.flow, parts, self._waiting)
        if not work.rows:
            self._let_go(work)
        self._writer.put(marked)

    async def _look_for_work(self, now: float) -> None:
        """Claim a slice when there is none, and now and then one of another run: it must not wait
        for the slice of a slow one (I11). Where there was one there may be more: they get on at
        once.
        """
        if self._works and now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        try:
            work = await self._claim()
        except BaseException:
            self._claim_unsure = True
            raise
        if work is None:
            return
        self._look_at = now
        fellows = [held.had for held in self._works if held.flow == work.flow]
        if not fellows:
            self._turns.enter(work.flow, work.weight)
        work.had = max(fellows, default=0)
        self._works.append(work)

    def _next_work(self, now: float) -> Work | None:
        """A slice of the class and department whose turn it is, of the run that had the least.

        None: there is none, or all wait for their campaigns' own pace.
        """
        due = [work for work in self._works if work.next_at <= now]
        if not due:
            return None
        self._waiting = {work.flow for work in due}
        flow = self._turns.pick(self._waiting)
        return min((work for work in due if work.flow == flow), key=lambda work: work.had)

    async def _claim(self) -> Work | None:
        now = self._shared.clock.now()
        lease = self._held.lease
        await self._tell_shares(now)
        if len(self._works) >= MOST_FLOWS:
            return None
        held = [(w.run_id, w.flow.priority, w.flow.department) for w in self._works]
        async with transaction(self._shared.pool) as conn:
            if self._claim_unsure:
                known = [w.key for w in (*self._works, *self._recorder.leaving)]
                await slice_store.release_unknown(conn, lease, known)
            full = len(held) >= MOST_SLICES
            claimed = await slice_store.claim_slice(
                conn, lease, now, held, full=full, campaigns_first=self._direct_last
            )
            rows = []
            if claimed is not None:
                await lease_store.recover_slice(conn, claimed["run_id"], claimed["no"], now)
                rows = await self._rows_of(conn, claimed, now)
        self._claim_unsure = False
        if claimed is None:
            return None
        self._direct_last = claimed["direct"]
        return work_from(claimed, rows, fitting(self._channel, claimed["extension"]))

    async def _rows_of(self, conn: Connection, claimed: Record, now: datetime) -> list[Record]:
        """What a slice just taken still has to hand off.

        Of a text that had been handed off before, that hand-off may have arrived in the very
        moment in which the text came back: whoever was second did not see the other.
        """
        run_id, first, last = claimed["run_id"], claimed["first_no"], claimed["last_no"]
        rows = await slice_store.queued_rows(conn, run_id, self._channel.id, first, last, now)
        again = [(run_id, row["no"]) for row in rows if row["attempt"]]
        if not again:
            return rows
        arrived = await retry_store.withdraw(conn, again, now)
        return [row for row in rows if (run_id, row["no"]) not in arrived]

    async def _tell_shares(self, now: datetime) -> None:
        """Tell the channel's other connections what was handed off here, and learn of theirs, now
        and then.
        """
        instant = asyncio.get_running_loop().time()
        if instant < self._tell_at:
            return
        self._tell_at = instant + LOOK_SECONDS
        charges = self._turns.untold()
        async with self._shared.pool.acquire() as conn:
            await share_store.tell(conn, self._channel.id, charges, now)
            self._turns.told(charges)
            self._turns.learn(await share_store.standings(conn, self._channel.id))

    def _rests(self, now: datetime) -> bool:
        """Whether these are the channel's hours of maintenance."""
        return maintenance_end(now, self._channel.maintenance) is not None

    async def _next_batch(self, work: Work, limit: int) -> list[Message]:
        """Up to `limit` messages of a slice, no more than its campaign's own pace allows.

        A row that cannot be made into a message stops nobody else; it is stopped by name.
        """
        batch: list[Message] = []
        for row in list(work.rows)[:limit]:
            try:
                message = self._composer.compose(work, row)
            except (TocsinError, Undecipherable, WrongKind) as error:
                log.error("a text cannot be made", extra={"no": row["no"], "why": str(error)})  # noqa: TRY400
                work.broken.append((row["no"], _why_none(error)))
            else:
                if not await self._own_pace_allows(work, len(message.parts), limit):
                    break
                batch.append(message)
            work.rows.popleft()
        return batch

    async def _own_pace_allows(self, work: Work, parts: int, limit: int) -> bool:
        """Whether the campaign's own limit (`max_tps`) allows these parts now.

        Tokens come one by one and are saved up in the slice, so that long texts find theirs.
        """
        if work.max_tps is None:
            return True
        if work.credit < parts:
            want = max(parts, min(limit * parts, work.max_tps // 5)) - work.credit
            grant = await self._shared.pace.take([run_limit(work.run_id, work.max_tps)], want)
            work.credit += grant.count
            if work.credit < parts:
                work.next_at = asyncio.get_running_loop().time() + max(grant.wait, 0.001)
                return False
        work.credit -= parts
        return True

    async def _mark(self, work: Work, batch: list[Message]) -> list[Message]:
        """Mark a batch as leaving; the hours, the validity and the quota are looked at under the
        locks (I6).

        Returns the messages that may leave; what else is to be known is noted in `work`.
        """
        async with transaction(self._shared.pool) as conn:
            await store.lock_for_mark(conn, self._held.lease, work.run_id)
            now = self._shared.clock.now()
            if self._rests(now):
                work.rows.clear()
                return []
            if not self._shared.county.now.is_open(now, work.hours):
                work.not_before = self._shared.county.now.next_opening(now, work.hours)
                work.rows.clear()
                return []
            stop = "validity_over" if work.is_over(now) else None
            asked, hold = await quota.within(conn, self._channel, batch, now, off=bool(stop))
            asked, ended = await allowance.within(conn, work, asked, now, off=bool(stop))
            rows = [(message.no, len(message.parts)) for message in asked]
            moved = await self._mark_rows(conn, work, rows, stop, now)
            await self._stop_broken(conn, work, now)
            await caps.settle(conn, work, moved, self._shared.county.now, now)
            if len(moved) < len(asked):
                if await store.run_state(conn, work.run_id) == "running":
                    work.not_before = now + BLOCKED
                else:
                    work.rows.clear()
            attempts = {row["no"]: row["attempt"] for row in moved if row["state"] == "submitting"}
            marked = [message for message in batch if message.no in attempts]
            await quota.use(conn, self._channel, marked, hold, now)
            await allowance.use(conn, work, marked, ended, now)
            if hold or ended:
                work.rows.clear()
        work.broken.clear()
        for message in marked:
            message.attempt = attempts[message.no]
            message.open_parts = len(message.parts)
        return marked

    async def _stop_broken(self, conn: Connection, work: Work, now: datetime) -> None:
        """Stop the rows that gave no message, each by its reason."""
        for why in sorted({why for _, why in work.broken}):
            rows = [(no, 1) for no, reason in work.broken if reason == why]
            await self._mark_rows(conn, work, rows, why, now)

    async def _mark_rows(
        self,
        conn: Connection,
        work: Work,
        rows: list[tuple[int, int]],
        stop: str | None,
        now: datetime,
    ) -> list[Record]:
        if not rows:
            return []
        lease = self._held.lease
        return await store.mark(conn, lease, work.run_id, work.slice_no, rows, stop, now)

    def _let_go(self, work: Work) -> None:
        """Take no more rows from this slice; it is finished once its last result is in."""
        work.rows.clear()
        if work in self._works:
            self._works.remove(work)
            self._recorder.leave(work)
            self._look_at = 0.0  # whoever it was may have another

    async def _wind_down(self) -> None:
        """Close the link, which settles every open answer, and let the last results be written."""
        for work in list(self._works):
            self._let_go(work)
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self._gateway.close(drain_seconds=0 if self._broken else DRAIN_SECONDS)
        self._writer.give_up()
        await self._recorder.until_idle()
        await self._writer.stop()


def _parts(messages: Iterable[Message]) -> int:
    return sum(len(message.parts) for message in messages)


def _why_none(error: Exception) -> str:
    """Why a row that gives no message is stopped."""
    if isinstance(error, WrongKind):
        return error.reason
    return "cannot_be_composed"
