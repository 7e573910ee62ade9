"""Recording what became of marked messages: in batches, durable, and only then are permits free.

Nothing is given up: while PostgreSQL is away the results wait here, their permits stay taken, and
so the connection stops handing off by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from service.campaigns.calendar.hours import County
from service.campaigns.plans.lifecycle import reopen_campaigns
from service.channels.config.codes import Codes
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.failover.health import ChannelHealth
from service.dispatch.handoff import record_store, slice_store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.limits import joint_store
from service.dispatch.limits.in_flight import PermitCounter
from service.dispatch.limits.pace import Pace
from service.dispatch.retries import reroute, retry_store
from service.dispatch.value_check import ValueCheck
from service.ledger.reasons import Reason
from service.liveness.life import Life
from service.queue import WakeChannel
from service.storage.locks import share_connection
from service.storage.postgres import COLLISIONS, UNREACHABLE, Connection, Pool, TooSlow, transaction

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.02
"""How long a result waits for others, to be recorded with them; less once an eighth of the
permits wait so."""
RETRY_SECONDS = 0.5

Rematch = Callable[[Connection, int, Sequence[bytes]], Awaitable[None]]
"""Called after results are committed, with the channel and the new references: a receipt that
came before its submit's answer is waiting for one of them."""

LookAtDatabase = Callable[[], Awaitable[None]]
"""Called where the database may have lost marks."""


@dataclass(slots=True)
class CountyNow:
    """The county as the process knows it; whoever serves the channels keeps it current."""

    now: County = field(default_factory=County)


@dataclass(frozen=True, slots=True)
class Handoff:
    """What every connection of a process shares. codes: the operator's, by kind of gateway;
    look_at_database: whether it was restored; health: how the channels are doing; county: its hours
    and calendar; values: what may fill a text; life: whether the process may hand off by its clock.
    """

    pool: Pool
    clock: Clock
    keyring: Keyring
    pace: Pace
    areas: Mapping[str, tuple[str, str]]
    rematch: Rematch
    codes: Mapping[str, Codes]
    wake: WakeChannel
    look_at_database: LookAtDatabase
    health: ChannelHealth = field(default_factory=ChannelHealth)
    county: CountyNow = field(default_factory=CountyNow)
    values: ValueCheck = field(default_factory=ValueCheck)
    life: Life = field(default_factory=Life)


