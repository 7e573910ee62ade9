"""The table of processes, and PostgreSQL's clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.clock import Clock
from service.liveness.offset import ClockOffset, ClockState, state_of
from service.storage import sql
from service.storage.postgres import Connection


class Process(NamedTuple):
    """One process, from its start to its end. kind: what it runs; version: of the program; known:
    the last migration that it knows.
    """

    id: UUID
    kind: str
    host: str
    pid: int
    version: str
    known: str


class SeenProcess(NamedTuple):
    """A process as it last beat. ago: seconds since; ahead, uncertainty: of its clock before
    PostgreSQL's, in seconds; None: its time is simulated.
    """

    process: Process
    ago: float
    ahead: float | None
    uncertainty: float | None

    @property
    def clock(self) -> ClockState:
        """What it may do by its clock."""
        if self.ahead is None or self.uncertainty is None:
            return ClockState.FITS
        seconds = timedelta(seconds=self.ahead), timedelta(seconds=self.uncertainty)
        return state_of(ClockOffset(*seconds))


async def read_offset(conn: Connection, clock: Clock) -> tuple[ClockOffset, datetime]:
    """A clock held against PostgreSQL's, and what the latter showed."""
    before = clock.now()
    database_now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return ClockOffset.between(before, database_now, clock.now()), database_now


async def write_beat(conn: Connection, process: Process, offset: ClockOffset | None) -> None:
    """The process lives now. Its first beat takes the place of the process that had its number on
    its host before, as in a container that was started again.
    """
    await sql.execute(
        conn,
        "DELETE FROM processes WHERE host = :host AND pid = :pid AND id <> :id",
        host=process.host,
        pid=process.pid,
        id=process.id,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO processes AS p (id, kind, host, pid, version, known, ahead, uncertainty)
        VALUES (:id, :kind, :host, :pid, :version, :known, :ahead, :uncertainty)
        ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), ahead = :ahead,
            uncertainty = :uncertainty
        """,
        **process._asdict(),
        ahead=offset and offset.ahead.total_seconds(),
        uncertainty=offset and offset.uncertainty.total_seconds(),
    )


async def delete_process(conn: Connection, process_id: UUID) -> None:
    """The process has ended in good order."""
    await sql.execute(conn, "DELETE FROM processes WHERE id = :id", id=process_id)


async def seen_processes(conn: Connection, within_seconds: float) -> Sequence[SeenProcess]:
    """The processes that have beaten within so many seconds, by kind, host and start."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, kind, host, pid, version, known,
               extract(epoch FROM clock_timestamp() - seen_at)::float8 AS ago, ahead, uncertainty
        FROM processes
        WHERE seen_at > clock_timestamp() - make_interval(secs => :seconds)
        ORDER BY kind, host, started_at
        """,
        seconds=within_seconds,
    )
    names = Process._fields
    return [
        SeenProcess(
            Process(*(row[name] for name in names)), row["ago"], row["ahead"], row["uncertainty"]
        )
        for row in rows
    ]


async def forget_gone(conn: Connection) -> None:
    """Delete the processes that were killed more than a day ago."""
    await conn.execute("DELETE FROM processes WHERE seen_at < clock_timestamp() - interval '1 day'")
