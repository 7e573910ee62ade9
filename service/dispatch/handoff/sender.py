"""The hand-off on one connection: claim slices, mark, and let the writer write.

A message goes through these steps in this order. It takes a permit. It is marked as leaving in
PostgreSQL (durably, under the locks that pause, cancel and opt-out wait for). It takes its tokens
and is written. Its permit is free again once its result is committed. So a crash leaves no more
messages without a known result than there are permits; they become `uncertain`, and are not sent
again by themselves. Messages that were marked and provably not written go back to `queued`. While
one batch is written, the next one is marked, and there are permits enough that the carrier's window
stays full meanwhile (decision 0540).

A connection works on slices of every priority and department that has any, and these take turns by
`fair_queue`. Marked messages leave in the order of their marks, so few are marked before their
tokens are there.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from service.channels.contract.gateway import Gateway
from service.channels.contract.maintenance import maintenance_end
from service.channels.contract.model import Channel
from service.crypto import Undecipherable
from service.dispatch import fair_queue_store
from service.dispatch.compose import ClaimedSlice, Composer, Message, WrongNumberKind
from service.dispatch.fair_queue import Flow, Turns
from service.dispatch.handoff.claim import Claims
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.mark import mark
from service.dispatch.handoff.recorder import Handoff, Recorder
from service.dispatch.handoff.writer import IDLE_SECONDS, RETRY_SECONDS, TRANSIENT, Writer
from service.dispatch.limits.in_flight import PermitCounter, ahead_of, permits_for
from service.dispatch.limits.pace import run_limit
from service.dispatch.value_check import ValueRefused
from service.errors import TocsinError
from service.ledger.reasons import Reason
from service.logs import seldom

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
READ_AHEAD = 0.4  # seconds of the channel's TPS that its connections may mark ahead of the tokens
LOOK_SECONDS = 0.4  # between looks for a slice of another run while one is in hand


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
            values=shared.values,
            signature=channel.signature,
            signature_counts=channel.signature_counts,
            simulated=channel.simulated,
        )
        self._window = channel.window * channel.destinations
        self._size = permits_for(self._window)
        self._permits = PermitCounter(self._size)
        self._works: list[ClaimedSlice] = []
        self._turns = Turns()
        self._waiting: set[Flow] = set()
        self._next_report_at = 0.0
        self._next_look_at = 0.0
        self._claims = Claims(shared, channel, held)
        self._recorder = Recorder(shared, held.lease, self._permits)
        self._writer = Writer(shared, channel, held, gateway, self._recorder)
        self._writing: asyncio.Task[None]

    async def run(self, stop: asyncio.Event, wakeup: asyncio.Event) -> None:
        """ClaimedSlice until `stop` is set, the lease is fenced or the link is lost. Then wind
        down, so that every marked message has its result or is queued again.
        """
        recording = asyncio.create_task(self._recorder.run())
        self._writing = asyncio.create_task(self._writer.run())
        try:
            while not (stop.is_set() or self._broken):
                wakeup.clear()
                try:
                    busy = await self._step()
                except TRANSIENT as error:
                    log.warning("hand-off waits after a transient error", extra={"why": str(error)})
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if not busy:
                    await self._wait_for(wakeup, stop)
            if self._writing.done():  # only a bug ends the writer: raise its error
                self._writing.result()
        finally:
            try:
                await self._wind_down()
            finally:  # even if the wind-down is cancelled: nothing else ends these tasks
                recording.cancel()
                await asyncio.gather(recording, self._writer.stop(), return_exceptions=True)

    @property
    def _broken(self) -> bool:
        return self._gateway.lost.is_set() or self._held.fenced.is_set() or self._writing.done()

    async def _wait_for(self, *events: asyncio.Event) -> None:
        """Wait for one of the events, the end of the link or the lease, or IDLE_SECONDS."""
        ends = (*events, self._gateway.lost, self._held.fenced)
        waits = [asyncio.create_task(event.wait()) for event in ends]
        try:
            await asyncio.wait(waits, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _step(self) -> bool:
        """Hand off one batch; False when there is nothing to do."""
        if self._held.moved.is_set():
            self._held.moved.clear()
            self._begin_anew()
        if not self._writer.ready.is_set():
            await self._wait_for(self._writer.ready)
            return True
        if not self._shared.life.may_hand_off or self._in_maintenance(self._shared.clock.now()):
            for held in list(self._works):
                self._let_go(held)
            return False
        now = asyncio.get_running_loop().time()
        await self._look_for_work(now)
        works = self._next_works(now)
        if not works:
            if not self._works:
                return False
            await asyncio.sleep(min(min(w.next_at for w in self._works) - now, LOOK_SECONDS))
            return True
        ahead = self._ahead()
        limit = self._room(works[0], ahead)
        # While messages wait to be written, a mark waits until its batch is large enough.
        # It takes half of them at most, so that departments take turns in small steps.
        limit = min(limit, max(1, self._writer.lot, ahead // 2))
        if limit < (max(1, ahead // 4) if self._writer.waiting else 1):
            await self._permits.wait_free(IDLE_SECONDS, even_if_free=True)
            return True
        await self._hand_off(works, limit)
        return True

    def _ahead(self) -> int:
        """How many messages to mark ahead of those written. No other message can overtake a marked
        one, so no more than leave soon with a full window, and no more than get tokens soon: the
        channel's connections together mark at most READ_AHEAD seconds ahead.
        """
        now = asyncio.get_running_loop().time()
        ahead = ahead_of(self._window, self._writer.answers.seconds(now))
        if self._channel.tps is not None:
            share = int(self._channel.tps * READ_AHEAD / self._channel.connections)
            ahead = min(ahead, max(1, share))
        return max(ahead, self._writer.lot)

    def _room(self, work: ClaimedSlice, ahead: int) -> int:
        """How many messages may be marked now: no more than have a permit, and no more than leave
        `ahead` of them marked and not written. While the channel's breaker allows less than a
        window, that is all that is on its way.
        """
        most = self._shared.health.most(self._channel.id, self._window, self._shared.clock.now())
        spared = 0 if most >= self._window else self._size - most
        return min(self._permits.free - spared, ahead - self._writer.waiting // work.parts_each)

    async def _hand_off(self, works: Sequence[ClaimedSlice], limit: int) -> None:
        """Mark a batch of these slices, which are of one flow, and have it written."""
        batch = await self._next_batch(works, limit)
        if not batch and not any(work.rows_without_message for work in works):
            self._let_go_of_empty(works)
            return
        self._permits.take(len(batch))
        for message in batch:
            message.work.outstanding += 1
        try:
            marked, stand = await mark(self._shared, self._channel, self._held, works, batch)
        except BaseException:
            # The commit may have succeeded although its answer was lost: undo its marks, if any.
            self._recorder.unsent(batch)
            for work in works:
                self._let_go(work)
            raise
        for message in batch:
            message.work.outstanding -= not message.attempt
        self._permits.give(len(batch) - len(marked))
        parts = sum(len(message.parts) for message in marked)
        first = works[0]
        for work in self._works:
            if work is first or (
                first.taken_together and work.taken_together and work.flow == first.flow
            ):
                work.marked_parts += parts  # slices that are taken together count as one run
        self._turns.charge(first.flow, parts, self._waiting)
        self._let_go_of_empty(works)
        self._writer.put(marked, stand)

    async def _look_for_work(self, now: float) -> None:
        """Claim a slice if none is in hand, and every LOOK_SECONDS one of another run, which must
        not wait until a slow run's slice is done (I11). After a claim, look again in the next step,
        since there may be more.
        """
        if self._works and now < self._next_look_at:
            return
        self._next_look_at = now + LOOK_SECONDS
        await self._exchange_shares(self._shared.clock.now())
        claimed = await self._claims.take(self._works, self._recorder.leaving)
        if not claimed:
            return
        self._next_look_at = now
        flow = claimed[0].flow
        same_flow = [held for held in self._works if held.flow == flow]
        if not same_flow:
            self._turns.enter(flow, claimed[0].weight)
        together = [held for held in same_flow if held.taken_together]
        peers = together if claimed[0].taken_together and together else same_flow
        for work in claimed:
            work.marked_parts = max((peer.marked_parts for peer in peers), default=0)
        self._works += claimed

    def _next_works(self, now: float) -> list[ClaimedSlice]:
        """A slice of the priority and department whose turn it is, of the run with the fewest
        marked parts; if that slice has few rows, all such slices together.

        Empty: there is no slice, or all wait for their campaigns' own pace.
        """
        due = [work for work in self._works if work.next_at <= now]
        if not due:
            return []
        self._waiting = {work.flow for work in due}
        flow = self._turns.pick(self._waiting)
        turn = [work for work in due if work.flow == flow]
        work = min(turn, key=lambda work: work.marked_parts)
        return [other for other in turn if other.taken_together] if work.taken_together else [work]

    async def _exchange_shares(self, now: datetime) -> None:
        """Every LOOK_SECONDS, write down what was handed off here for the channel's other
        connections, and read what they wrote.
        """
        instant = asyncio.get_running_loop().time()
        if instant < self._next_report_at:
            return
        self._next_report_at = instant + LOOK_SECONDS
        charges = self._turns.unwritten()
        async with self._shared.pool.acquire() as conn:
            await fair_queue_store.write_charges(conn, self._channel.id, charges, now)
            self._turns.mark_written(charges)
            self._turns.take_standings(await fair_queue_store.standings(conn, self._channel.id))

    def _begin_anew(self) -> None:
        """Take all slices anew: the database is on another timeline and may lack answers that were
        recorded. Who takes a slice makes uncertain what nobody is going to answer for (0541).
        """
        log.warning("slices are taken anew: the database is on another timeline")
        for work in list(self._works):
            self._let_go(work)
        self._claims.compare()
        self._next_look_at = 0.0

    def _in_maintenance(self, now: datetime) -> bool:
        """Whether the channel is in its maintenance hours."""
        return maintenance_end(now, self._channel.maintenance) is not None

    async def _next_batch(self, works: Sequence[ClaimedSlice], limit: int) -> list[Message]:
        """Up to `limit` messages of these slices, each to another phone."""
        batch: list[Message] = []
        phones: set[bytes] = set()
        for work in works:
            if phones and any(row["phone_hash"] in phones for row in work.rows):
                continue  # left for the next batch: this one has its phone already
            batch += await self._batch_of(work, limit - len(batch))
            if work.taken_together:
                phones |= {message.phone_hash for message in batch}
        return batch

    async def _batch_of(self, work: ClaimedSlice, limit: int) -> list[Message]:
        """Up to `limit` messages of a slice, no more than its campaign's own pace allows.

        A row that gives no message does not stop the others: `work.rows_without_message` keeps its
        reason.
        """
        batch: list[Message] = []
        for row in list(work.rows)[:limit]:
            try:
                message = self._composer.compose(work, row)
            except (TocsinError, Undecipherable, WrongNumberKind, ValueRefused) as error:
                why = {"no": row["no"], "why": str(error)}
                seldom(log, logging.ERROR, "a message cannot be composed", **why)
                work.rows_without_message.append((row["no"], _reason_without_message(error)))
            else:
                if not await self._own_pace_allows(work, len(message.parts), limit):
                    break
                batch.append(message)
            work.rows.popleft()
        return batch

    async def _own_pace_allows(self, work: ClaimedSlice, parts: int, limit: int) -> bool:
        """Whether the campaign's own limit (`max_tps`) allows these parts now.

        Granted tokens are saved in `work.credit` until they are enough for a text of several parts.
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

    def _let_go_of_empty(self, works: Iterable[ClaimedSlice]) -> None:
        for work in works:
            if not work.rows:
                self._let_go(work)

    def _let_go(self, work: ClaimedSlice) -> None:
        """Take no more rows from this slice; it is finished once its last result is in."""
        work.rows.clear()
        if work in self._works:
            self._works.remove(work)
            self._recorder.leave(work)
            self._next_look_at = 0.0  # the same run may have another slice: look at once

    async def _wind_down(self) -> None:
        """Close the link, which gives each open submit a result; commit the last results."""
        for work in list(self._works):
            self._let_go(work)
        broken = self._broken  # asked before the writer ends, which is a sign of it, too
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self._gateway.close(drain_seconds=0 if broken else DRAIN_SECONDS)
        self._writer.give_up()
        await self._recorder.until_idle()


def _reason_without_message(error: Exception) -> Reason:
    """Why a row that gives no message is stopped."""
    if isinstance(error, WrongNumberKind | ValueRefused):
        return error.reason
    return Reason.CANNOT_BE_COMPOSED
