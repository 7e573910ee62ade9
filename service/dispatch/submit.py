"""The hand-off on one connection: claim a slice, mark, pace, write, record (design §4).

The order is the whole point. A message takes a permit, is marked as leaving in PostgreSQL
(durable, under the locks that pause, cancel and opt-out wait for), takes its tokens, and is
written; its permit is free again once its result is committed. So a crash leaves at most a window
of messages in doubt, and they become `uncertain`, never a second text. What was marked and
provably not written goes back to `queued`.

One module: all of it moves the same few counters, and their order must be read in one piece.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

from service.campaigns.schedule import is_open, next_opening
from service.channels.gateway import Gateway, Submission, SubmitResult
from service.channels.model import Channel
from service.channels.outcome import Outcome
from service.coding.parts import Part
from service.crypto import Undecipherable
from service.dispatch import lease_store, store
from service.dispatch.compose import Composer, Message, Work, work_from
from service.dispatch.lease import HeldLease
from service.dispatch.pace import Limit, channel_limit, run_limit
from service.dispatch.permits import Permits
from service.dispatch.record import Handoff, Recorder
from service.dispatch.throttle import Throttle
from service.errors import TocsinError, Unavailable
from service.storage.postgres import COLLISIONS, UNREACHABLE, Connection, Record, transaction

log = logging.getLogger(__name__)

IDLE_SECONDS = 2.0  # how long a lost bell can delay work
RETRY_SECONDS = 0.5
PASSING: tuple[type[Exception], ...] = (Unavailable, *UNREACHABLE, *COLLISIONS)
"""What only means: wait and try again."""
DRAIN_SECONDS = 10.0
BLOCKED = timedelta(seconds=30)  # before rows whose phone is in doubt elsewhere are looked at again
READ_AHEAD = 1.0  # seconds of the channel's TPS that may be marked ahead of the tokens
READ_AHEAD_OF_RUN = 0.2  # the same of a campaign's own TPS: others wait meanwhile
LOOK_SECONDS = 1.0  # between looks for another slice while there is one
MOST_SLICES = 8


class Sender:
    """Hands off messages on one open connection until told to stop or the link is lost."""

    def __init__(
        self, shared: Handoff, channel: Channel, held: HeldLease, gateway: Gateway
    ) -> None:
        self._shared = shared
        self._channel = channel
        self._held = held
        self._gateway = gateway
        self._composer = Composer(shared.keyring, shared.areas, gateway.split)
        self._permits = Permits(channel.window)
        self._slots = Permits(channel.window)
        self._works: list[Work] = []
        self._look_at = 0.0
        self._claim_unsure = False
        self._redis_was_away = False
        self._bell = asyncio.Event()
        self._throttle: Throttle[tuple[Message, Part]] = Throttle()
        self._recorder = Recorder(shared, held.lease, self._permits)

    async def run(self, stop: asyncio.Event, bell: asyncio.Event) -> None:
        """Work until `stop` is set, the lease is fenced or the link is lost; then wind down:
        nothing marked stays behind unaccounted for.
        """
        self._bell = bell
        recording = asyncio.create_task(self._recorder.run())
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
                    await self._wait_for_bell(stop, bell)
        finally:
            await self._wind_down()
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)

    @property
    def _broken(self) -> bool:
        return self._gateway.lost.is_set() or self._held.fenced.is_set()

    async def _wait_for_bell(self, stop: asyncio.Event, bell: asyncio.Event) -> None:
        events = (bell, stop, self._gateway.lost, self._held.fenced)
        waits = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _step(self) -> bool:
        """Hand off one batch; False when there is nothing to do."""
        now = asyncio.get_running_loop().time()
        if pause := self._throttle.paused_for(now):
            await asyncio.sleep(min(pause, IDLE_SECONDS))
            return True
        await self._write_again(now)
        await self._look_for_work(now)
        work = self._next_work()
        if work is None and not self._throttle:
            return False
        if work is None or self._permits.free < 1:
            # What holds the permits may itself wait to be written again.
            next_due = self._throttle.seconds_to_next(now) if self._throttle else IDLE_SECONDS
            await self._permits.wait_free(next_due, even_if_free=work is None)
            return True
        if self._redis_was_away:
            await self._shared.pace.take([], 1)
            self._redis_was_away = False
        await self._hand_off(work)
        return True

    async def _hand_off(self, work: Work) -> None:
        batch = self._next_batch(work)
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
        if not work.rows:
            self._let_go(work)
        await self._write(deque((message, part) for message in marked for part in message.parts))

    async def _look_for_work(self, now: float) -> None:
        """Claim a slice when there is none, and now and then one more: an urgent run must not wait
        for the slice of a slow one (I11).
        """
        if self._works and (now < self._look_at or len(self._works) >= MOST_SLICES):
            return
        self._look_at = now + LOOK_SECONDS
        try:
            work = await self._claim()
        except BaseException:
            self._claim_unsure = True
            raise
        if work is not None:
            self._works.append(work)

    def _next_work(self) -> Work | None:
        """The most urgent slice; those of one priority take turns."""
        if not self._works:
            return None
        work = min(self._works, key=lambda candidate: candidate.priority)
        self._works.remove(work)
        self._works.append(work)
        return work

    async def _claim(self) -> Work | None:
        now = self._shared.clock.now()
        async with transaction(self._shared.pool) as conn:
            if self._claim_unsure:
                known = [w.key for w in (*self._works, *self._recorder.leaving)]
                await store.release_unknown(conn, self._held.lease, known)
            claimed = await store.claim_slice(conn, self._held.lease, now)
            rows = []
            if claimed is not None:
                await lease_store.recover_slice(conn, claimed["run_id"], claimed["no"], now)
                rows = await store.queued_rows(
                    conn, claimed["run_id"], claimed["first_no"], claimed["last_no"]
                )
        self._claim_unsure = False
        return work_from(claimed, rows) if claimed is not None else None

    def _is_open(self, work: Work, now: datetime) -> bool:
        return work.message_class == "warning" or is_open(now, work.send_hours, work.zone)

    def _next_batch(self, work: Work) -> list[Message]:
        """As many messages as have permits, and no more than about a second of tokens.

        A row that cannot be made into a message stops nobody else; it is stopped by name.
        """
        limit = self._permits.free
        if self._channel.tps is not None:
            limit = min(limit, max(1, int(self._channel.tps * READ_AHEAD)))
        if work.max_tps is not None:
            limit = min(limit, max(1, int(work.max_tps * READ_AHEAD_OF_RUN)))
        batch = []
        for _ in range(min(limit, len(work.rows))):
            row = work.rows.popleft()
            try:
                batch.append(self._composer.compose(work, row))
            except (TocsinError, Undecipherable) as error:
                log.error("a text cannot be made", extra={"no": row["no"], "why": str(error)})  # noqa: TRY400
                work.broken.append(row["no"])
        return batch

    async def _mark(self, work: Work, batch: list[Message]) -> list[Message]:
        """Mark a batch as leaving; the hours and the validity are looked at under the locks (I6).

        Returns the messages that may leave; what else is to be known is noted in `work`.
        """
        async with transaction(self._shared.pool) as conn:
            await store.lock_for_mark(conn, self._held.lease, work.run_id)
            now = self._shared.clock.now()
            if not self._is_open(work, now):
                work.not_before = next_opening(now, work.send_hours, work.zone)
                work.rows.clear()
                return []
            over = work.valid_until is not None and now >= work.valid_until
            rows = [(message.no, len(message.parts)) for message in batch]
            stop = "validity_over" if over else None
            moved = await self._mark_rows(conn, work, rows, stop, now)
            broken = [(no, 1) for no in work.broken]
            await self._mark_rows(conn, work, broken, "cannot_be_composed", now)
            if len(moved) < len(batch):
                if await store.run_state(conn, work.run_id) == "running":
                    work.not_before = now + BLOCKED
                else:
                    work.rows.clear()
        work.broken.clear()
        attempts = {row["no"]: row["attempt"] for row in moved if row["state"] == "submitting"}
        marked = [message for message in batch if message.no in attempts]
        for message in marked:
            message.attempt = attempts[message.no]
            message.open_parts = len(message.parts)
        return marked

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

    # ---- writing

    def _limits(self, work: Work) -> list[Limit]:
        limits = []
        if self._channel.tps is not None:
            limits.append(channel_limit(self._channel.id, self._channel.tps))
        if work.max_tps is not None:
            limits.append(run_limit(work.run_id, work.max_tps))
        return limits

    async def _write_again(self, now: float) -> None:
        """Write once more what the carrier found too fast, unless its run has stopped meanwhile."""
        pending = deque(self._throttle.due(now))
        try:
            for work in {message.work for message, _ in pending}:
                if await self._stopped(work):
                    self._abandon_unbegun(pending, work)
        except BaseException:
            self._abandon(pending)
            raise
        await self._write(pending)

    async def _write(self, pending: deque[tuple[Message, Part]]) -> None:
        """Write parts as tokens come; whatever happens, none is left unaccounted for."""
        try:
            while pending:
                await self._write_some(pending)
        except BaseException:
            self._abandon(pending)
            raise

    async def _write_some(self, pending: deque[tuple[Message, Part]]) -> None:
        await self._slots.wait_free(IDLE_SECONDS)
        if self._slots.free < 1:
            return
        work, begun = pending[0][0].work, pending[0][0].begun
        try:
            grant = await self._shared.pace.take(
                self._limits(work), min(_leading(work, pending), self._slots.free)
            )
        except Unavailable:
            self._redis_was_away = True
            raise
        if not self._held.valid or self._gateway.lost.is_set():
            self._abandon(pending)
        elif not begun and not self._is_open(work, self._shared.clock.now()):
            self._abandon_unbegun(pending, work)
        elif grant.count and not grant.stale:
            self._submit([pending.popleft() for _ in range(grant.count)])
        elif not grant.count:
            await asyncio.sleep(min(grant.wait, 0.25))
            if grant.wait > 0.1 and await self._stopped(work):
                self._abandon_unbegun(pending, work)

    def _abandon_unbegun(self, pending: deque[tuple[Message, Part]], work: Work) -> None:
        """Of this slice, a text that has begun to leave ends; the others go back."""
        items = list(pending)
        stays = [m.begun or m.work is not work for m, _ in items]
        pending.clear()
        pending.extend(item for item, stay in zip(items, stays, strict=True) if stay)
        self._abandon(deque(item for item, stay in zip(items, stays, strict=True) if not stay))

    async def _stopped(self, work: Work) -> bool:
        async with self._shared.pool.acquire() as conn:
            return await store.run_state(conn, work.run_id) != "running"

    def _submit(self, batch: list[tuple[Message, Part]]) -> None:
        submissions = [
            Submission((message.phone,), part, message.reference, message.work.valid_until)
            for message, part in batch
        ]
        self._slots.take(len(batch))
        for message, _ in batch:
            message.flying += 1
        try:
            futures = self._gateway.submit(submissions)
        except BaseException as error:
            self._slots.give(len(batch))
            for message, _ in batch:  # a ValueError comes before anything is written
                message.flying -= 1
                message.unsent += isinstance(error, ValueError)
                message.unanswered |= not isinstance(error, ValueError)
                self._close_part(message)
            raise
        for (message, part), future in zip(batch, futures, strict=True):
            future.add_done_callback(partial(self._answered, message, part))

    def _abandon(self, pending: deque[tuple[Message, Part]]) -> None:
        """Account for parts that will not be written: unsent if nothing of the message was."""
        for message, _ in pending:
            message.unsent += 1
            self._close_part(message)
        pending.clear()

    # ---- answers

    def _answered(
        self, message: Message, part: Part, future: "asyncio.Future[SubmitResult]"
    ) -> None:
        self._slots.give(1)
        message.flying -= 1
        self._throttle.answered(asyncio.get_running_loop().time())
        result = future.result()
        if result.outcome is Outcome.THROTTLED:
            self._too_fast(message, part)
            return
        message.refs += [(part.number, ref) for ref in result.refs]
        if result.outcome is Outcome.REJECTED:
            message.rejection = (result.reason, result.code)
        elif result.outcome is Outcome.NOT_SENT:
            message.unsent += 1
        elif result.outcome is not Outcome.ACCEPTED:
            message.unanswered = True
        self._close_part(message)

    def _too_fast(self, message: Message, part: Part) -> None:
        now = asyncio.get_running_loop().time()
        pause = self._throttle.refused((message, part), now)
        self._permits.wake()
        self._bell.set()
        if pause:
            log.warning("carrier says too fast", extra={"pause_seconds": pause})
        if pause and self._channel.tps is not None:
            limit = channel_limit(self._channel.id, self._channel.tps)
            self._background(self._shared.pace.hold(limit, pause))

    def _background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(_report)

    def _close_part(self, message: Message) -> None:
        message.open_parts -= 1
        if message.open_parts:
            return
        if message.unsent == len(message.parts):
            self._recorder.unsent([message])
        else:
            self._recorder.settled(message)

    async def _wind_down(self) -> None:
        """Close the link, which settles every open answer, and let the last results be written."""
        for work in list(self._works):
            self._let_go(work)
        await self._gateway.close(drain_seconds=0 if self._broken else DRAIN_SECONDS)
        self._abandon(deque(self._throttle.take_all()))
        await self._recorder.until_idle()


def _leading(work: Work, pending: deque[tuple[Message, Part]]) -> int:
    """How many parts at the head of `pending` belong to this slice, and so share its limits."""
    return sum(1 for _ in takewhile(lambda item: item[0].work is work, pending))


def _report(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("slowing down failed", extra={"why": str(error)})
