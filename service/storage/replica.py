"""A standby that answers what may be a few seconds old, and how old that is (decision 0485).

How old is not asked of clocks and not guessed from the silence of an idle primary: once a second
the position in the primary's log is noted with its instant, and whoever reads on the standby first
asks, on the very same connection, up to where the log was replayed there. All that was committed
before the latest noted position that the standby has passed is seen in it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NoReturn

from service.clock import Clock
from service.storage.postgres import (
    UNREACHABLE,
    Busy,
    Connection,
    Pool,
    PostgresRefusal,
    Record,
    open_pool,
)

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the primary's position is noted, and the standby looked at."""
ANSWER_SECONDS = 2.0
"""A standby that does not say so soon where it is, is not read from."""

_GENERATION = "(SELECT concat_ws('/', id, era, cluster) FROM generation)"
_PRIMARY = f"""
    SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint AS position,
           {_GENERATION} AS generation
"""
_STANDBY = f"""
    SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS position,
           {_GENERATION} AS generation, pg_is_in_recovery() AS recovers
"""

NO_ANSWER: tuple[type[Exception], ...] = (*UNREACHABLE, PostgresRefusal)
Source = Literal["replica", "primary"]
SOURCES: tuple[Source, ...] = ("replica", "primary")


class ReplicaState(StrEnum):
    """Whether a standby is read from, or why not: it does not answer; it is too far behind, or of
    another timeline; it takes writes.
    """

    USED = "used"
    GONE = "gone"
    BEHIND = "behind"
    NO_STANDBY = "no_standby"


@dataclass(frozen=True, slots=True)
class Noted:
    """Where the primary's log stood. at: on the monotonic clock; instant: on the system's."""

    position: int
    generation: str | None
    at: float
    instant: datetime


@dataclass(frozen=True, slots=True)
class ReplicaReads:
    """A connection to the standby. as_of: all that was committed before is seen through it."""

    conn: Connection
    as_of: datetime


def latest_seen(noted: Sequence[Noted], position: int, generation: str | None) -> Noted | None:
    """The latest noted position that a standby has passed; None: it has passed none of them, or its
    database is not on the timeline on which sending goes on.
    """
    for one in reversed(noted):
        if one.generation == generation and one.position <= position:
            return one
    return None


class ReadReplica:
    """The standby of one process. answers: how often each server has answered what may be stale.

    most_behind: seconds; a standby that is further behind is not read from.
    """

    def __init__(self, primary: Pool, pool: Pool, clock: Clock, most_behind: float) -> None:
        self.state = ReplicaState.GONE
        self.age: float | None = None
        self.answers = Counter[Source]()
        self._primary = primary
        self._pool = pool
        self._clock = clock
        self._most_behind = most_behind
        self._noted: deque[Noted] = deque()

    async def watch(self) -> NoReturn:
        """Note where the primary is, and look at the standby, until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # the primary answers; whoever watches this process is told
                log.exception("the read replica cannot be looked at")
                self.state = ReplicaState.GONE
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Note where the primary is, and look once how far the standby has come."""
        with suppress(*NO_ANSWER):  # who needs it says so; here it is only not noted
            await self._note()
        try:
            async with self._pool.acquire(timeout=ANSWER_SECONDS, seconds=ANSWER_SECONDS) as conn:
                await self._place(conn)
        except Busy:  # it is read from
            pass
        except NO_ANSWER as error:
            self._tell(ReplicaState.GONE, None, repr(error))

    @asynccontextmanager
    async def reading(self, seconds: float) -> AsyncIterator[ReplicaReads | None]:
        """A connection to the standby, each statement on which may take so many seconds; None:
        the primary has to answer.

        Nobody can write through it, whatever server it leads to.
        """
        if self.state is not ReplicaState.USED:
            yield None
            return
        async with self._pool.acquire(timeout=ANSWER_SECONDS, seconds=seconds) as conn:
            seen = await self._place(conn)
            yield ReplicaReads(conn, seen.instant) if seen is not None else None

    def note_answer(self, source: Source) -> None:
        """Something that may be stale was answered by this server."""
        self.answers[source] += 1

    async def _note(self) -> None:
        instant, at = self._clock.now(), asyncio.get_running_loop().time()
        async with self._primary.acquire(timeout=LOOK_SECONDS) as conn:
            row = await conn.fetchrow(_PRIMARY)
        if row is not None:
            self._noted.append(Noted(row["position"], row["generation"], at, instant))
        while self._noted and self._noted[0].at < at - 2 * self._most_behind:
            self._noted.popleft()

    async def _place(self, conn: Connection) -> Noted | None:
        """The last that is seen through this connection; None if it is too old, or not known."""
        row: Record | None = await conn.fetchrow(_STANDBY, timeout=ANSWER_SECONDS)
        if row is None or not row["recovers"]:
            self._tell(ReplicaState.NO_STANDBY, None, "it takes writes")
            return None
        seen = latest_seen(self._noted, row["position"], row["generation"])
        if seen is None:
            self._tell(ReplicaState.BEHIND, None, "nobody knows how far")
            return None
        age = asyncio.get_running_loop().time() - seen.at
        if age > self._most_behind:
            self._tell(ReplicaState.BEHIND, age, f"{age:.0f} s")
            return None
        self._tell(ReplicaState.USED, age, "")
        return seen

    def _tell(self, state: ReplicaState, age: float | None, why: str) -> None:
        """Remember how it stands; the log has a line for each change."""
        if state is not self.state:
            told = {"state": str(state), "before": str(self.state), "why": why}
            log.warning("the read replica has another state", extra=told)
        self.state, self.age = state, age


@asynccontextmanager
async def open_replica(
    url: str, primary: Pool, clock: Clock, *, size: int, most_behind: float
) -> AsyncIterator[ReadReplica]:
    """The standby at an address, with at most so many connections, which are opened when they are
    needed: one that is away keeps nothing from starting.
    """
    session = {"default_transaction_read_only": "on"}
    async with open_pool(url, size=size, session=session, server="the read replica") as pool:
        yield ReadReplica(primary, pool, clock, most_behind)
