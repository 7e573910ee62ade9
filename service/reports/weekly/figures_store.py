"""The SQL of the facts that a report of a period takes, by the department and the days."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class FiredRun(NamedTuple):
    """A run of a department's campaign. target: None: its ledger is still being written."""

    id: UUID
    campaign: str
    message_class: str
    text: str
    fired_at: datetime
    target: int | None
    settled: bool


async def fired_runs(
    conn: Connection, department_id: UUID, first: date, last: date
) -> list[FiredRun]:
    """The runs of a department's campaigns that fired on these days, in order; none that sent a
    text again, which counts with the run that it follows.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id, c.name AS campaign, r.class AS message_class, r.text, r.fire_at AS fired_at,
               r.target, r.settled_at IS NOT NULL AS settled
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id
        WHERE r.department_id = :department_id AND r.kind <> 'reply'
          AND r.created_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.fire_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.fire_at < (:last::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.mode = 'real' AND r.relation IS DISTINCT FROM 'resend'
        ORDER BY r.fire_at, r.id
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return [FiredRun(**row) for row in rows]


async def parts_by_channel(conn: Connection, run_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """The parts that the carriers took of each run and of what was sent again of it, by the name of
    the channel. Reads the ledgers of these runs alone.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH RECURSIVE family(root, id) AS (
            SELECT u.id, u.id FROM unnest(:runs::uuid[]) AS u(id)
            UNION ALL
            SELECT f.root, r.id FROM family f
            JOIN runs r ON r.follows = f.id AND r.relation = 'resend'
        ), taken AS (
            SELECT f.root, m.channel_id, m.parts FROM family f, LATERAL (
                SELECT channel_id, sum(part_count) AS parts FROM ledger_of(f.id)
                WHERE submitted_at IS NOT NULL GROUP BY channel_id) m
            UNION ALL
            SELECT f.root, a.channel_id, a.parts FROM family f, LATERAL (
                SELECT channel_id, sum(part_count) AS parts FROM attempts
                WHERE run_id = f.id AND submitted_at IS NOT NULL GROUP BY channel_id) a
        )
        SELECT t.root, c.name, sum(t.parts)::bigint AS parts
        FROM taken t JOIN channels c ON c.id = t.channel_id
        WHERE t.parts IS NOT NULL GROUP BY t.root, c.name ORDER BY t.root, c.name
        """,
        runs=list(run_ids),
    )
    found: dict[UUID, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["root"], {})[row["name"]] = row["parts"]
    return found


class InboundCount(NamedTuple):
    """Texts from handsets of a kind; answer: of answers. acknowledged: somebody has taken them."""

    kind: str
    answer: int | None
    texts: int
    acknowledged: int


async def inbound_by_kind(
    conn: Connection, department_id: UUID, first: date, last: date
) -> list[InboundCount]:
    """What handsets wrote to a department on these days."""
    rows = await sql.fetch(
        conn,
        """
        SELECT kind, answer, count(*) AS texts,
               count(*) FILTER (WHERE state <> 'new') AS acknowledged
        FROM inbound_texts
        WHERE department_id = :department_id
          AND received_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND received_at < (:last::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
        GROUP BY kind, answer ORDER BY kind, answer
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return [InboundCount(**row) for row in rows]


async def visits_by_result(
    conn: Connection, department_id: UUID, first: date, last: date
) -> dict[str, int]:
    """How often people of a department went to somebody on these days, by what came of it."""
    rows = await sql.fetch(
        conn,
        """
        SELECT t.result, count(*) AS tries
        FROM visit_tries t JOIN users u ON u.id = t.by_id
        WHERE t.on_day BETWEEN :first AND :last AND u.department_id = :department_id
        GROUP BY t.result ORDER BY t.result
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return {row["result"]: row["tries"] for row in rows}


async def households_by_result(
    conn: Connection, department_id: UUID, first: date, last: date
) -> dict[str, int]:
    """How often people of a department went to a household on these days, by what came of it."""
    rows = await sql.fetch(
        conn,
        """
        SELECT t.result, count(*) AS tries
        FROM household_tries t JOIN users u ON u.id = t.by_id
        WHERE t.on_day BETWEEN :first AND :last AND u.department_id = :department_id
        GROUP BY t.result ORDER BY t.result
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return {row["result"]: row["tries"] for row in rows}


async def heads_spoken_to(conn: Connection, department_id: UUID, first: date, last: date) -> int:
    """To how many heads people of a department have spoken in households on these days."""
    heads: int = await sql.fetchval(
        conn,
        """
        SELECT coalesce(sum(t.spoken_to), 0)::bigint
        FROM household_tries t JOIN users u ON u.id = t.by_id
        WHERE t.on_day BETWEEN :first AND :last AND u.department_id = :department_id
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return heads


class PlacesOfKind(NamedTuple):
    """Places of a kind: how many a department has, at how many words were put up on some days, and
    at how many they stood on the last of these.
    """

    kind: str
    places: int
    put_up: int
    shown: int


async def places_by_kind(
    conn: Connection, department_id: UUID, first: date, last: date
) -> list[PlacesOfKind]:
    """The places of a department on these days, by kind."""
    rows = await sql.fetch(
        conn,
        """
        SELECT p.kind, count(*)::int AS places, count(*) FILTER (WHERE EXISTS (
                   SELECT FROM place_wordings w WHERE w.place_id = p.id
                     AND w.on_day BETWEEN :first AND :last AND w.wording_id IS NOT NULL)
               )::int AS put_up,
               count(stands.wording_id)::int AS shown
        FROM places p LEFT JOIN LATERAL (
            SELECT w.wording_id FROM place_wordings w
            WHERE w.place_id = p.id AND w.on_day <= :last
            ORDER BY w.on_day DESC, w.id DESC LIMIT 1) stands ON true
        WHERE p.department_id = :department_id AND p.from_on <= :last
          AND (p.until_on IS NULL OR p.until_on >= :first)
        GROUP BY p.kind ORDER BY p.kind
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return [PlacesOfKind(**row) for row in rows]


async def rounds_closed(conn: Connection, department_id: UUID, first: date, last: date) -> int:
    """How many household rounds of a department were closed on these days."""
    rounds: int = await sql.fetchval(
        conn,
        """
        SELECT count(*) FROM visit_rounds
        WHERE department_id = :department_id AND state = 'closed'
          AND ended_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND ended_at < (:last::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return rounds
