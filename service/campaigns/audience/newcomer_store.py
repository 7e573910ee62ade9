"""Who newly has a role, by plan, in SQL.

A plan keeps whom it has met: everybody who had one of its roles when it was approved, and everybody
in a ledger of it. Who has a role and is not among them is new, however the role came about. So no
way into the lists can be forgotten, a list that is read again makes nobody new, and nobody is met
twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.audience.segments.segment_sql import Compiled, holds_on
from service.clock import day_in_china
from service.ledger.reasons import Place, Reason
from service.storage import sql
from service.storage.postgres import Connection
from service.storage.sql import Condition

PASSING = [reason for reason in Reason.at(Place.EXPANSION) if reason.passing]
"""Reasons for leaving somebody out which pass without anybody changing the person."""
AGAIN = timedelta(days=1)
"""After how long somebody who was left out for such a reason is tried again."""


async def watch(conn: Connection, campaign_id: UUID, roles: Sequence[str], now: datetime) -> None:
    """Let everybody who has one of the roles now be known to the plan.

    Roles that it has watched before are left out: who has got one since is to get its text, also
    if the plan was mended meanwhile. Expired lists count, since they may be prolonged.
    """
    watched: list[str] = (
        await sql.fetchval(
            conn,
            "SELECT roles FROM newcomer_watches WHERE campaign_id = :campaign_id",
            campaign_id=campaign_id,
        )
        or []
    )
    added = sorted(set(roles) - set(watched))
    if not added:
        return
    await sql.execute(
        conn,
        """
        INSERT INTO newcomer_watches (campaign_id, roles, since) VALUES (:campaign_id, :roles, :now)
        ON CONFLICT (campaign_id) DO UPDATE SET roles = excluded.roles
        """,
        campaign_id=campaign_id,
        roles=sorted({*roles, *watched}),
        now=now,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO acquaintances AS a (campaign_id, phone_hash, roles)
        SELECT :campaign_id, c.phone_hash, array_agg(DISTINCT r.role)
        FROM contacts c JOIN links l ON l.contact_id = c.id, unnest(l.roles) AS r(role)
        WHERE c.department_id = (SELECT department_id FROM campaigns WHERE id = :campaign_id)
          AND l.left_by IS NULL AND r.role = ANY(:added)
        GROUP BY c.phone_hash
        ON CONFLICT (campaign_id, phone_hash) DO UPDATE SET roles = a.roles || excluded.roles
        """,
        campaign_id=campaign_id,
        added=added,
    )


def newcomers(campaign_id: UUID, roles: Sequence[str], now: datetime) -> Condition:
    """The condition that a contact `c` has one of the roles and is new to the plan."""
    text = f"""
        c.id IN (
            SELECT l.contact_id FROM links l JOIN rosters o ON o.id = l.roster_id
            JOIN contacts p ON p.id = l.contact_id
            CROSS JOIN unnest(l.roles) AS r(role)
            WHERE l.left_by IS NULL AND l.roles && :new_roles::text[] AND r.role = ANY(:new_roles)
              AND {holds_on("o", ":new_on")}
              AND o.department_id = (SELECT department_id FROM campaigns WHERE id = :new_to)
              AND NOT EXISTS (
                SELECT FROM acquaintances a
                WHERE a.campaign_id = :new_to AND a.phone_hash = p.phone_hash
                  AND (a.met_by IS NOT NULL OR r.role = ANY(a.roles))
                  AND (a.again_at IS NULL OR a.again_at > :new_at::timestamptz)))
        """  # noqa: S608  # constants
    values = {
        "new_to": campaign_id,
        "new_roles": list(roles),
        "new_at": now,
        "new_on": day_in_china(now),
    }
    return Condition(text, values)


async def are_newcomers(
    conn: Connection, department_id: UUID, campaign_id: UUID, roles: Sequence[str], now: datetime
) -> bool:
    """Whether anybody of a department is new to its plan, by no rule yet: that is mostly nobody."""
    new = newcomers(campaign_id, roles, now)
    found: bool = await sql.fetchval(
        conn,
        f"""
        SELECT EXISTS (
            SELECT FROM contacts c WHERE c.department_id = :department_id AND {new.text})
        """,  # noqa: S608  # a condition with parameters
        department_id=department_id,
        **new.values,
    )
    return found


async def count_newcomers(
    conn: Connection, department_id: UUID, condition: Compiled, new: Condition
) -> int:
    """How many of those whom a rule means, or may mean, are new."""
    count: int = await sql.fetchval(
        conn,
        f"""
        SELECT count(*) FROM {condition.source}
        WHERE c.department_id = :department_id AND {new.text} AND ({condition.sql}) IS NOT FALSE
        """,  # noqa: S608  # the condition is compiled from a parsed rule
        department_id=department_id,
        **condition.values,
        **new.values,
    )
    return count


async def note_met(conn: Connection, run_id: UUID, campaign_id: UUID, now: datetime) -> None:
    """Note that the plan has met everybody in the run's ledger and among its exclusions.

    In the transaction that writes the ledger, while the campaign is locked: so nobody is in two.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO acquaintances (campaign_id, phone_hash, met_by, again_at)
        SELECT :campaign_id::uuid, phone_hash, :run_id::uuid, NULL::timestamptz
        FROM ledger_of(:run_id)
        UNION ALL
        SELECT :campaign_id, phone_hash, :run_id,
            CASE WHEN reason = ANY(:passing) THEN :again_at::timestamptz END
        FROM exclusions_of(:run_id)
        ON CONFLICT (campaign_id, phone_hash)
            DO UPDATE SET met_by = excluded.met_by, again_at = excluded.again_at
        """,
        campaign_id=campaign_id,
        run_id=run_id,
        passing=PASSING,
        again_at=now + AGAIN,
    )


async def is_expanding(conn: Connection, campaign_id: UUID) -> bool:
    """Whether a ledger of the campaign is still to be written."""
    found: bool = await sql.fetchval(
        conn,
        "SELECT EXISTS (SELECT FROM runs WHERE campaign_id = :campaign_id AND state = 'expanding')",
        campaign_id=campaign_id,
    )
    return found
