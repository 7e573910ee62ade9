"""Holding a connection: renewed while its process lives, worthless to a process that was frozen.

The row in PostgreSQL decides who holds it. A holder also keeps a deadline of its own, on a clock
that runs while the machine sleeps, and writes nothing to a carrier past it: a process that was
stopped and continued finds its deadline over before it can touch the link.
"""

import asyncio
import logging
import time
from datetime import datetime

from service.dispatch.handoff import lease_store
from service.dispatch.handoff.lease_store import LEASE, Lease
from service.storage.postgres import UNREACHABLE, Pool

log = logging.getLogger(__name__)
RENEW_SECONDS = 4.0
ANSWER_SECONDS = 3.0
"""How long a renewal may take; after that it is tried again, over another connection."""

POOL_SIZE = 2
"""PostgreSQL connections for the leases of a process: one, and one more where one hangs."""

MARGIN_SECONDS = 2.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Seconds on a clock that never jumps and does not stop while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class HeldLease:
    """A lease this process holds."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.fenced = asyncio.Event()
        """Set once somebody else holds the connection: stop at once."""
        self.moved = asyncio.Event()
        """Set once the database is on another timeline: it may lack what was recorded before."""
        self._cluster = lease.cluster
        self._deadline = uptime() + LEASE.total_seconds() - MARGIN_SECONDS
        self._known: tuple[str, str, datetime] | None = None

    @property
    def valid(self) -> bool:
        """Whether writing to the carrier is allowed at this very moment."""
        return not self.fenced.is_set() and uptime() < self._deadline

    async def note(self, pool: Pool, state: str, why: str, now: datetime) -> None:
        """Write down whether the link is up, and in plain words why not.

        Each renewal writes it again, for the database may be away now: a link that is up and not
        known to be is judged as one that does not work.
        """
        self._known = state, why, now
        try:
            async with pool.acquire() as conn:
                await lease_store.note_connection(conn, self.lease, *self._known)
        except UNREACHABLE as error:
            log.warning("state not noted", extra={"why": str(error)})

    async def keep(self, pool: Pool) -> None:
        """Renew until fenced or cancelled; a database that is away only lets the deadline pass.

        The pool should be the leases' own: where everything else waits for a connection, a lease
        must not run out.
        """
        while not self.fenced.is_set():
            await asyncio.sleep(RENEW_SECONDS)
            asked = uptime()
            try:
                cluster = await self._renew(pool)
            except UNREACHABLE as error:
                log.warning("lease not renewed", extra={"why": str(error)})
                continue
            except Exception:  # without a keeper the process would work on until the deadline
                log.exception("lease not renewed")
                continue
            if cluster is None:
                log.warning("lease lost", extra={"slot": self.lease.slot})
                self.fenced.set()
                continue
            self._deadline = asked + LEASE.total_seconds() - MARGIN_SECONDS
            if cluster != self._cluster:
                self._cluster = cluster
                self.moved.set()

    async def _renew(self, pool: Pool) -> str | None:
        """The timeline of the database if the lease is still ours.

        Raises:
            OSError: it took too long.
        """
        async with pool.acquire(timeout=ANSWER_SECONDS) as conn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    cluster = await lease_store.renew_connection(conn, self.lease)
                    if self._known is not None:
                        await lease_store.note_connection(conn, self.lease, *self._known)
                    return cluster
            except BaseException:
                conn.terminate()  # it may hang for long, and the next renewal needs another
                raise
