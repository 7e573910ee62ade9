"""The SQL of a shift: what waits on a channel that does not work, and its move to another one.

The run's lock is held alone, so nothing of the run is half-marked, and what moves is exactly what
is queued; what is on its way, uncertain or submitted stays where it is. A slice's rows are those of
its range on its channel, so the rows that move get a slice of the same range on their new channel,
or the one that they have there from before.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.ledger.states import FREE_SLICE, NOT_HANDED_OFF, REOPENED_SLICE, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class StoppedChannel:
    """A channel on which nothing is handed off: since when, and why, as a sentence."""

    channel_id: int
    since: datetime
    why: str


async def stopped_channels(
    conn: Connection, now: datetime, grace: timedelta
) -> list[StoppedChannel]:
    """The channels whose waiting texts are to be looked at now: their breaker is open, or they
    have been switched off for longer than `grace`.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT b.channel_id, coalesce(b.off_since, b.changed_at) AS since,
               CASE WHEN b.off_since IS NULL THEN b.why ELSE 'The channel is switched off.' END
                   AS why
        FROM circuit_breakers b
        WHERE (b.state = 'open' AND b.off_since IS NULL
               OR b.off_since <= :now::timestamptz - :grace::interval)
          AND (b.shift_at IS NULL OR b.shift_at <= :now)
          AND EXISTS (
            SELECT FROM slices s WHERE s.channel_id = b.channel_id AND s.done_at IS NULL)
        ORDER BY b.channel_id
        """,
        now=now,
        grace=grace,
    )
    return [StoppedChannel(**row) for row in rows]


async def looked_through(conn: Connection, channel_id: int, again_at: datetime) -> None:
    """Everything that may leave a channel has left it; look again at this instant."""
    await sql.execute(
        conn,
        "UPDATE circuit_breakers SET shift_at = :again_at WHERE channel_id = :channel_id",
        channel_id=channel_id,
        again_at=again_at,
    )


async def waiting_runs(conn: Connection, channel_id: int) -> list[Record]:
    """The running runs with open slices on a channel: run_id, and the channels chosen for it."""
    return await sql.fetch(
        conn,
        """
        SELECT r.id AS run_id, r.channels AS chosen FROM runs r
        WHERE r.state = 'running' AND EXISTS (
            SELECT FROM slices s
            WHERE s.run_id = r.id AND s.channel_id = :channel_id AND s.done_at IS NULL)
        ORDER BY array_position(ARRAY['urgent', 'normal', 'bulk'], r.priority), r.id
        """,
        channel_id=channel_id,
    )


async def next_slices(
    conn: Connection, channel_id: int, run_id: uuid.UUID, after: int, limit: int
) -> list[int]:
    """The numbers of a run's open slices on a channel, above `after`."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no FROM slices
        WHERE channel_id = :channel_id AND run_id = :run_id AND no > :after AND done_at IS NULL
        ORDER BY no LIMIT :limit
        """,
        channel_id=channel_id,
        run_id=run_id,
        after=after,
        limit=limit,
    )
    return [row["no"] for row in rows]


async def move_queued(
    conn: Connection,
    stopped: StoppedChannel,
    run_id: uuid.UUID,
    slice_no: int,
    channel_of: Mapping[str, int],
) -> dict[int, int]:
    """Move what is queued in a slice, by its carrier; returns how many went to each channel.

    Nothing moves if the run is not running any more, or the channel works again. A text that is on
    its second channel stays: that one was chosen since the first said whose number it is not.
    `try_lock_failover` and `lock_run` first.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH slice AS (
            SELECT s.* FROM slices s JOIN runs r ON r.id = s.run_id
            WHERE s.run_id = :run_id AND s.no = :slice_no AND s.channel_id = :channel_id
              AND s.done_at IS NULL
              AND r.state = 'running' AND EXISTS (
                SELECT FROM circuit_breakers b JOIN channels c ON c.id = b.channel_id
                WHERE b.channel_id = :channel_id AND (b.state = 'open' OR NOT c.enabled))
        ), target AS (
            SELECT *
            FROM unnest(:carriers::text[], :channel_ids::smallint[]) AS w(carrier, channel_id)
        ), moved AS (
            UPDATE messages m SET channel_id = w.channel_id
            FROM slice s, LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = :run_id AND no BETWEEN s.first_no AND s.last_no AND state = 'queued'
                  AND channel_id = s.channel_id AND first_channel_id IS NULL
                OFFSET 0) q, target w
            WHERE m.ctid = q.row AND m.state = 'queued' AND m.carrier = w.carrier
            RETURNING m.channel_id
        ), went AS (
            SELECT channel_id, count(*)::int AS messages FROM moved GROUP BY 1
        ), opened AS (
            UPDATE slices o SET {REOPENED_SLICE}, touched = true
            FROM slice s, went w
            WHERE o.run_id = s.run_id AND o.channel_id = w.channel_id
              AND o.first_no = s.first_no AND o.last_no = s.last_no
            RETURNING o.channel_id
        ), cut AS (
            INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, canary,
                                touched)
            SELECT s.run_id,
                   (SELECT max(no) FROM slices WHERE run_id = :run_id)
                       + row_number() OVER (ORDER BY w.channel_id),
                   w.channel_id, s.first_no, s.last_no, s.priority, s.canary, true
            FROM slice s, went w
            WHERE w.channel_id NOT IN (SELECT channel_id FROM opened)
        ), thinned AS (  -- its size does not say any more how much is in it
            UPDATE slices o SET touched = true FROM slice s
            WHERE o.run_id = s.run_id AND o.no = s.no AND EXISTS (SELECT FROM went)
        )
        SELECT channel_id, messages FROM went ORDER BY channel_id
        """,  # noqa: S608  # constants
        run_id=run_id,
        slice_no=slice_no,
        channel_id=stopped.channel_id,
        carriers=list(channel_of),
        channel_ids=list(channel_of.values()),
    )
    return {row["channel_id"]: row["messages"] for row in rows}


async def close_emptied(conn: Connection, run_id: uuid.UUID, slice_no: int, now: datetime) -> None:
    """A slice that nobody holds is done if nothing of it is left to hand off; else its holder will
    find out.
    """
    await sql.execute(
        conn,
        f"""
        UPDATE slices s SET done_at = :now
        WHERE s.run_id = :run_id AND s.no = :slice_no AND {FREE_SLICE.format("s")}
          AND NOT EXISTS (
            SELECT FROM messages m
            WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
              AND m.channel_id = s.channel_id AND m.state IN {sql_list(NOT_HANDED_OFF)})
        """,  # noqa: S608  # constants
        run_id=run_id,
        slice_no=slice_no,
        now=now,
    )


async def note_shift(
    conn: Connection,
    stopped: StoppedChannel,
    run_id: uuid.UUID,
    to_channel_id: int,
    messages: int,
    now: datetime,
) -> None:
    """Record that texts of a run went to another channel: one row a run, target and stop."""
    await sql.execute(
        conn,
        """
        WITH known AS (
            UPDATE circuit_breaker_events SET messages = messages + :messages, last_at = :now
            WHERE id = (
                SELECT max(id) FROM circuit_breaker_events
                WHERE channel_id = :channel_id AND kind = 'shifted' AND at >= :since
                  AND run_id = :run_id
                  AND to_channel_id = :to_channel_id)
            RETURNING id
        )
        INSERT INTO circuit_breaker_events (channel_id, kind, at, last_at, why, run_id,
                                            to_channel_id, messages)
        SELECT :channel_id, 'shifted', :now, :now, :why, :run_id, :to_channel_id, :messages
        WHERE NOT EXISTS (SELECT FROM known)
        """,
        channel_id=stopped.channel_id,
        since=stopped.since,
        run_id=run_id,
        to_channel_id=to_channel_id,
        messages=messages,
        now=now,
        why=stopped.why,
    )


async def note_waiting(
    conn: Connection,
    stopped: StoppedChannel,
    run_id: uuid.UUID,
    channel_of: Mapping[str, int],
    now: datetime,
) -> int:
    """Record once a run and stop how many texts wait since no other channel may take them.

    Returns how many; 0 if it is recorded already, or none do.
    """
    waiting: int | None = await sql.fetchval(
        conn,
        """
        WITH left_behind AS (
            SELECT count(*)::int AS messages FROM slices s, LATERAL (
                SELECT FROM messages m
                WHERE m.run_id = :run_id AND m.no BETWEEN s.first_no AND s.last_no
                  AND m.channel_id = :channel_id AND m.state = 'queued'
                  AND (m.carrier <> ALL(:carriers::text[]) OR m.first_channel_id IS NOT NULL)
                OFFSET 0) w
            WHERE s.run_id = :run_id AND s.channel_id = :channel_id AND s.done_at IS NULL
        )
        INSERT INTO circuit_breaker_events (channel_id, kind, at, last_at, why, run_id, messages)
        SELECT :channel_id, 'waiting', :now, :now,
            'No other channel may take them; they wait for this one.',
               :run_id, messages
        FROM left_behind WHERE messages > 0
        RETURNING messages
        """,
        channel_id=stopped.channel_id,
        run_id=run_id,
        carriers=list(channel_of),
        now=now,
    )
    return waiting or 0


async def noted_waiting(conn: Connection, stopped: StoppedChannel) -> set[uuid.UUID]:
    """The runs of which it is recorded that they wait for this channel."""
    rows = await sql.fetch(
        conn,
        """
        SELECT run_id FROM circuit_breaker_events
        WHERE channel_id = :channel_id AND kind = 'waiting' AND at >= :since
        """,
        channel_id=stopped.channel_id,
        since=stopped.since,
    )
    return {row["run_id"] for row in rows}
