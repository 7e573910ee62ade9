"""The tables of stops and of the database's beats in SQL, and the lock between stops and marks."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.ledger.states import RunState, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record, one


class StopOfAll(NamedTuple):
    """One stop of everything: since when, by whom (None: by itself), why; and its lifting."""

    id: int
    cause: str
    reason: str
    stopped_by: UUID | None
    stopped_at: datetime
    lifted_by: UUID | None
    lifted_at: datetime | None
    lift_reason: str | None


class Generation(NamedTuple):
    """What the database knows of itself: its name, its beats, and the cluster it was in."""

    id: UUID
    beat: int
    cluster: str


_STOP = """
    SELECT id, cause, reason, stopped_by, stopped_at, lifted_by, lifted_at, lift_reason FROM stops
"""


async def stop_in_force(conn: Connection) -> StopOfAll | None:
    """The stop that is in force, if there is one."""
    row = await conn.fetchrow(f"{_STOP} WHERE lifted_at IS NULL")
    return StopOfAll(*row) if row else None


async def list_stops(conn: Connection, before: int | None, limit: int) -> list[StopOfAll]:
    """A page of stops, from new to old."""
    rows: list[Record] = await sql.fetch(
        conn,
        f"{_STOP} WHERE (:before::bigint IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )
    return [StopOfAll(*row) for row in rows]


async def insert_stop(
    conn: Connection, cause: str, reason: str, user_id: UUID | None, now: datetime
) -> bool:
    """Write a stop; False if one is in force already."""
    row = await sql.fetchval(
        conn,
        """
        INSERT INTO stops (cause, reason, stopped_by, stopped_at)
        VALUES (:cause, :reason, :user_id, :now)
        ON CONFLICT ((true)) WHERE lifted_at IS NULL DO NOTHING RETURNING id
        """,
        cause=cause,
        reason=reason,
        user_id=user_id,
        now=now,
    )
    return row is not None


async def lift_stop(
    conn: Connection, stop_id: int, user_id: UUID, reason: str, now: datetime
) -> None:
    """Note that a stop is over."""
    await sql.execute(
        conn,
        """
        UPDATE stops SET lifted_by = :user_id, lift_reason = :reason, lifted_at = :now
        WHERE id = :stop_id AND lifted_at IS NULL
        """,
        stop_id=stop_id,
        user_id=user_id,
        reason=reason,
        now=now,
    )


async def open_campaigns(conn: Connection) -> list[tuple[UUID, str]]:
    """Every campaign that is scheduled or running, locked, with its state."""
    rows = await conn.fetch(
        """
        SELECT id, state FROM campaigns WHERE state IN ('scheduled', 'running')
        ORDER BY id FOR UPDATE
        """
    )
    return [(row["id"], row["state"]) for row in rows]


async def set_direct_runs(conn: Connection, from_state: str, to: str, now: datetime) -> list[UUID]:
    """Give every direct run that is in one state another; returns them.

    Only while the marks are locked out, or the runs do not send.

    Raises:
        IllegalMove: the table of moves has no such move.
    """
    move = state_move(RunState(to), only=[RunState(from_state)])
    rows = await sql.fetch(
        conn,
        f"""
        UPDATE runs SET state = :to,
            finished_at = CASE WHEN :to = 'cancelled' THEN :now::timestamptz ELSE finished_at END
        WHERE campaign_id IS NULL AND state IN {move.sources_sql} RETURNING id
        """,  # noqa: S608  # states
        to=to,
        now=now,
    )
    return [row["id"] for row in rows]


async def present_cluster(conn: Connection) -> str:
    """The cluster that the database is in, and the timeline that it writes on."""
    cluster: str = await conn.fetchval(
        """
        SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        FROM pg_control_system()
        """
    )
    return cluster


async def get_generation(conn: Connection, *, lock: bool = False) -> Generation | None:
    """What the database knows of itself; None: it has never beaten. `lock`: nobody beats it now."""
    query = "SELECT id, beat, cluster FROM generation"
    row = await conn.fetchrow(query + " FOR UPDATE" * lock)
    return Generation(*row) if row else None


async def beat(conn: Connection, cluster: str) -> Generation:
    """Count one more beat; the first one notes the cluster."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO generation AS g (beat, cluster) VALUES (1, :cluster)
        ON CONFLICT (one) DO UPDATE SET beat = g.beat + 1
        RETURNING id, beat, cluster
        """,
        cluster=cluster,
    )
    return Generation(*one(row))


async def accept_generation(conn: Connection, beat_no: int, cluster: str) -> None:
    """From now on the database is this one: it was put on hold."""
    await sql.execute(
        conn,
        "UPDATE generation SET beat = greatest(beat, :beat_no), cluster = :cluster",
        beat_no=beat_no,
        cluster=cluster,
    )
