"""The tables of lint, in SQL: a county's levels and lists, and what a department may write.

Nothing in them is changed: a change is a new row, and the last one holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.messages.policy import Policy, Sender, policy_from
from service.storage.postgres import Connection, Record

REMEMBERED = timedelta(days=30)
"""How long a text that was sent counts for R24."""

_COMPARED = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a policy or of a sender: what it set, why, by whom and when."""

    no: int
    content: Mapping[str, Any]
    reason: str
    changed_by: UUID | None
    changed_at: datetime


async def policy_get(conn: Connection) -> Policy:
    """The levels and lists that hold now."""
    return policy_from(await policy_changes(conn))


async def policy_changes(conn: Connection) -> dict[str, Any]:
    """What the county has changed of what is shipped."""
    found = await conn.fetchval("SELECT changes FROM lint_policies ORDER BY no DESC LIMIT 1")
    return found or {}


async def policy_set(
    conn: Connection, changes: Mapping[str, Any], reason: str, by: UUID | None, now: datetime
) -> None:
    """Let other levels and lists hold from now on.

    Raises:
        Invalid: they make no sense.
    """
    policy_from(changes)
    await conn.execute(
        """
        INSERT INTO lint_policies (changes, reason, changed_by, changed_at)
        VALUES ($1, $2, $3, $4)
        """,
        dict(changes),
        reason,
        by,
        now,
    )


async def policy_history(conn: Connection, before: int | None, limit: int) -> list[Change]:
    """A page of changes, from new to old."""
    rows = await conn.fetch(
        """
        SELECT no, changes AS content, reason, changed_by, changed_at FROM lint_policies
        WHERE $1::int IS NULL OR no < $1 ORDER BY no DESC LIMIT $2
        """,
        before,
        limit,
    )
    return [_change(row) for row in rows]


async def sender_get(conn: Connection, department_id: UUID, signature: str = "") -> Sender:
    """Whose a text of a department would be, with everything that is registered for it.

    signature: the one of the text, without 【】. A county's own office registers signatures; so it
    may use one that is nobody's.
    """
    row = await conn.fetchrow(
        """
        SELECT d.name, d.kind,
               ARRAY(SELECT signature FROM signatures
                     WHERE department_id = d.id AND ended_at IS NULL) AS signatures,
               s.landlines, s.links,
               d.kind = 'county'
                   AND NOT EXISTS (SELECT FROM signatures WHERE signature = $2) AS may_take
        FROM departments d
        LEFT JOIN LATERAL (
            SELECT landlines, links FROM lint_senders WHERE department_id = d.id
            ORDER BY no DESC LIMIT 1
        ) s ON true
        WHERE d.id = $1
        """,
        department_id,
        signature,
    )
    if row is None:
        raise ValueError(f"there is no department {department_id}")
    own = {*row["signatures"], signature} if row["may_take"] else row["signatures"]
    return Sender(
        tenant=row["name"],
        kind=row["kind"],
        signatures=frozenset(own),
        landlines=frozenset(row["landlines"] or ()),
        links=bool(row["links"]),
    )


async def sender_set(
    conn: Connection,
    department_id: UUID,
    sender: tuple[list[str], bool],
    reason: str,
    by: UUID | None,
    now: datetime,
) -> None:
    """Register what a department may write: its numbers, in digits, and whether links.

    Signatures are registered with the department itself.
    """
    landlines, links = sender
    await conn.execute("SELECT FROM departments WHERE id = $1 FOR UPDATE", department_id)
    await conn.execute(
        """
        INSERT INTO lint_senders (department_id, no, landlines, links, reason, changed_by,
                                  changed_at)
        SELECT $1, coalesce(max(no), 0) + 1, $2, $3, $4, $5, $6
        FROM lint_senders WHERE department_id = $1
        """,
        department_id,
        landlines,
        links,
        reason,
        by,
        now,
    )


async def sender_history(conn: Connection, department_id: UUID) -> list[Change]:
    """Every change of what a department may write, from new to old."""
    rows = await conn.fetch(
        """
        SELECT no, jsonb_build_object('landlines', landlines, 'links', links) AS content, reason,
               changed_by, changed_at
        FROM lint_senders WHERE department_id = $1 ORDER BY no DESC LIMIT 200
        """,
        department_id,
    )
    return [_change(row) for row in rows]


async def texts_sent(conn: Connection, department_id: UUID, now: datetime) -> list[str]:
    """The texts of a department's campaigns that fired within the last 30 days."""
    rows = await conn.fetch(
        """
        SELECT text FROM runs
        WHERE department_id = $1 AND campaign_id IS NOT NULL AND state <> 'cancelled'
          AND fire_at > $2 AND fire_at <= $3
        GROUP BY text ORDER BY max(fire_at) DESC LIMIT $4
        """,
        department_id,
        now - REMEMBERED,
        now,
        _COMPARED,
    )
    return [row["text"] for row in rows]


def _change(row: Record) -> Change:
    return Change(**row)
