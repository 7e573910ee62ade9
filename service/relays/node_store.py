"""The SQL of the places in a relay's tree: who is due, written to, answered, and counted out.

Each statement is for one relay, which its caller has locked.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.rosters.on_lists import is_on_a_list
from service.ledger.states import FAILED, NEVER_SENT, sql_list
from service.relays.tree import PATIENCE, DoneVia
from service.storage import sql
from service.storage.postgres import Connection, affected

_LOST = sql_list(FAILED | NEVER_SENT)


class NodePerson(NamedTuple):
    """Somebody in the tree who is to be written to. groups: the names of the first two of their
    groups, or of those right below them; group_count: how many there are. listed: whether they are
    on a list that holds.
    """

    no: int
    level: int
    passed_over: bool
    phone_hash: bytes | None
    phone_cipher: bytes | None
    name_cipher: bytes | None
    listed: bool
    groups: Sequence[str]
    group_count: int


async def read_answers(conn: Connection, relay_id: UUID) -> None:
    """Take in what people answered by text: 1 means done, since the moment at which it came; the
    first 2 means not yet. Whoever shares a text for several places answers for all of them.
    """
    await sql.execute(
        conn,
        """
        WITH said AS MATERIALIZED (
            SELECT t.run_id, t.message_no, t.answer, min(t.received_at) AS at
            FROM relay_runs x JOIN inbound_texts t ON t.run_id = x.run_id
            WHERE x.relay_id = :relay_id AND t.kind = 'answer' AND t.answer IN (1, 2)
            GROUP BY t.run_id, t.message_no, t.answer
        ), places AS (
            SELECT n.no, min(s.at) FILTER (WHERE s.answer = 1) AS done_at,
                   min(s.at) FILTER (WHERE s.answer = 2) AS not_yet_at
            FROM said s JOIN relay_nodes n ON n.relay_id = :relay_id
                AND ((n.run_id = s.run_id AND n.message_no = s.message_no)
                     OR (n.again_run_id = s.run_id AND n.again_no = s.message_no))
            WHERE n.state <> 'done'
            GROUP BY n.no
        )
        UPDATE relay_nodes n
        SET state = CASE WHEN p.done_at IS NULL THEN n.state ELSE 'done' END,
            via = CASE WHEN p.done_at IS NOT NULL THEN 'sms' END,
            done_at = p.done_at, not_yet_at = coalesce(n.not_yet_at, p.not_yet_at), why = ''
        FROM places p WHERE n.relay_id = :relay_id AND n.no = p.no AND n.state <> 'done'
        """,
        relay_id=relay_id,
    )


async def note_lost(conn: Connection, relay_id: UUID) -> None:
    """Whose text certainly did not arrive cannot be reached."""
    await sql.execute(
        conn,
        f"""
        UPDATE relay_nodes n SET state = 'unreachable', why = coalesce(m.reason, m.state::text)
        FROM messages m
        WHERE n.relay_id = :relay_id AND n.state = 'sent'
          AND m.run_id = n.run_id AND m.no = n.message_no AND m.state IN {_LOST}
        """,  # noqa: S608  # a constant
        relay_id=relay_id,
    )


async def note_silent(conn: Connection, relay_id: UUID, due_at: datetime, now: datetime) -> None:
    """Who has not answered by the due time is silent; who got the text after it, a day later."""
    await sql.execute(
        conn,
        """
        UPDATE relay_nodes SET state = 'silent'
        WHERE relay_id = :relay_id AND state = 'sent' AND :now >= CASE
            WHEN sent_at < :due_at THEN :due_at ELSE sent_at + :patience::interval END
        """,
        relay_id=relay_id,
        due_at=due_at,
        now=now,
        patience=PATIENCE,
    )


async def lock_next(
    conn: Connection, relay_id: UUID, now: datetime, today: date, limit: int
) -> list[NodePerson]:
    """Who gets the text now: whoever has nobody above; whose parent is done; and, passed over,
    whose parent cannot be reached or had its text a day ago. With them all places of the same
    person on that level, so that a person gets one text.
    """
    return await _people(
        conn,
        """
        WITH due AS MATERIALIZED (
            SELECT n.level, n.contact_id, n.no,
                   coalesce(p.state <> 'done', false) AS passed_over
            FROM relay_nodes n
            LEFT JOIN relay_nodes p ON p.relay_id = n.relay_id AND p.no = n.parent_no
            WHERE n.relay_id = :relay_id AND n.state = 'waiting'
              AND (n.parent_no IS NULL OR p.state IN ('done', 'unreachable')
                   OR p.state IN ('sent', 'silent') AND p.sent_at <= :since)
            ORDER BY n.no LIMIT :limit
        )
        SELECT {columns}, coalesce(d.passed_over, false) AS passed_over
        FROM relay_nodes n LEFT JOIN due d ON d.no = n.no
        {persons}
        WHERE n.relay_id = :relay_id AND n.state = 'waiting'
          AND (n.level, n.contact_id) IN (SELECT level, contact_id FROM due)
        ORDER BY n.no
        """,
        relay_id=relay_id,
        today=today,
        values={"since": now - PATIENCE, "limit": limit},
    )


async def lock_to_ask_again(
    conn: Connection, relay_id: UUID, today: date, numbers: Sequence[int]
) -> list[NodePerson]:
    """These places, with their persons."""
    return await _people(
        conn,
        """
        SELECT {columns}, n.passed_over FROM relay_nodes n {persons}
        WHERE n.relay_id = :relay_id AND n.no = ANY (:numbers) AND n.state IN ('sent', 'silent')
        ORDER BY n.no
        """,
        relay_id=relay_id,
        today=today,
        values={"numbers": list(numbers)},
    )


# The names of groups are found for the whole tree at once: a lateral join reads it for each place.
_PERSONS = """
    LEFT JOIN LATERAL (SELECT * FROM contacts WHERE id = n.contact_id OFFSET 0) c ON true
    LEFT JOIN (
        SELECT b.contact_id, b.level, (array_agg(g.name ORDER BY b.no))[1:2] AS names,
               count(*)::int AS amount
        FROM relay_nodes b JOIN groups g ON g.id = b.group_id
        WHERE b.relay_id = :relay_id GROUP BY b.contact_id, b.level
    ) own ON n.group_id IS NOT NULL AND own.contact_id = n.contact_id AND own.level = n.level
    LEFT JOIN (
        SELECT b.parent_no, (array_agg(g.name ORDER BY b.no))[1:2] AS names,
               count(*)::int AS amount
        FROM relay_nodes b JOIN groups g ON g.id = b.group_id
        WHERE b.relay_id = :relay_id GROUP BY b.parent_no
    ) below ON n.group_id IS NULL AND below.parent_no = n.no"""
_COLUMNS = f"""n.no, n.level, c.phone_hash, c.phone_cipher, c.name_cipher,
    coalesce({is_on_a_list("c", ":today")}, false) AS listed,
    coalesce(own.names, below.names, '{{}}') AS groups,
    coalesce(own.amount, below.amount, 0) AS group_count"""


async def _people(
    conn: Connection,
    statement: str,
    *,
    relay_id: UUID,
    today: date,
    values: Mapping[str, Any],
) -> list[NodePerson]:
    rows = await sql.fetch(
        conn,
        statement.format(columns=_COLUMNS, persons=_PERSONS),
        relay_id=relay_id,
        today=today,
        **values,
    )
    return [NodePerson(**row) for row in rows]


async def insert_run(
    conn: Connection, relay_id: UUID, run_id: UUID, level: int, *, again: bool
) -> None:
    """Note a run of a relay."""
    await sql.execute(
        conn,
        """
        INSERT INTO relay_runs (relay_id, run_id, level, again)
        VALUES (:relay_id, :run_id, :level, :again)
        """,
        relay_id=relay_id,
        run_id=run_id,
        level=level,
        again=again,
    )


async def note_sent(
    conn: Connection,
    relay_id: UUID,
    run_id: UUID | None,
    sent: Sequence[tuple[NodePerson, int | None, str]],
    now: datetime,
) -> int:
    """Who got the text, by the number in the run; or could not (None), and why. Returns how many of
    them waited for it.
    """
    status = await sql.execute(
        conn,
        """
        UPDATE relay_nodes n
        SET state = CASE WHEN s.message_no IS NULL THEN 'unreachable' ELSE 'sent' END,
            run_id = CASE WHEN s.message_no IS NOT NULL THEN :run_id::uuid END,
            message_no = s.message_no, sent_at = :now, why = s.why, passed_over = s.passed_over
        FROM unnest(:nos::integer[], :numbers::integer[], :whys::text[], :over::boolean[])
            AS s(no, message_no, why, passed_over)
        WHERE n.relay_id = :relay_id AND n.no = s.no AND n.state = 'waiting'
        """,
        relay_id=relay_id,
        run_id=run_id,
        now=now,
        nos=[person.no for person, _, _ in sent],
        numbers=[number for _, number, _ in sent],
        whys=[why for _, _, why in sent],
        over=[person.passed_over for person, _, _ in sent],
    )
    return affected(status)


async def note_asked_again(
    conn: Connection,
    relay_id: UUID,
    run_id: UUID | None,
    asked: Sequence[tuple[NodePerson, int | None, str]],
    now: datetime,
) -> None:
    """Who was asked once more, by the number in the run; nobody is a third time."""
    await sql.execute(
        conn,
        """
        UPDATE relay_nodes n
        SET again_at = :now, again_no = s.message_no,
            again_run_id = CASE WHEN s.message_no IS NOT NULL THEN :run_id::uuid END
        FROM unnest(:nos::integer[], :numbers::integer[]) AS s(no, message_no)
        WHERE n.relay_id = :relay_id AND n.no = s.no AND n.again_at IS NULL
        """,
        relay_id=relay_id,
        run_id=run_id,
        now=now,
        nos=[person.no for person, _, _ in asked],
        numbers=[number for _, number, _ in asked],
    )


async def not_yets(conn: Connection, relay_id: UUID) -> list[tuple[int, datetime]]:
    """The places that answered "not yet", are not done, and were not asked once more; with when."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no, not_yet_at FROM relay_nodes
        WHERE relay_id = :relay_id AND not_yet_at IS NOT NULL AND again_at IS NULL
          AND state IN ('sent', 'silent')
        ORDER BY no
        """,
        relay_id=relay_id,
    )
    return [(row["no"], row["not_yet_at"]) for row in rows]


class TreeNow(NamedTuple):
    """How many places of a tree are open: not written to, and not answered. last_sent_at: of the
    latest text. level_one: of the first level in which there is anybody, whether somebody is done
    and nobody is still to be.
    """

    waiting: int
    sent: int
    last_sent_at: datetime | None
    level_one: bool


async def tree_now(conn: Connection, relay_id: UUID) -> TreeNow:
    """How far a tree is."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT count(*) FILTER (WHERE state = 'waiting')::int AS waiting,
               count(*) FILTER (WHERE state = 'sent')::int AS sent,
               greatest(max(sent_at), max(again_at)) AS last_sent_at,
               coalesce(bool_or(state = 'done') FILTER (WHERE level = first)
                   AND bool_and(state IN ('done', 'unreachable')) FILTER (WHERE level = first),
                   false) AS level_one
        FROM relay_nodes, (SELECT min(level) AS first FROM relay_nodes
                           WHERE relay_id = :relay_id) f
        WHERE relay_id = :relay_id
        """,
        relay_id=relay_id,
    )
    if row is None:
        raise LookupError("an aggregate has a row")
    return TreeNow(**row)


async def note_level_one(conn: Connection, relay_id: UUID, now: datetime) -> None:
    """Everybody of the first level who could be reached has passed it on."""
    await sql.execute(
        conn,
        """
        UPDATE relays SET level_one_at = coalesce((
            SELECT max(done_at) FROM relay_nodes
            WHERE relay_id = :relay_id AND state = 'done' AND level = (
                SELECT min(level) FROM relay_nodes WHERE relay_id = :relay_id)), :now)
        WHERE id = :relay_id AND level_one_at IS NULL
        """,
        relay_id=relay_id,
        now=now,
    )


class NodeStands(NamedTuple):
    """Where a place stands. has_parent: whether somebody is above it."""

    state: str
    has_parent: bool


async def find_node(conn: Connection, relay_id: UUID, no: int) -> NodeStands | None:
    """One place of a tree."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT state, parent_no IS NOT NULL AS has_parent FROM relay_nodes
        WHERE relay_id = :relay_id AND no = :no
        """,
        relay_id=relay_id,
        no=no,
    )
    return None if row is None else NodeStands(**row)


async def set_done(
    conn: Connection, relay_id: UUID, no: int, via: DoneVia, by: tuple[UUID, datetime]
) -> None:
    """Somebody says that a place is done."""
    done_by, now = by
    await sql.execute(
        conn,
        """
        UPDATE relay_nodes SET state = 'done', done_at = :now, via = :via, done_by = :done_by,
            why = ''
        WHERE relay_id = :relay_id AND no = :no AND state <> 'done'
        """,
        relay_id=relay_id,
        no=no,
        via=via,
        done_by=done_by,
        now=now,
    )
