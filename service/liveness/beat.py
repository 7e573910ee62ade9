"""The beat of a process: what it is, that it lives, and how its clock stands, every few seconds.

It also shows that PostgreSQL answers this process, which is a turn of the API: that has no other
loop that would ask.
"""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

from service.clock import Clock
from service.liveness import process_store
from service.liveness.exit_codes import ExitCode
from service.liveness.life import Life
from service.liveness.offset import ClockOffset, ClockState, state_of
from service.liveness.process_store import Process
from service.logs import seldom
from service.storage.migrate import applied_migrations, find_misfit, migrations
from service.storage.postgres import UNREACHABLE, Connection, Pool, PostgresRefusal

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
AWAY: tuple[type[Exception], ...] = (*UNREACHABLE, PostgresRefusal)
TURN = "statement answered"


@dataclass(slots=True)
class Beat:
    """The beats of one process. clock: a simulated one is not held against PostgreSQL's."""

    pool: Pool
    clock: Clock
    life: Life
    process: Process

    async def once(self) -> None:
        """Beat. Without the database there is no beat, and the next one is tried in time."""
        try:
            async with self.pool.acquire() as conn:
                await self._beat(conn)
        except AWAY as error:
            seldom(log, logging.WARNING, "no beat of this process", why=repr(error))

    async def _beat(self, conn: Connection) -> None:
        offset, _ = await process_store.read_offset(conn, self.clock)
        self.life.turns.note(TURN)
        if not self.clock.simulated:
            self._take(offset)
        await process_store.write_beat(conn, self.process, None if self.clock.simulated else offset)
        if self.life.code is ExitCode.OK and (why := find_misfit(await applied_migrations(conn))):
            log.critical("the process ends: the database has changed", extra={"why": why})
            self.life.code = ExitCode.MISFIT
            os.kill(os.getpid(), signal.SIGTERM)  # as whoever asks it to stop does

    def _take(self, offset: ClockOffset) -> None:
        """Judge the clock, and say so when that changes."""
        before, self.life.clock = self.life.clock, state_of(offset)
        if self.life.clock is before:
            return
        facts = {
            "ahead_seconds": round(offset.ahead.total_seconds(), 3),
            "uncertainty_seconds": round(offset.uncertainty.total_seconds(), 3),
        }
        if self.life.clock is ClockState.FITS:
            log.warning("the clock agrees with PostgreSQL's again", extra=facts)
        elif self.life.clock is ClockState.DIFFERS:
            log.error("the clock is not PostgreSQL's: set it by NTP", extra=facts)
        else:
            log.error(
                "the clock is so far from PostgreSQL's that nothing is handed off: set it by NTP",
                extra=facts,
            )

    async def forever(self) -> None:
        """Beat every BEAT_SECONDS."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.once()
            except Exception:
                log.exception("no beat of this process")


@asynccontextmanager
async def beating(pool: Pool, clock: Clock, life: Life, kind: str) -> AsyncIterator[None]:
    """Beat while the block runs, first of all before it. kind: what the process runs."""
    known = migrations()[-1].name
    process = Process(
        uuid.uuid4(), kind, socket.gethostname(), os.getpid(), version("tocsin"), known
    )
    beat = Beat(pool, clock, life, process)
    await beat.once()
    task = asyncio.create_task(beat.forever(), name="beat")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(*AWAY):
            async with pool.acquire() as conn:
                await process_store.delete_process(conn, process.id)
