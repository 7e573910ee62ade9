"""One run on one channel, a scripted link, and a Sender at work between them."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from service.campaigns.core import run_store
from service.channels.config.codes import Codes
from service.channels.contract.gateway import Gateway, Submission, SubmitResult
from service.channels.contract.model import Channel
from service.channels.contract.outcome import Outcome
from service.coding.parts import Part, split
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.failover.health import ChannelHealth
from service.dispatch.handoff import lease_store, record_store, slice_store, store
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.handoff.recorder import Handoff, LookAtDatabase
from service.dispatch.handoff.sender import Sender
from service.dispatch.handoff.slice_store import HeldSlice
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.limits.pace import Pace, RateLimit, TokenGrant
from service.dispatch.retries import reroute
from service.liveness.life import Life
from service.storage.locks import share_connection
from service.storage.postgres import Connection, Pool, Record, transaction
from tests.harness.clocks import FastClock
from tests.harness.ledger import (
    Scene,
    add_run,
    states,
)
from tests.harness.waiting import turns, until

Accept = SubmitResult(Outcome.ACCEPTED)
TooFast = SubmitResult(Outcome.THROTTLED, code="8")


@dataclass
class Stage:
    """One run on one channel, in a database of its own."""

    pool: Pool
    keyring: Keyring
    scene: Scene
    channel: Channel
    run: uuid.UUID
    now: datetime

    async def lease(self, slot: int = 0) -> Lease | None:
        async with transaction(self.pool) as conn:
            return await lease_store.claim_connection(
                conn, self.channel.id, slot, uuid.uuid4(), self.now
            )

    async def must_lease(self, slot: int = 0) -> Lease:
        lease = await self.lease(slot)
        assert lease is not None
        return lease

    async def renew(self, lease: Lease) -> None:
        """Extend a lease, as its holder does all the time: a test of many rounds outlives it."""
        async with self.pool.acquire() as conn:
            assert await lease_store.renew_connection(conn, lease)

    async def take_over(self, slot: int = 0) -> Lease:
        """Let the lease run out, and hand it to somebody else."""
        await self.expire(slot)
        return await self.must_lease(slot)

    async def expire(self, slot: int = 0) -> None:
        await self.pool.execute(
            "UPDATE connections SET expires_at = clock_timestamp() - interval '1 ms' "
            "WHERE channel_id = $1 AND slot = $2",
            self.channel.id,
            slot,
        )

    async def claim(self, lease: Lease) -> int | None:
        async with transaction(self.pool) as conn:
            claimed = await claim_one(conn, lease, self.now)
            if claimed is None:
                return None
            await lease_store.recover_slices(conn, [(claimed["run_id"], claimed["no"])], self.now)
            return int(claimed["no"])

    async def mark(
        self, lease: Lease, nos: Sequence[int], slice_no: int = 1, parts: int = 1
    ) -> dict[int, int]:
        """Mark messages; returns the attempt of each that moved."""
        async with transaction(self.pool) as conn:
            return await mark(conn, lease, self.run, nos, slice_no, self.now, parts)

    async def give_back(
        self, rows: Sequence[tuple[int, int]], lease: Lease | None = None, slice_no: int = 1
    ) -> None:
        """As `lease`, or as somebody who holds nothing any more."""
        lease = lease or Lease(self.channel.id, 0, -1, uuid.uuid4(), "")
        async with transaction(self.pool) as conn:
            await share_connection(conn, lease.channel_id, lease.slot)
            await reroute.lock(conn, [self.run])
            await record_store.give_back(conn, lease, (self.run, slice_no), rows, self.now)

    async def result(
        self, no: int, attempt: int, state: str = "submitted", ref: bytes | None = None
    ) -> HandoffResult:
        hashed = await self.pool.fetchval(
            "SELECT phone_hash FROM messages WHERE run_id = $1 AND no = $2", self.run, no
        )
        refs = () if ref is None else ((1, ref),)
        return HandoffResult(self.run, no, attempt, hashed, state, None, None, refs)

    async def record(self, *results: HandoffResult) -> None:
        async with transaction(self.pool) as conn:
            await record_store.record_results(conn, self.channel.id, list(results), self.now)

    async def state(self, no: int) -> str:
        value: str = await self.pool.fetchval(
            "SELECT state::text FROM messages WHERE run_id = $1 AND no = $2", self.run, no
        )
        return value

    async def states(self) -> dict[str, int]:
        async with self.pool.acquire() as conn:
            return await states(conn, self.run)

    async def marks(self) -> int:
        """How many marks there have been: no statement takes an attempt back."""
        count: int = await self.pool.fetchval(
            "SELECT sum(attempt) FROM messages WHERE run_id = $1", self.run
        )
        return count

    async def pause(self) -> None:
        async with transaction(self.pool) as conn:
            runs = await run_store.lock_open_runs(conn, await self.campaign(conn))
            await run_store.set_runs(conn, runs, ["running"], "paused", self.now)

    async def resume(self) -> None:
        await self.pool.execute("UPDATE runs SET state = 'running' WHERE state = 'paused'")

    async def cancel(self) -> None:
        async with transaction(self.pool) as conn:
            runs = await run_store.lock_open_runs(conn, await self.campaign(conn))
            await run_store.set_runs(conn, runs, run_store.OPEN, "cancelled", self.now)
            await run_store.cancel_messages(conn, runs, self.now)

    async def campaign(self, conn: Connection) -> uuid.UUID:
        value: uuid.UUID = await conn.fetchval(
            "SELECT campaign_id FROM runs WHERE id = $1", self.run
        )
        return value

    async def another_run(self, **more: Any) -> "Stage":
        """A second run to the same people."""
        async with self.pool.acquire() as conn:
            run = await add_run(conn, self.scene, self.now, **more)
        made = await expand_run(self.pool, run, self.now)
        assert made is not None
        return Stage(self.pool, self.keyring, self.scene, self.channel, run, self.now)


async def claim_one(
    conn: Connection, lease: Lease, now: datetime, held: Sequence[HeldSlice] = (), **how: bool
) -> Record | None:
    """One slice, whatever there is beside it."""
    claimed = await slice_store.claim_slices(conn, lease, now, held, most=1, **how)
    return claimed[0] if claimed else None


async def mark(
    conn: Connection,
    lease: Lease,
    run: uuid.UUID,
    nos: Sequence[int],
    slice_no: int,
    now: datetime,
    parts: int = 1,
) -> dict[int, int]:
    await store.lock_for_mark(conn, lease, run)
    moved, _ = await store.mark(
        conn, lease, [MarkRequest(run, slice_no, no, parts) for no in nos], now
    )
    return {row["no"]: row["attempt"] for row in moved if row["state"] == "submitting"}


SetUp = Callable[..., Awaitable[Stage]]


class Free(Pace):
    """Tokens without end; or what a test makes of it."""

    def __init__(self) -> None:
        """Ask no Redis."""

    async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:  # noqa: ARG002
        return TokenGrant(want, 0.0, time.monotonic())

    async def slow(self, limit: RateLimit, pause: float) -> float:  # noqa: ARG002
        return 1.0


class Scripted(Gateway):
    """A link whose answers a test decides: `answer(submission)` gives one, None means silence."""

    kind = "scripted"
    most_recipients = 100

    def __init__(self, answer: Callable[[Submission], SubmitResult | None]) -> None:
        self.lost = asyncio.Event()
        self.written: list[tuple[str, int]] = []
        self.submissions: list[Submission] = []
        self.silent: list[asyncio.Future[SubmitResult]] = []
        self.delay: Callable[[], float] = lambda: 0.0
        self._answer = answer

    async def open(self) -> None:
        return None

    def split(self, text: str) -> tuple[Part, ...]:
        return split(text)

    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        return [self._one(submission) for submission in batch]

    def _one(self, submission: Submission) -> "asyncio.Future[SubmitResult]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[SubmitResult] = loop.create_future()
        self.submissions.append(submission)
        self.written += [(phone, submission.part.number) for phone in submission.recipients]
        answer = self._answer(submission)
        if answer is None:
            self.silent.append(future)
            return future
        if answer.outcome is Outcome.ACCEPTED:
            answer = SubmitResult(
                Outcome.ACCEPTED, refs=tuple(uuid.uuid4().bytes[:8] for _ in submission.recipients)
            )
        loop.call_later(self.delay(), _settle, future, answer)
        return future

    async def close(self, *, drain_seconds: float) -> None:  # noqa: ARG002
        self.lost.set()
        for future in self.silent:
            _settle(future, SubmitResult(Outcome.UNANSWERED))
        await turns()


def _settle(future: "asyncio.Future[SubmitResult]", answer: SubmitResult) -> None:
    if not future.done():
        future.set_result(answer)


class _Counted(Sender):
    """A Sender that counts its steps: each looks for work, and does some if there is any."""

    steps = 0

    async def _step(self) -> bool:
        try:
            return await super()._step()
        finally:
            self.steps += 1


@dataclass
class Working:
    """A Sender at work."""

    gateway: Scripted
    clock: FastClock
    held: HeldLease
    health: ChannelHealth
    life: Life
    sender: _Counted
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def looks(self, count: int = 3) -> None:
        """Have it look for work so often: had it anything to do, it would have begun by then, and
        the writer, whose turns come in between, with what it marked.
        """
        enough = self.sender.steps + count + 1  # a step may be under way

        def looked() -> bool:
            self.wakeup.set()
            return self.sender.steps >= enough

        await until(looked, what=f"{count} looks for work")
        await turns(10)

    async def end(self, seconds: float = 10.0) -> None:
        """Stop it; it must end by itself."""
        self.stop.set()
        assert self.task is not None
        async with asyncio.timeout(seconds):
            await self.task


async def nothing(_conn: Connection, _channel: int, _refs: Sequence[bytes]) -> None:
    return None


async def wakes_nobody(_channel: int) -> None:
    return None


async def looks_nowhere() -> None:
    return None


@asynccontextmanager
async def working(
    stage: Stage,
    gateway: Scripted,
    *,
    pace: Pace | None = None,
    pool: "Pool | Wire | None" = None,
    lease: Lease | None = None,
    codes: dict[str, Codes] | None = None,
    life: Life | None = None,
    look_at_database: LookAtDatabase = looks_nowhere,
) -> AsyncIterator[Working]:
    """A Sender on the stage's channel, killed at the end if it did not end by itself."""
    clock = FastClock(stage.now)
    held = HeldLease(lease or await stage.must_lease())
    shared = Handoff(
        cast(Pool, pool or stage.pool),
        clock,
        stage.keyring,
        pace or Free(),
        {},
        nothing,
        codes or {},
        wakes_nobody,
        look_at_database,
        ChannelHealth(),
        life=life or Life(),
    )
    sender = _Counted(shared, stage.channel, held, gateway)
    at_work = Working(gateway, clock, held, shared.health, shared.life, sender)
    at_work.task = asyncio.create_task(sender.run(at_work.stop, at_work.wakeup))
    keeper = asyncio.create_task(held.keep(stage.pool))
    try:
        yield at_work
    finally:
        await kill(keeper)
        await kill(at_work.task)