class Recorder:
    """The results of one connection."""

    def __init__(self, shared: Handoff, lease: Lease, permits: PermitCounter) -> None:
        self._shared = shared
        self._lease = lease
        self._permits = permits
        self._size = permits.free
        self._settled: list[Message] = []
        self._most = self._size
        self._unsent: list[Message] = []
        self.leaving: list[ClaimedSlice] = []
        self._dirty = asyncio.Event()
        self._many = asyncio.Event()
        self._flushed = asyncio.Event()

    def settled(self, message: Message) -> None:
        """All parts of a message have their answer."""
        self._settled.append(message)
        self._dirty.set()
        if len(self._settled) * 8 >= self._size:
            self._many.set()

    def unsent(self, messages: Sequence[Message]) -> None:
        """These may be marked and provably were never written: they go back."""
        self._unsent += messages
        self._dirty.set()

    def written(self) -> None:
        """Something that was marked ahead was written, so that more may be marked."""
        self._permits.wake()

    def leave(self, work: ClaimedSlice) -> None:
        """No more rows are taken from this slice: finish it once its last result is in."""
        self.leaving.append(work)
        self._dirty.set()

    async def until_idle(self) -> None:
        """Until everything is recorded and every permit is back."""
        while self.leaving or self._settled or self._unsent or self._permits.free < self._size:
            self._flushed.clear()
            await self._flushed.wait()

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            await self._dirty.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._many.wait(), FLUSH_SECONDS)
            self._dirty.clear()
            self._many.clear()
            try:
                await self._flush()
            except (*UNREACHABLE, *COLLISIONS) as error:
                log.warning("results wait for the database", extra={"why": str(error)})
                await self._try_again()
            except Exception:  # an end of this loop would stop the channel without a word
                log.exception("results could not be written, trying again")
                await self._try_again()
            self._flushed.set()

    async def _try_again(self) -> None:
        self._dirty.set()
        await asyncio.sleep(RETRY_SECONDS)

    async def _flush(self) -> None:
        """Commit what there is, then free its permits. On an error everything is kept. No more than
        `_most` results are committed at once: fewer after a commit that took too long, and by and
        by more again.
        """
        now = self._shared.clock.now()
        left = len(self._settled)
        while left > 0:
            some = self._settled[: min(self._most, left)]
            try:
                await self._record(some, now)
            except TooSlow as error:
                self._most = max(1, len(some) // 2)
                log.warning("fewer results at once", extra={"size": self._most, "why": str(error)})
                raise
            left -= len(some)
            self._most = min(self._size, self._most + 1)
        if self._unsent:
            await self._give_back(list(self._unsent), now)
        ended = [work for work in self.leaving if not work.outstanding]
        together = [work for work in ended if work.taken_together]
        for works in [
            *([together] if together else []),
            *([work] for work in ended if not work.taken_together),
        ]:
            slices = [slice_store.ReleasedSlice(*work.key, work.not_before) for work in works]
            async with transaction(self._shared.pool) as conn:
                await slice_store.finish_slices(conn, self._lease, slices, now)
            for work in works:
                self.leaving.remove(work)
                work.span.end()

    async def _record(self, messages: list[Message], now: datetime) -> None:
        results = [result_of(message) for message in messages]
        async with transaction(self._shared.pool) as conn:
            # Whoever makes these uncertain holds the connection alone.
            await share_connection(conn, self._lease.channel_id, self._lease.slot)
            woken = await record_store.record_results(conn, self._lease.channel_id, results, now)
            await _leave_to_other_legs(conn, messages)
        del self._settled[: len(messages)]
        self._release(messages)
        refs = [ref for message in messages for _, ref in message.refs]
        async with self._shared.pool.acquire() as conn:
            await self._shared.rematch(conn, self._lease.channel_id, refs)
        for channel_id in woken:
            await self._shared.wake(channel_id)

    async def _give_back(self, messages: list[Message], now: datetime) -> None:
        runs = sorted({message.work.run_id for message in messages})
        async with transaction(self._shared.pool) as conn:
            await share_connection(conn, self._lease.channel_id, self._lease.slot)
            await reroute.lock(conn, runs)
            for work in dict.fromkeys(message.work for message in messages):
                rows = [(m.no, m.attempt) for m in messages if m.work is work]
                await record_store.give_back(conn, self._lease, work.key, rows, now)
                await _leave_to_other_legs(conn, [m for m in messages if m.work is work])
                again = [(work.run_id, no) for no, attempt in rows if attempt != 1]
                if again:  # an earlier hand-off may have arrived meanwhile
                    await retry_store.withdraw(conn, again, now)
            await reopen_campaigns(conn, runs, "unsent texts came back", now)
        del self._unsent[: len(messages)]
        self._release(messages)

    def _release(self, messages: list[Message]) -> None:
        for message in messages:
            message.work.outstanding -= 1
        self._permits.give(len(messages))


async def _leave_to_other_legs(conn: Connection, messages: Sequence[Message]) -> None:
    """Texts of joint plans that provably never left keep no other leg from their people."""
    keys = [(m.work.run_id, m.no) for m in messages if m.work.joint]
    await joint_store.give_back(conn, keys)


def result_of(message: Message) -> HandoffResult:
    """The state that the answers of all parts amount to.

    What was refused in a part and never written in the others is refused: nothing of it was taken.
    """
    lost = message.unsent and (message.refs or message.rejection is None)
    if message.unanswered or lost:
        state, reason, code = "uncertain", Reason.NO_ANSWER.value, None
    elif message.rejection is not None:
        state = "rejected"
        reason, code = message.rejection
    else:
        state, reason, code = "submitted", None, None
    return HandoffResult(
        message.work.run_id,
        message.no,
        message.attempt,
        message.phone_hash,
        state,
        reason,
        code,
        tuple(message.refs),
    )
