"""The writing half of the hand-off on one connection: tokens, the write, and what the answer means.

Everything that is put in here comes out again: as a result, or as unsent. Before each write the
tokens are fresh, the lease and the text are valid and the hours are open, and nothing else runs in
between. One module: that nothing is lost on the way is seen only where all ways out stand together.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from service.campaigns.stops.witness import MarkStand, Outdated
from service.channels.config.codes import NO_CODES
from service.channels.config.store import hold_channel
from service.channels.contract.gateway import Gateway, Submission, SubmitResult
from service.channels.contract.maintenance import maintenance_end, next_day
from service.channels.contract.model import Channel, Hold
from service.channels.contract.outcome import Outcome
from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.failover.health import IN_A_ROW
from service.dispatch.handoff import store
from service.dispatch.handoff.batch import Parcel, pack
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.marks_told import MarksTold
from service.dispatch.handoff.recorder import Handoff, Recorder
from service.dispatch.limits.in_flight import AnswerTimes, PermitCounter
from service.dispatch.limits.pace import RateLimit, channel_limit, lot_size
from service.dispatch.limits.throttle import Throttle
from service.errors import Unavailable
from service.ledger.reasons import Reason
from service.logs import seldom
from service.storage.postgres import COLLISIONS, UNREACHABLE

log = logging.getLogger(__name__)

TRANSIENT: tuple[type[Exception], ...] = (Unavailable, *UNREACHABLE, *COLLISIONS)
"""Errors after which the same is tried again a little later."""
RETRY_SECONDS = 0.5
IDLE_SECONDS = 2.0
LOOK_SECONDS = 0.25  # between looks whether the run still runs, while tokens are waited for
ACCOUNT_PAUSE = timedelta(minutes=5)
"""How long an account rests that the carrier says may not send, before it is tried again."""
STALE_WARNING = 50


class Writer:
    """Writes marked messages as tokens come, until it is cancelled.

    ready: whether it is worth marking more: Redis answers, and the account may send.
    answers: how long the carrier's answers take of late.
    """

    def __init__(
        self,
        shared: Handoff,
        channel: Channel,
        held: HeldLease,
        gateway: Gateway,
        recorder: Recorder,
    ) -> None:
        self.ready = asyncio.Event()
        self.ready.set()
        self.answers = AnswerTimes()
        self._shared = shared
        self._channel = channel
        self._held = held
        self._gateway = gateway
        self._recorder = recorder
        self._lot = lot_size(min(channel.destinations, gateway.most_recipients), channel.tps)
        self._limits: list[RateLimit] = []
        if channel.tps is not None:
            self._limits.append(channel_limit(channel.id, channel.tps, self._lot))
        # Tokens one by one would cost a question and a write each.
        self._min_tokens = min((limit.burst // 2 for limit in self._limits), default=1)
        self._slots = PermitCounter(channel.window)
        self._pending: deque[Parcel] = deque()
        self._throttle: Throttle[Parcel] = Throttle()
        self._put = asyncio.Event()
        self._slowing: set[asyncio.Future[None]] = set()
        self._holding: asyncio.Task[None] | None = None
        self._stale = 0
        self._marks = MarksTold(shared, held)
        self._counts = shared.health.counts(channel.id)

    @property
    def lot(self) -> int:
        """The most recipients in one submit."""
        return self._lot

    @property
    def waiting(self) -> int:
        """How many recipients' parts wait to be written."""
        return sum(len(parcel.messages) for parcel in self._pending)

    def put(self, messages: Iterable[Message], stand: MarkStand | None) -> None:
        """Write these marked messages as soon as may be. stand: what their mark has left."""
        if self._marks.note(stand):
            self._keep_begun()
        self._pending += pack(messages, self._lot)
        if not self.ready.is_set():
            self._keep_begun()  # the account may send no more since they were marked
        self._put.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            try:
                await self._step()
            except Outdated as error:
                self._keep_begun()  # that was told before, so it may end
                await self._marks.look_at_database(error)
            except TRANSIENT as error:
                log.warning("writing waits after a transient error", extra={"why": str(error)})
                self._abandon(self._pending)
                self.ready.clear()
                await asyncio.sleep(RETRY_SECONDS)
                await self._until_redis_answers()

    def give_up(self) -> None:
        """Account for everything that was not written; nothing is written from here on."""
        self._abandon(self._pending)
        self._abandon(deque(self._throttle.take_all()))

    async def stop(self) -> None:
        """Let what runs in the background end; call after `give_up`."""
        tasks = [*self._slowing, *([self._holding] if self._holding else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_redis_answers(self) -> None:
        while True:
            try:
                await self._shared.pace.take([], 1)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if self._holding is None:
                    self.ready.set()
                return

    async def _step(self) -> None:
        now = asyncio.get_running_loop().time()
        if pause := self._throttle.paused_for(now):
            await asyncio.sleep(min(pause, IDLE_SECONDS))
            return
        await self._take_up_again(now)
        if self._pending:
            await self._write_some()
            return
        self._put.clear()
        seconds = self._throttle.seconds_to_next(now) if self._throttle else IDLE_SECONDS
        try:
            await asyncio.wait_for(self._put.wait(), seconds)
        except TimeoutError:
            return

    async def _take_up_again(self, now: float) -> None:
        """What the carrier found too fast goes first, unless its run has stopped meanwhile."""
        due = self._throttle.due(now)
        self._pending.extendleft(reversed(due))
        for work in {parcel.work for parcel in due}:
            if await self._stopped(work):
                self._abandon_unbegun(work)

    async def _write_some(self) -> None:
        await self._slots.wait_free(IDLE_SECONDS)
        if self._shared.health.is_open(self._channel.id):
            self._keep_begun()
        if self._slots.free < 1 or not self._pending:
            return
        pending, first = self._pending, self._pending[0]
        wanted = self._wanted()
        least = max(len(first.messages), min(wanted, self._min_tokens))
        grant = await self._marks.take(self._limits, wanted, least)
        if not self._held.valid or self._gateway.lost.is_set():
            self._abandon(self._pending)
        elif self._pending is not pending:  # an answer meanwhile has sent the rest back
            return
        elif not first.begun and not self._is_open(first.work):
            self._abandon_unbegun(first.work)
        elif not grant.count:
            await asyncio.sleep(min(grant.wait, LOOK_SECONDS))
            if grant.wait > 0.1 and await self._stopped(first.work):
                self._abandon_unbegun(first.work)
        elif grant.stale:
            self._stale += 1
            if self._stale % STALE_WARNING == 0:
                log.warning("Redis is so slow that tokens are too old to be used")
        else:
            self._stale = 0
            self._write(grant.count)
            if self._pending and self._lot == 1:  # else what is marked meanwhile may fill a lot
                await asyncio.sleep(min(grant.wait, LOOK_SECONDS))

    def _wanted(self) -> int:
        """The recipients of the parcels that have a slot."""
        return sum(len(parcel.messages) for parcel in islice(self._pending, self._slots.free))

    def _write(self, tokens: int) -> None:
        """Write what the tokens pay for, unless some of it may not be written any more."""
        parcels = self._taken(tokens)
        works = dict.fromkeys(parcel.work for parcel in parcels if not parcel.begun)
        closed = [work for work in works if not self._is_open(work)]
        if not closed:
            self._submit(parcels)
            return
        self._pending.extendleft(reversed(parcels))
        for work in closed:
            self._abandon_unbegun(work)

    def _taken(self, tokens: int) -> list[Parcel]:
        """Take as many parcels as the tokens pay for; the last one is cut where they end."""
        parcels = []
        while tokens:
            parcel = self._pending.popleft()
            if len(parcel.messages) > tokens:
                parcel, rest = parcel.cut(tokens)
                self._pending.appendleft(rest)
            tokens -= len(parcel.messages)
            parcels.append(parcel)
        return parcels

    def _is_open(self, work: ClaimedSlice) -> bool:
        """Whether texts of this slice may be written now; what was too fast may be old by then."""
        now = self._shared.clock.now()
        if work.is_over(now) or maintenance_end(now, self._channel.maintenance) is not None:
            return False
        return self._shared.county.now.is_open(now, work.hours)

    async def _stopped(self, work: ClaimedSlice) -> bool:
        async with self._shared.pool.acquire() as conn:
            return await store.run_state(conn, work.run_id) != "running"

    def _submit(self, parcels: list[Parcel]) -> None:
        """Write these now. One that cannot be written as it is is refused, and holds up nobody."""
        for parcel in parcels:
            for message in parcel.messages:
                message.flying += 1
        try:
            futures = self._gateway.submit([self._submission(parcel) for parcel in parcels])
        except ValueError as error:  # nothing was written
            for parcel in parcels:
                for message in parcel.messages:
                    message.flying -= 1
            if len(parcels) > 1:
                for parcel in parcels:
                    self._submit([parcel])
            else:
                seldom(log, logging.ERROR, "a text cannot be written", why=str(error))
                refused = SubmitResult(Outcome.REJECTED, code="unwritable", reason=Reason.FORMAT)
                self._close(parcels[0], refused)
            return
        except Exception:  # a bug in a gateway: what it wrote, nobody knows
            for parcel in parcels:
                for message in parcel.messages:
                    message.flying -= 1
                self._close(parcel, SubmitResult(Outcome.UNANSWERED))
            raise
        self._slots.take(len(parcels))
        self._recorder.written()
        self._counts.submits += len(parcels)
        now = asyncio.get_running_loop().time()
        self.answers.written(now)
        for parcel, future in zip(parcels, futures, strict=True):
            future.add_done_callback(partial(self._answered, parcel, now))

    def _submission(self, parcel: Parcel) -> Submission:
        part, channel = parcel.part, self._channel
        return Submission(
            tuple(message.phone for message in parcel.messages),
            part,
            parcel.messages[0].reference,
            parcel.work.valid_until if channel.send_validity else None,
            parcel.work.extension,
            receipt=channel.receipts == "all" or part.number == part.total,
        )

    # ---- answers

    def _answered(
        self, parcel: Parcel, written_at: float, future: "asyncio.Future[SubmitResult]"
    ) -> None:
        self._slots.give(1)
        for message in parcel.messages:
            message.flying -= 1
        now = asyncio.get_running_loop().time()
        self._throttle.answered(now)
        codes = self._shared.codes.get(self._channel.kind, NO_CODES)
        result = codes.submit(future.result())
        self._counts.answered(result, now - written_at)
        self.answers.answered(written_at, now)
        if self._counts.in_a_row >= IN_A_ROW:
            self._keep_begun()
        if result.outcome is Outcome.THROTTLED:
            self._too_fast(parcel, result, now)
        elif result.outcome is Outcome.REFUSED_LOT and len(parcel.messages) > 1:
            for single in parcel.singly():
                self._throttle.later(single, now)
            self._put.set()
        else:
            if result.outcome in {Outcome.SUSPENDED, Outcome.DAILY_LIMIT}:
                self._account_refused(result)
            self._close(parcel, result)

    def _close(self, parcel: Parcel, result: SubmitResult) -> None:
        """Note what the answer says of this part of each message."""
        for index, message in enumerate(parcel.messages):
            if result.refs:
                message.refs.append((parcel.part.number, result.refs[index]))
            match result.outcome:
                case Outcome.ACCEPTED:
                    pass
                case Outcome.REJECTED | Outcome.REFUSED_LOT:
                    message.rejection = (result.reason, result.code)
                case Outcome.NOT_SENT | Outcome.SUSPENDED | Outcome.DAILY_LIMIT:
                    message.unsent += 1
                case _:
                    message.unanswered = True
            self._close_part(message)

    def _close_part(self, message: Message) -> None:
        message.open_parts -= 1
        if message.open_parts:
            return
        if message.unsent == len(message.parts):
            self._recorder.unsent([message])
        else:
            self._recorder.settled(message)

    def _too_fast(self, parcel: Parcel, result: SubmitResult, now: float) -> None:
        pause = self._throttle.refused(parcel, now, result.retry_after)
        self._put.set()
        if not pause:
            return
        seldom(log, logging.WARNING, "carrier says too fast", pause_seconds=pause, code=result.code)
        if self._limits:
            task = asyncio.ensure_future(self._slow_down(pause))
            self._slowing.add(task)
            task.add_done_callback(self._slowing.discard)

    async def _slow_down(self, pause: float) -> None:
        try:
            share = await self._shared.pace.slow(self._limits[0], pause)
        except Unavailable as error:
            log.warning("slowing down failed", extra={"why": str(error)})
        else:
            seldom(log, logging.INFO, "slowed down", share_of_tps=round(share, 3))

    def _account_refused(self, result: SubmitResult) -> None:
        """The carrier wants nothing from this account for now: nobody marks, all goes back."""
        if self._holding is not None:
            return
        self.ready.clear()
        self._keep_begun()
        self._holding = asyncio.create_task(self._hold(_hold(result, self._shared.clock.now())))

    async def _hold(self, hold: Hold) -> None:
        """Stop the channel for all its connections, however long the database takes."""
        log.error(
            "the carrier lets this account send nothing",
            extra={"why": hold.why, "until": hold.until.isoformat()},
        )
        while True:
            try:
                async with self._shared.pool.acquire() as conn:
                    await hold_channel(conn, self._channel.id, hold)
                break
            except UNREACHABLE as error:
                log.warning("the hold waits for the database", extra={"why": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
        self._holding = None
        self.ready.set()

    # ---- what is not written

    def _abandon(self, parcels: deque[Parcel]) -> None:
        """Account for parts that will not be written: unsent if nothing of the message was."""
        for parcel in parcels:
            for message in parcel.messages:
                message.unsent += 1
                self._close_part(message)
        parcels.clear()

    def _keep_begun(self) -> None:
        """A text that has begun to leave ends; all others go back."""
        self._abandon_those([not parcel.begun for parcel in self._pending])

    def _abandon_unbegun(self, work: ClaimedSlice) -> None:
        """Of this slice, a text that has begun to leave ends; the others go back."""
        self._abandon_those([p.work is work and not p.begun for p in self._pending])

    def _abandon_those(self, goes: list[bool]) -> None:
        parcels = list(zip(self._pending, goes, strict=True))
        self._pending = deque(parcel for parcel, go in parcels if not go)
        self._abandon(deque(parcel for parcel, go in parcels if go))


def _hold(result: SubmitResult, now: datetime) -> Hold:
    if result.outcome is Outcome.DAILY_LIMIT:
        return Hold(next_day(now), f"the day's amount is used up (code {result.code})")
    return Hold(now + ACCOUNT_PAUSE, f"the account may not send (code {result.code})")
