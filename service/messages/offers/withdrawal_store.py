"""The SQL of withdrawn words: who withdraws what, and what nobody may send by it.

Whoever is about to send locks the offer shared, a withdrawal alone; so of two at the same instant
the later one sees the earlier. The rows of offers are locked after those of campaigns and before
those of runs without a campaign (`storage.locks`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, affected


async def chain_of(conn: Connection, offer_id: UUID) -> list[UUID]:
    """An offer and those that it replaced, which stay the same ones for good."""
    rows = await sql.fetch(
        conn,
        """
        WITH RECURSIVE chain AS (
            SELECT id, replaces FROM text_offers WHERE id = :offer_id
            UNION ALL
            SELECT o.id, o.replaces FROM chain c JOIN text_offers o ON o.id = c.replaces)
        SELECT id FROM chain
        """,
        offer_id=offer_id,
    )
    return [row["id"] for row in rows]


async def set_withdrawn(
    conn: Connection, offers: Sequence[UUID], user_id: UUID, why: str, now: datetime, *, stops: bool
) -> int:
    """Withdraw those of these offers that stand; every department that uses one is told. Whatever
    is about to be sent by one is waited for. Those that were withdrawn before can be stopped still.
    Returns how many changed.
    """
    await sql.execute(
        conn,
        "SELECT FROM text_offers WHERE id = ANY(:offers) ORDER BY id FOR NO KEY UPDATE",
        offers=list(offers),
    )
    status = await sql.execute(
        conn,
        """
        UPDATE text_offers
        SET withdrawn_by = coalesce(withdrawn_by, :user_id), stops = stops OR :stops,
            withdrawn_at = coalesce(withdrawn_at, :now),
            withdrawn_why = coalesce(withdrawn_why, :why)
        WHERE id = ANY(:offers) AND (withdrawn_at IS NULL OR :stops AND NOT stops)
        """,
        offers=list(offers),
        user_id=user_id,
        why=why,
        now=now,
        stops=stops,
    )
    return affected(status)


async def versions_of(conn: Connection, offers: Sequence[UUID]) -> list[UUID]:
    """The versions with the words of these offers: the copies, and those that were offered."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM template_versions WHERE taken_from = ANY(:offers)
        UNION SELECT template_version_id FROM text_offers WHERE id = ANY(:offers)
        """,
        offers=list(offers),
    )
    return [row["id"] for row in rows]


class Withdrawn(NamedTuple):
    """Words that nobody may send: of which version, by which offer, whose they were, and why."""

    version_id: UUID
    offer_id: UUID
    department: str
    why: str
    stops: bool


async def withdrawn_among(
    conn: Connection, versions: Collection[UUID], *, lock: bool = True
) -> list[Withdrawn]:
    """Those of these versions whose words are withdrawn. No other is withdrawn before the end of
    the transaction: a withdrawal that is under way is waited for.

    lock: False for whoever only looks, and neither waits nor makes others wait.
    """
    if lock:
        await sql.execute(
            conn,
            """
            SELECT FROM text_offers WHERE template_version_id = ANY(:versions) OR id IN (
                SELECT taken_from FROM template_versions WHERE id = ANY(:versions))
            ORDER BY id FOR SHARE
            """,
            versions=list(versions),
        )
    rows = await sql.fetch(
        conn,
        """
        SELECT w.version_id, o.id, d.name, o.withdrawn_why, o.stops
        FROM (SELECT id AS version_id, withdrawn_offer_of(id) AS offer_id
              FROM unnest(:versions::uuid[]) AS u(id)) w
        JOIN text_offers o ON o.id = w.offer_id
        JOIN template_versions v ON v.id = o.template_version_id
        JOIN templates t ON t.id = v.template_id JOIN departments d ON d.id = t.department_id
        ORDER BY o.id, w.version_id
        """,
        versions=list(versions),
    )
    return [Withdrawn(*row) for row in rows]


async def is_stopped(conn: Connection, runs: Collection[UUID]) -> bool:
    """Whether one of these runs sends words that were withdrawn so that its run stops as well."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM runs r
            JOIN text_offers o ON o.id = withdrawn_offer_of(r.template_version_id)
            WHERE r.id = ANY(:runs) AND o.stops)
        """,
        runs=list(runs),
    )
    return found
