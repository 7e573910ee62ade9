"""The tables of stops and of the database's beats in SQL, and the lock between stops and marks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.ledger.states import RunState, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record


class StopOfAll(NamedTuple):
    """One stop of everything: since when, by whom (None: by itself), why; and its lifting.

    missing, gap_from: of a restored database, as of a `KnownGap`.
    """

    id: int
    cause: str
    reason: str
    stopped_by: UUID | None
    stopped_at: datetime
    lifted_by: UUID | None
    lifted_at: datetime | None
    lift_reason: str | None
    missing: list[dict[str, Any]] | None = None
    gap_from: datetime | None = None


class MissingTexts(NamedTuple):
    """How many texts a connection has handed off, or was about to, that are not marked here."""

    channel_id: int
    slot: int
    texts: int


class KnownGap(NamedTuple):
    """What a restored database lacks. missing: texts by connection; since: all of it was done after
    this; None, each: nobody knows.
    """

    missing: list[MissingTexts] | None = None
    since: datetime | None = None


class Generation(NamedTuple):
    """What the database knows of itself: its name, its beats, the cluster and timeline in which it
    was accepted, how often it has begun on another one or was held, and when it beat last.
    """

    id: UUID
    beat: int
    cluster: str
    era: int = 1
    beat_at: datetime | None = None


_STOP = """
    SELECT id, cause, reason, stopped_by, stopped_at, lifted_by, lifted_at, lift_reason, missing,
           gap_from
    FROM stops
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
    """Write a stop; False if one is in force already. See `insert_restored_stop` for the other."""
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


async def insert_restored_stop(conn: Connection, reason: str, gap: KnownGap, now: datetime) -> None:
    """Write a stop since the database was restored; one that is in force becomes it."""
    names = {row["id"]: row["name"] for row in await conn.fetch("SELECT id, name FROM channels")}
    missing = None
    if gap.missing is not None:
        missing = [m._asdict() | {"channel": names.get(m.channel_id, "")} for m in gap.missing]
    await sql.execute(
        conn,
        """
        INSERT INTO stops (cause, reason, stopped_at, missing, gap_from)
        VALUES (:cause, :reason, :now, :missing, :since)
        ON CONFLICT ((true)) WHERE lifted_at IS NULL DO UPDATE SET
            cause = excluded.cause,
            reason = CASE WHEN starts_with(stops.reason, excluded.reason) THEN stops.reason
                     ELSE excluded.reason || '; ' || stops.reason END,
            missing = coalesce(
                stops.missing || excluded.missing, stops.missing, excluded.missing),
            gap_from = CASE WHEN stops.cause = excluded.cause
                       THEN least(stops.gap_from, excluded.gap_from) ELSE excluded.gap_from END
        """,
        cause="restored",
        reason=reason,
        now=now,
        missing=missing,
        since=gap.since,
    )


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
    cluster: str = await conn.fetchval("SELECT present_cluster()")
    return cluster


async def is_accepted(conn: Connection) -> bool:
    """Whether the database is where it was accepted to be, so that texts may leave and campaigns
    may fire.
    """
    accepted: bool = await conn.fetchval(
        "SELECT NOT EXISTS (SELECT FROM generation WHERE cluster <> present_cluster())"
    )
    return accepted


async def get_generation(conn: Connection, *, lock: bool = False) -> Generation | None:
    """What the database knows of itself; None: it has never beaten. `lock`: nobody beats it now."""
    query = "SELECT id, beat, cluster, era, beat_at FROM generation"
    row = await conn.fetchrow(query + " FOR UPDATE" * lock)
    return Generation(*row) if row else None


async def beat(conn: Connection, cluster: str, now: datetime) -> Generation | None:
    """Count one more beat; the first one notes the cluster. None: it is accepted in another one."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO generation AS g (beat, cluster, beat_at) VALUES (1, :cluster, :now)
        ON CONFLICT (one) DO UPDATE SET beat = g.beat + 1, beat_at = excluded.beat_at
            WHERE g.cluster = excluded.cluster
        RETURNING id, beat, cluster, era, beat_at
        """,
        cluster=cluster,
        now=now,
    )
    return Generation(*row) if row else None


async def accept_generation(conn: Connection, beat_no: int, cluster: str) -> None:
    """From now on the database is this one, and a new era begins: it was put on hold, or nothing is
    missing in it.
    """
    await sql.execute(
        conn,
        """
        UPDATE generation SET beat = greatest(beat, :beat_no), cluster = :cluster, era = era + 1
        """,
        beat_no=beat_no,
        cluster=cluster,
    )


async def begin_era(conn: Connection) -> None:
    """What was made until now was made before: the database was put on hold by hand."""
    await conn.execute("UPDATE generation SET era = era + 1")


async def marks_of_connections(conn: Connection) -> dict[tuple[int, int], int]:
    """How many texts each connection has marked, by channel and slot."""
    rows = await conn.fetch("SELECT channel_id, slot, marks FROM connections")
    return {(row["channel_id"], row["slot"]): row["marks"] for row in rows}


async def end_leases(conn: Connection) -> None:
    """End the lease of every connection: none lasts a minute. Whoever held it cannot renew it;
    whatever the database takes for marked and unanswered becomes uncertain by whoever holds the
    connection next, or by the sweep.
    """
    await conn.execute(
        """
        UPDATE connections SET epoch = epoch + 1, expires_at = expires_at - interval '1 minute'
        WHERE owner IS NOT NULL
        """
    )


async def raise_marks(conn: Connection, told: Mapping[tuple[int, int], int]) -> None:
    """Let connections count on from what was told of them, if that is more."""
    await sql.execute(
        conn,
        """
        UPDATE connections k SET marks = t.marks
        FROM unnest(:channel_ids::smallint[], :slots::smallint[], :marks::bigint[])
            AS t(channel_id, slot, marks)
        WHERE k.channel_id = t.channel_id AND k.slot = t.slot AND k.marks < t.marks
        """,
        channel_ids=[channel_id for channel_id, _ in told],
        slots=[slot for _, slot in told],
        marks=list(told.values()),
    )
