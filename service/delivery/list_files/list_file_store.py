"""The SQL of lists: which is drawn, and what stands on it. `results_store` has what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.channels.contract.model import LISTS
from service.ledger.states import AWAIT_RESULT, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record

EARLY = timedelta(minutes=1)
"""How far the clocks of two processes may differ: what is on a list already is left out anyway."""

_LIST = """
    SELECT f.id, f.channel_id, c.name AS channel, f.carrier, f.state, f.drawn_by, f.drawn_at,
           f.ready_at, f.fetched_at, f.fetched_by, f.fetches, f.lines
    FROM list_files f JOIN channels c ON c.id = f.channel_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """A list of a channel. state: drawing, closing, ready, or empty. lines: texts on it."""

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


class ListChannel(NamedTuple):
    """A channel whose texts leave as lists, and the carrier that takes them."""

    id: int
    name: str
    enabled: bool
    carrier: str | None


class ListedRun(NamedTuple):
    """A run with texts on a list. texts: how many; open: how many of them have no result."""

    run_id: UUID
    campaign: str | None
    texts: int
    open: int


async def get_list_channel(conn: Connection, channel_id: int) -> ListChannel | None:
    """A channel, if its texts leave as lists."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT id, name, enabled, coalesce(
                   operated_by, CASE WHEN cardinality(carriers) = 1 THEN carriers[1] END) AS carrier
        FROM channels WHERE id = :channel_id AND kind = ANY (:lists)
        """,
        channel_id=channel_id,
        lists=sorted(LISTS),
    )
    return ListChannel(*row) if row else None


async def carrier_of(conn: Connection, department_id: UUID) -> str | None:
    """The carrier that a department is; None: it is none."""
    carrier: str | None = await sql.fetchval(
        conn,
        "SELECT carrier FROM departments WHERE id = :department_id",
        department_id=department_id,
    )
    return carrier


async def insert_list(conn: Connection, channel: ListChannel, by: By) -> UUID | None:
    """Begin to draw a list; None: one of the channel is being drawn."""
    made: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO list_files (channel_id, carrier, drawn_by, drawn_at)
        VALUES (:channel_id, :carrier, :user_id, :at)
        ON CONFLICT (channel_id) WHERE state IN ('drawing', 'closing') DO NOTHING RETURNING id
        """,
        channel_id=channel.id,
        carrier=channel.carrier,
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
    """The lists that are drawn or being closed, each with whether a connection holds its channel,
    and whether one is up.
    """
    return await conn.fetch(
        """
        SELECT f.id, f.channel_id, f.state, f.drawn_by, f.drawn_at, f.seen, f.quiet_looks,
               coalesce(k.held, false) AS held, coalesce(k.up, false) AS up
        FROM list_files f CROSS JOIN LATERAL (
            SELECT bool_or(owner IS NOT NULL) AS held,
                   bool_or(state = 'up' AND expires_at > clock_timestamp()) AS up
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
    """How many texts stand on a list that is being drawn."""
    found: int = await sql.fetchval(
        conn,
        f"SELECT count(*) FROM ({_NEW_PARTS}) n",  # noqa: S608  # a constant
        since=open_list["drawn_at"] - EARLY,
        channel_id=open_list["channel_id"],
    )
    return found


async def note_look(conn: Connection, list_id: UUID, seen: int) -> int:
    """Note how many there are; returns for how many looks there have been as many."""
    quiet: int = await sql.fetchval(
        conn,
        """
        UPDATE list_files
        SET seen = :seen, quiet_looks = CASE WHEN seen = :seen THEN quiet_looks + 1 ELSE 0 END
        WHERE id = :list_id AND state = 'drawing' RETURNING quiet_looks
        """,
        list_id=list_id,
        seen=seen,
    )
    return quiet or 0


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
            SELECT :list_id, row_number() OVER (ORDER BY run_id, no), run_id, no, attempt
            FROM ({_NEW_PARTS}) n RETURNING 1
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


async def runs_to_hand_over(conn: Connection, list_id: UUID) -> list[Record]:
    """What the archive of a list says of each of its runs, and what may keep it from leaving."""
    return await sql.fetch(
        conn,
        """
        SELECT r.id, r.campaign_id, r.department_id, c.name AS campaign, p.name AS joint_plan,
               r.class, r.text, r.rule, r.send_hours, r.timezone, r.audience, r.beyond_hours,
               r.on_quiet_days, r.valid_until, r.state, r.release->>'approved_sha256' AS approved,
               coalesce(c.state, r.state) AS campaign_state, t.lines
        FROM (SELECT run_id, count(*)::int AS lines FROM list_file_lines
              WHERE list_file_id = :list_id GROUP BY run_id) t
        JOIN runs r ON r.id = t.run_id LEFT JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN campaigns p ON p.id = c.leg_of
        ORDER BY r.id
        """,
        list_id=list_id,
    )


async def page_of_lines(
    conn: Connection, list_id: UUID, after: int, limit: int, runs: Sequence[UUID]
) -> list[Record]:
    """The next lines of a list that are of these runs, with what their texts are made of."""
    return await sql.fetch(
        conn,
        """
        SELECT l.line, l.run_id, p.ref, m.phone_cipher, m.name_cipher, m.area_code,
               m.variables_cipher
        FROM (SELECT * FROM list_file_lines
              WHERE list_file_id = :list_id AND line > :after AND run_id = ANY (:runs)
              ORDER BY line LIMIT :limit) l
        CROSS JOIN LATERAL (
            SELECT phone_cipher, name_cipher, area_code, variables_cipher FROM messages
            WHERE run_id = l.run_id AND no = l.no OFFSET 0) m
        CROSS JOIN LATERAL (
            SELECT ref, attempt FROM parts WHERE run_id = l.run_id AND no = l.no OFFSET 0) p
        WHERE p.attempt = l.attempt ORDER BY l.line
        """,
        list_id=list_id,
        after=after,
        limit=limit,
        runs=list(runs),
    )


async def note_fetch(conn: Connection, list_id: UUID, by: By) -> None:
    """Somebody has taken the archive of a list with them."""
    await sql.execute(
        conn,
        """
        UPDATE list_files SET fetched_at = :at, fetched_by = :user_id, fetches = fetches + 1
        WHERE id = :list_id
        """,
        list_id=list_id,
        at=by.at,
        user_id=by.user_id,
    )
