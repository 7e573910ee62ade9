"""The SQL of lists: which is drawn, and what stands on it. `results_store` has what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.ledger.fragments import count_ends, ended_as
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.ledger.states import AWAIT_RESULT, MessageState, sql_list, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record

EARLY = timedelta(days=1)
"""How far the clocks of two processes may differ, at the most: what is on a list already is left
out anyway."""

COUNTED_EARLY = timedelta(minutes=1)
"""How far they usually may: a look counts every few seconds, and only to see whether more came."""

LAPSE = state_move(MessageState.REJECTED, only=[MessageState.SUBMITTED])
"""A text of a list that nobody fetched: nothing of it ever left."""

_LIST = """
    SELECT f.id, f.channel_id, c.name AS channel, f.carrier, f.state, f.drawn_by, f.drawn_at,
           f.ready_at, f.fetched_at, f.fetched_by, f.fetches, f.lines
    FROM list_files f JOIN channels c ON c.id = f.channel_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """A list of a channel. state: drawing, closing, ready, empty or lapsed. lines: texts on it."""

    id: UUID
    channel_id: int
    channel: str
    carrier: str
    state: str
    drawn_by: UUID
    drawn_at: datetime
    ready_at: datetime | None
    fetched_at: datetime | None
    fetched_by: UUID | None
    fetches: int
    lines: int


class ListedRun(NamedTuple):
    """A run with texts on a list. texts: how many; open: how many of them have no result."""

    run_id: UUID
    campaign: str | None
    texts: int
    open: int


async def insert_list(conn: Connection, channel_id: int, carrier: str, by: By) -> UUID | None:
    """Begin to draw a list; None: one of the channel is being drawn."""
    made: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO list_files (channel_id, carrier, drawn_by, drawn_at)
        VALUES (:channel_id, :carrier, :user_id, :at)
        ON CONFLICT (channel_id) WHERE state IN ('drawing', 'closing') DO NOTHING RETURNING id
        """,
        channel_id=channel_id,
        carrier=carrier,
        user_id=by.user_id,
        at=by.at,
    )
    return made


async def get_list(conn: Connection, list_id: UUID, *, lock: bool = False) -> ListFile | None:
    """A list as it stands."""
    query = f"{_LIST} WHERE f.id = :list_id" + " FOR UPDATE OF f" * lock
    row = await sql.fetchrow(conn, query, list_id=list_id)
    return ListFile(**row) if row else None


async def list_lists(
    conn: Connection, carrier: str | None, before: UUID | None, limit: int
) -> list[ListFile]:
    """A page of the lists of a carrier (None: of all), from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_LIST} WHERE (:carrier::text IS NULL OR f.carrier = :carrier)
          AND (:before::uuid IS NULL OR f.id < :before)
        ORDER BY f.id DESC LIMIT :limit
        """,
        carrier=carrier,
        before=before,
        limit=limit,
    )
    return [ListFile(**row) for row in rows]


async def open_lists(conn: Connection) -> list[Record]:
    """The lists that are drawn or being closed, each with whether a connection of its channel is
    up.
    """
    return await conn.fetch(
        """
        SELECT f.id, f.channel_id, f.state, f.drawn_by, f.drawn_at, coalesce(k.up, false) AS up
        FROM list_files f CROSS JOIN LATERAL (
            SELECT bool_or(state = 'up' AND expires_at > clock_timestamp()) AS up
            FROM connections WHERE channel_id = f.channel_id) k
        WHERE f.state IN ('drawing', 'closing') ORDER BY f.id
        """
    )


_NEW_PARTS = """
    SELECT p.run_id, p.no, p.attempt
    FROM (SELECT * FROM parts WHERE at >= :since::timestamptz OFFSET 0) p
    WHERE p.channel_id = :channel_id AND NOT EXISTS (
        SELECT FROM list_file_lines l
        WHERE l.run_id = p.run_id AND l.no = p.no AND l.attempt = p.attempt)