async def kill(task: "asyncio.Task[None]") -> None:
    """Cancel it until it has ended: it may have caught the first one in what ends it."""

    def ended() -> bool:
        task.cancel()
        return task.done()

    await until(ended, what="the end of a cancelled task")
    with suppress(asyncio.CancelledError, Exception):
        await task


async def done(stage: Stage) -> bool:
    return not {"queued", "submitting"} & (await stage.states()).keys()


class Wire:
    """The pool as a Sender sees it, whose connections a test makes fail.

    refused: how often somebody met with `broken`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.refused = 0
        self.broken: Exception | None = None
        self.lose_commit_after: str | None = None
        self.fail_at: str | None = None
        self.after: tuple[str, Callable[[], Awaitable[None]]] | None = None

    @asynccontextmanager
    async def acquire(self, **options: Any) -> AsyncIterator[Any]:
        if self.broken is not None:
            self.refused += 1
            raise self.broken
        async with self._pool.acquire(**options) as conn:
            watched = _Watched(conn, self)
            yield watched
        if watched.met is not None:
            await watched.met()
        if watched.lost:
            raise ConnectionResetError("the commit's answer was lost")


class _Watched:
    def __init__(self, conn: Connection, wire: Wire) -> None:
        self._conn = conn
        self._wire = wire
        self.lost = False
        self.met: Callable[[], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def transaction(self) -> Any:
        return self._conn.transaction()

    async def _look(self, query: str) -> None:
        wire = self._wire
        if wire.fail_at and wire.fail_at in query:
            wire.broken, wire.fail_at = ConnectionResetError("the network is cut"), None
        if wire.broken is not None:
            wire.refused += 1
            raise wire.broken
        if wire.lose_commit_after and wire.lose_commit_after in query:
            wire.lose_commit_after = None
            self.lost = True
        if wire.after and wire.after[0] in query:
            self.met, wire.after = wire.after[1], None

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        await self._look(query)
        return await self._conn.execute(query, *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        await self._look(query)
        return await self._conn.fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        await self._look(query)
        return await self._conn.fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        await self._look(query)
        return await self._conn.fetchval(query, *args, **options)
