"""Who newly has a role, by plan, in SQL.

A plan keeps whom it has met: everybody who had one of its roles when it was approved, and everybody
in a ledger of it. Who has a role and is not among them is new, however the role came about. So no
way into the lists can be forgotten, a list that is read again makes nobody new, and nobody is met
twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.audience.rosters.rosters import day_in_china
from service.audience.segments.segment_sql import Compiled, holds_on
from service.ledger.reasons import Place, Reason
from service.storage.postgres import Connection

FIRST_PARAMETER = 2
"""From which on `count_newcomers` takes the parameters of its conditions."""

PASSING = [reason for reason in Reason.at(Place.EXPANSION) if reason.passing]
"""Reasons for leaving somebody out which pass without anybody changing the person."""
AGAIN = timedelta(days=1)
"""After how long somebody who was left out for such a reason is tried again."""


class New(NamedTuple):
    """A condition on a contact `c`, and the values of its placeholders in order."""

    sql: str
    parameters: list[object]


async def watch(conn: Connection, campaign_id: UUID, roles: Sequence[str], now: datetime) -> None:
    """Let everybody who has one of the roles now be known to the plan.

    Roles that it has watched before are left out: who has got one since is to get its text, also
    if the plan was mended meanwhile. Expired lists count, since they may be prolonged.
    """
    watched: list[str] = (
        await conn.fetchval(
            "SELECT roles FROM newcomer_watches WHERE campaign_id = $1", campaign_id
        )
        or []
    )
    added = sorted(set(roles) - set(watched))
    if not added:
        return
    await conn.execute(
        """
        INSERT INTO newcomer_watches (campaign_id, roles, since) VALUES ($1, $2, $3)
        ON CONFLICT (campaign_id) DO UPDATE SET roles = excluded.roles
        """,
        campaign_id,
        sorted({*roles, *watched}),
        now,
    )
    await conn.execute(
        """
        INSERT INTO acquaintances AS a (campaign_id, phone_hash, roles)
        SELECT $1, c.phone_hash, array_agg(DISTINCT r.role)
        FROM contacts c JOIN links l ON l.contact_id = c.id, unnest(l.roles) AS r(role)
        WHERE c.department_id = (SELECT department_id FROM campaigns WHERE id = $1)
          AND l.left_by IS NULL AND r.role = ANY($2)
        GROUP BY c.phone_hash
        ON CONFLICT (campaign_id, phone_hash) DO UPDATE SET roles = a.roles || excluded.roles
        """,
        campaign_id,
        added,
    )


def newcomers(campaign_id: UUID, roles: Sequence[str], now: datetime, first_parameter: int) -> New:
    """The condition that a contact `c` has one of the roles and is new to the plan."""
    campaign, named, instant, day = (f"${first_parameter + n}" for n in range(4))
    sql = f"""
        c.id IN (
            SELECT l.contact_id FROM links l JOIN rosters o ON o.id = l.roster_id
            JOIN contacts p ON p.id = l.contact_id
            CROSS JOIN unnest(l.roles) AS r(role)
            WHERE l.left_by IS NULL AND l.roles && {named}::text[] AND r.role = ANY({named})
              AND {holds_on("o", day)}
              AND o.department_id = (SELECT department_id FROM campaigns WHERE id = {campaign})
              AND NOT EXISTS (
                SELECT FROM acquaintances a
                WHERE a.campaign_id = {campaign} AND a.phone_hash = p.phone_hash
                  AND (a.met_by IS NOT NULL OR r.role = ANY(a.roles))
                  AND (a.again_at IS NULL OR a.again_at > {instant}::timestamptz)))
        """  # noqa: S608  # numbers of parameters
    return New(sql, [campaign_id, list(roles), now, day_in_china(now)])


async def are_newcomers(
    conn: Connection, department_id: UUID, campaign_id: UUID, roles: Sequence[str], now: datetime
) -> bool:
    """Whether anybody of a department is new to its plan, by no rule yet: that is mostly nobody."""
    new = newcomers(campaign_id, roles, now, FIRST_PARAMETER)
    found: bool = await conn.fetchval(
        f"SELECT EXISTS (SELECT FROM contacts c WHERE c.department_id = $1 AND {new.sql})",  # noqa: S608  # numbers of parameters
        department_id,
        *new.parameters,
    )
    return found


async def count_newcomers(
    conn: Connection, department_id: UUID, condition: Compiled, new: New
) -> int:
    """How many of those whom a rule means, or may mean, are new; its parameters come second."""
    count: int = await conn.fetchval(
        f"""
        SELECT count(*) FROM {condition.source}
        WHERE c.department_id = $1 AND {new.sql} AND ({condition.sql}) IS NOT FALSE
        """,  # noqa: S608  # the condition is compiled from a parsed rule
        department_id,
        *condition.parameters,
        *new.parameters,
    )
    return count


async def note_met(conn: Connection, run_id: UUID, campaign_id: UUID, now: datetime) -> None:
    """Note that the plan has met everybody in the run's ledger and among its exclusions.

    In the transaction that writes the ledger, while the campaign is locked: so nobody is in two.
    """
    await conn.execute(
        """
        INSERT INTO acquaintances (campaign_id, phone_hash, met_by, again_at)
        SELECT $1::uuid, phone_hash, $2::uuid, NULL::timestamptz FROM ledger_of($2)
        UNION ALL
        SELECT $1, phone_hash, $2, CASE WHEN reason = ANY($3) THEN $4::timestamptz END
        FROM exclusions_of($2)
        ON CONFLICT (campaign_id, phone_hash)
            DO UPDATE SET met_by = excluded.met_by, again_at = excluded.again_at
        """,
        campaign_id,
        run_id,
        PASSING,
        now + AGAIN,
    )


async def is_expanding(conn: Connection, campaign_id: UUID) -> bool:
    """Whether a ledger of the campaign is still to be written."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM runs WHERE campaign_id = $1 AND state = 'expanding')",
        campaign_id,
    )
    return found