"""
"""The texts that a channel has accepted since a list was begun and that no list holds. By the index
of `parts.at`: the channel may have years of parts."""


async def count_new(conn: Connection, open_list: Record) -> int:
    """About how many texts stand on a list that is being drawn."""
    found: int = await sql.fetchval(
        conn,
        f"SELECT count(*) FROM ({_NEW_PARTS}) n",  # noqa: S608  # a constant
        since=open_list["drawn_at"] - COUNTED_EARLY,
        channel_id=open_list["channel_id"],
    )
    return found


class Looks(NamedTuple):
    """How many looks at a list there were, and how many found as much as the one before."""

    all: int
    quiet: int


async def note_look(conn: Connection, list_id: UUID, seen: int, *, up: bool) -> Looks:
    """Note how many texts there are; a look is quiet if there were as many before and a connection
    is up.
    """
    row = await sql.fetchrow(
        conn,
        """
        UPDATE list_files
        SET seen = :seen, looks = looks + 1,
            quiet_looks = CASE WHEN seen = :seen AND :up THEN quiet_looks + 1 ELSE 0 END
        WHERE id = :list_id AND state = 'drawing' RETURNING looks, quiet_looks
        """,
        list_id=list_id,
        seen=seen,
        up=up,
    )
    return Looks(*row) if row else Looks(0, 0)


async def begin_to_close(conn: Connection, list_id: UUID) -> None:
    """From now on no connection takes the channel; those that hold it let go."""
    await sql.execute(
        conn,
        "UPDATE list_files SET state = 'closing' WHERE id = :list_id AND state = 'drawing'",
        list_id=list_id,
    )


async def lock_closing(conn: Connection, list_id: UUID) -> bool:
    """Whether a list is being closed and nobody holds its channel; then it is locked."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT NOT EXISTS (SELECT FROM connections k
                           WHERE k.channel_id = f.channel_id AND k.owner IS NOT NULL)
        FROM list_files f WHERE f.id = :list_id AND f.state = 'closing' FOR UPDATE OF f
        """,
        list_id=list_id,
    )
    return bool(found)


async def write_lines(conn: Connection, open_list: Record, now: datetime) -> int:
    """Write down what stands on a list, which is ready from now on; returns the number of lines."""
    count: int = await sql.fetchval(
        conn,
        f"""
        WITH written AS (
            INSERT INTO list_file_lines (list_file_id, line, run_id, no, attempt)
            SELECT :list_id, row_number() OVER (ORDER BY n.run_id, n.no), n.run_id, n.no, n.attempt
            FROM ({_NEW_PARTS}) n CROSS JOIN LATERAL (
                SELECT state, attempt, channel_id FROM messages
                WHERE run_id = n.run_id AND no = n.no OFFSET 0) m
            -- A process that was frozen may record an earlier hand-off now: it was given back.
            WHERE m.attempt = n.attempt AND m.channel_id = :channel_id
              AND m.state IN {sql_list(AWAIT_RESULT)}
            RETURNING 1
        ), counted AS (SELECT count(*)::int AS lines FROM written)
        UPDATE list_files f
        SET state = CASE WHEN c.lines > 0 THEN 'ready' ELSE 'empty' END, ready_at = :now,
            lines = c.lines
        FROM counted c WHERE f.id = :list_id RETURNING c.lines
        """,  # noqa: S608  # a constant
        list_id=open_list["id"],
        since=open_list["drawn_at"] - EARLY,
        channel_id=open_list["channel_id"],
        now=now,
    )
    return count


async def runs_of(conn: Connection, list_id: UUID) -> list[ListedRun]:
    """The runs whose texts stand on a list."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT l.run_id, c.name AS campaign, count(*)::int AS texts,
               count(*) FILTER (WHERE m.state IN {sql_list(AWAIT_RESULT)})::int AS open
        FROM list_file_lines l CROSS JOIN LATERAL (
            SELECT state FROM messages WHERE run_id = l.run_id AND no = l.no OFFSET 0) m
        JOIN runs r ON r.id = l.run_id LEFT JOIN campaigns c ON c.id = r.campaign_id
        WHERE l.list_file_id = :list_id GROUP BY l.run_id, c.name ORDER BY l.run_id
        """,  # noqa: S608  # constants
        list_id=list_id,
    )
    return [ListedRun(*row) for row in rows]


async def unfetched_lists(conn: Connection, before: datetime) -> list[UUID]:
    """The lists that were ready before an instant and that nobody has fetched."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM list_files
        WHERE state = 'ready' AND fetched_at IS NULL AND ready_at < :before ORDER BY id
        """,
        before=before,
    )
    return [row["id"] for row in rows]


async def lapse(
    conn: Connection,
    list_id: UUID,
    now: datetime,
    *,
    runs: Sequence[UUID] | None = None,
    lines: Sequence[int] | None = None,
) -> list[MessageKey]:
    """Take lines off a list that nobody has fetched: all, those of runs, or some; returns their
    texts, which never left.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH gone AS MATERIALIZED (
            DELETE FROM list_file_lines
            WHERE list_file_id = :list_id AND (:runs::uuid[] IS NULL OR run_id = ANY (:runs))
              AND (:lines::int[] IS NULL OR line = ANY (:lines))
            RETURNING run_id, no, attempt
        ), dropped AS (
            DELETE FROM parts p USING gone g, LATERAL (
                SELECT ctid AS row FROM parts
                WHERE run_id = g.run_id AND no = g.no AND attempt = g.attempt OFFSET 0) k
            WHERE p.ctid = k.row
        ), counted AS (
            UPDATE list_files SET lines = lines - (SELECT count(*)::int FROM gone)
            WHERE id = :list_id
        ), moved AS (
            UPDATE messages m
            SET {ended_as(MessageState.REJECTED, f"'{Reason.LIST_LAPSED}'", ":now")}
            FROM gone g, LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = g.run_id AND no = g.no AND attempt = g.attempt OFFSET 0) k
            WHERE m.ctid = k.row AND m.state IN {LAPSE.sources_sql}
            RETURNING m.run_id, m.no, m.channel_id, m.state, old.state AS before
        ), ended AS ({count_ends("moved")})
        SELECT run_id, no FROM moved
        """,  # noqa: S608  # constants
        list_id=list_id,
        runs=None if runs is None else list(runs),
        lines=None if lines is None else list(lines),
        now=now,
    )
    return [(row["run_id"], row["no"]) for row in rows]


async def set_lapsed(conn: Connection, list_id: UUID) -> None:
    """Nobody has fetched a list, and nobody will."""
    await sql.execute(
        conn, "UPDATE list_files SET state = 'lapsed' WHERE id = :list_id", list_id=list_id
    )
