"""The SQL of a run's progress: what waits for its turn, by slices; and its states, row by row."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.ledger.states import HANDED_OFF, MessageState, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record


class ChannelLeft(NamedTuple):
    """What of a run waits on a channel. left: for its turn. next_at, last_at: when what waits for
    an instant of its own may leave, such as a second try; None: nothing does.
    """

    channel_id: int
    left: int
    next_at: datetime | None
    last_at: datetime | None


async def count_left(conn: Connection, run_id: UUID, now: datetime) -> dict[int, ChannelLeft]:
    """What of an open run waits on each channel.

    A slice that nobody has worked on yet is counted by its size, one in hand row by row; what waits
    for an instant of its own is not looked at. So a ledger of a million rows costs its slices.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT s.channel_id,
               coalesce(sum(CASE WHEN s.touched THEN t.queued ELSE s.last_no - s.first_no + 1 END)
                            FILTER (WHERE NOT s.later), 0)::int AS queued,
               min(s.not_before) FILTER (WHERE s.later) AS next_at,
               max(s.not_before) FILTER (WHERE s.later) AS last_at
        FROM (SELECT *, not_before > :now IS TRUE AS later FROM slices_of(:run_id)
              WHERE done_at IS NULL) s
        LEFT JOIN LATERAL (
            SELECT count(*) AS queued FROM messages m
            WHERE s.touched AND NOT s.later  -- here too: else it is asked for each slice
              AND m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
              AND m.channel_id = s.channel_id AND m.state = 'queued'
            OFFSET 0) t ON s.touched AND NOT s.later
        GROUP BY s.channel_id
        """,
        run_id=run_id,
        now=now,
    )
    return {row["channel_id"]: ChannelLeft(*row) for row in rows}


async def count_rows(conn: Connection, run_id: UUID, since: datetime) -> list[Record]:
    """The ledger of a run by channel and state: messages, and parts that were submitted since an
    instant. again: those queued that were handed off before; first_queued: the first of those that
    were not, else of all queued. target: of the run, in the same moment.
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT channel_id, state::text, count(*)::int AS messages,
               coalesce(sum(part_count) FILTER (
                   WHERE submitted_at >= :since AND state IN {sql_list(HANDED_OFF)}), 0)::int
                   AS parts,
               count(*) FILTER (WHERE state = '{MessageState.QUEUED}' AND attempt > 0)::int
                   AS again,
               coalesce(min(no) FILTER (WHERE state = '{MessageState.QUEUED}' AND attempt = 0),
                        min(no) FILTER (WHERE state = '{MessageState.QUEUED}')) AS first_queued,
               (SELECT target FROM runs WHERE id = :run_id) AS target
        FROM ledger_of(:run_id) GROUP BY channel_id, state
        """,  # noqa: S608  # constants
        run_id=run_id,
        since=since,
    )


async def tps_of(conn: Connection) -> dict[int, int | None]:
    """The parts a second that each channel's contract allows; None: it does not say."""
    return {row["id"]: row["tps"] for row in await conn.fetch("SELECT id, tps FROM channels")}
