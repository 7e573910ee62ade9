"""The SQL of clashes: whom a plan means and the caps will stop, alone and beside another plan."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.audience.segment_sql import Compiled
from service.audience.suppression_store import stops
from service.dispatch.caps_store import repeat_ends, spans_end
from service.storage.postgres import Connection, Record

FIRST_RULE_PARAMETER = 10


class Plan(NamedTuple):
    """A plan whose clashes are looked for: whose, its class and text, when it fires, and now."""

    department_id: UUID
    message_class: str
    text: str
    fires_at: datetime
    now: datetime


_CAP = "SELECT * FROM frequency_caps WHERE class = $2 ORDER BY id DESC LIMIT 1"


def _ours(condition: Compiled) -> str:
    return f"""
        SELECT c.phone_hash, coalesce(f.at, '{{}}') AS at, coalesce(f.texts, '{{}}') AS texts
        FROM {condition.source}
        LEFT JOIN recent_texts f ON f.phone_hash = c.phone_hash AND f.class = $2
        WHERE c.department_id = $1 AND ({condition.sql}) IS TRUE AND NOT EXISTS (
            SELECT FROM suppressions p
            WHERE p.phone_hash = c.phone_hash AND {stops("p", "$2", "$1", "$5")})
    """  # noqa: S608  # compiled from a parsed rule, whose values are parameters


def _full(at: str, texts: str) -> str:
    text = "hashtextextended($3::text, 0)"
    return f"greatest({spans_end(at)}, {repeat_ends(at, texts, text)})"


async def count_capped(conn: Connection, plan: Plan, ours: Compiled) -> int:
    """How many of those whom a plan means will have had enough when it fires."""
    count: int = await conn.fetchval(
        f"""
        SELECT count(*) FROM ({_ours(ours)}) o, ({_CAP}) cap
        WHERE {_full("o.at", "o.texts")} > $4
          AND num_nulls($6::uuid, $7::uuid, $8::timestamptz, $9::text) = 4
        """,  # noqa: S608  # as above
        *plan,
        *(None, None, None, None),
        *ours.parameters,
    )
    return count


async def plans_near(
    conn: Connection, campaign_id: UUID, plan: Plan, near: timedelta, limit: int
) -> list[Record]:
    """Other plans of the class, of any department, that fire near this one, the nearest first.

    Plans for newcomers are left out, for whom they will mean is not known before.
    waits: it has still to fire; else it is sending, and those whom it has not reached yet count.
    """
    return await conn.fetch(
        """
        SELECT o.* FROM (
            SELECT c.id, c.name, c.department_id, d.name AS department, c.frozen_rule, v.text,
                   c.next_fire_at IS NOT NULL AS waits, coalesce(c.next_fire_at, $4) AS fires_at
            FROM campaigns c
            JOIN departments d ON d.id = c.department_id
            JOIN template_versions v ON v.id = c.template_version_id
            JOIN templates t ON t.id = v.template_id
            WHERE c.id <> $1 AND t.class = $2 AND c.frozen_rule IS NOT NULL
              AND c.state IN ('scheduled', 'running', 'paused', 'held')
              AND c.schedule->>'kind' IS DISTINCT FROM 'joining') o
        WHERE o.fires_at BETWEEN $3::timestamptz - $5::interval AND $3 + $5::interval
        ORDER BY abs(extract(epoch FROM o.fires_at - $3)), o.id LIMIT $6
        """,
        campaign_id,
        plan.message_class,
        plan.fires_at,
        plan.now,
        near,
        limit,
    )


async def count_clashing(
    conn: Connection, plan: Plan, ours: Compiled, other: Record, theirs: Compiled | None
) -> int:
    """How many are meant by both plans and have room for one of the two texts only.

    theirs: whom the other one means; None: those whom its runs have still to reach.
    """
    if theirs is not None:
        whom = f"""
            SELECT c.phone_hash FROM {theirs.source}
            WHERE c.department_id = $6 AND ({theirs.sql})
        """  # noqa: S608  # as above
    else:
        whom = """
            SELECT m.phone_hash FROM runs r JOIN messages m ON m.run_id = r.id
            WHERE r.campaign_id = $7 AND r.state IN ('running', 'paused')
              AND m.state = 'queued'
        """
    first, last = "least($4, $8::timestamptz)", "greatest($4, $8::timestamptz)"
    both = _full(f"(ARRAY[{first}] || o.at)", "(hashtextextended($9::text, 0) || o.texts)")
    count: int = await conn.fetchval(
        f"""
        SELECT count(*) FROM ({_ours(ours)}) o
        JOIN ({whom}) t ON t.phone_hash = o.phone_hash, ({_CAP}) cap
        WHERE {both} > {last} AND ({_full("o.at", "o.texts")} > {last}) IS NOT TRUE
          AND ({_full("o.at", "o.texts")} > $4) IS NOT TRUE
          AND num_nulls($6::uuid, $7::uuid) = 0
        """,  # noqa: S608  # as above
        *plan,
        other["department_id"],
        other["id"],
        max(other["fires_at"], plan.now),
        other["text"],
        *ours.parameters,
        *(theirs.parameters if theirs is not None else ()),
    )
    return count
