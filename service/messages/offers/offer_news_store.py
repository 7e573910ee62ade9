"""The SQL of what departments should know of the texts that they took over."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class TextNews(NamedTuple):
    """What there is to know of a copy. code: withdrawn, corrected or revised. newer_offer_id: the
    offer of a newer version that stands now, if there is one.
    """

    version_id: UUID
    template_id: UUID
    offer_id: UUID
    department: str
    code: str
    newer_offer_id: UUID | None
    since: datetime


FROZEN = """
    SELECT x.version_id
    FROM campaigns c CROSS JOIN LATERAL (
        SELECT c.template_version_id AS version_id UNION ALL
        SELECT template_version_id FROM campaign_texts WHERE campaign_id = c.id) x
    WHERE c.state IN ('pending_approval', 'scheduled', 'running', 'paused', 'held')
"""
"""The versions that plans have frozen; as `users_of_copies` of the database."""


def news(copies: str) -> str:
    """Part of a statement: those of these versions (`id`, `template_id`, `taken_from`) whose words
    were withdrawn, or of which there is a newer version to be taken over.
    """
    return f"""
        SELECT c.id AS version_id, c.template_id, o.id AS offer_id, d.name AS department,
               CASE WHEN o.withdrawn_at IS NOT NULL THEN 'withdrawn'
                    WHEN n.correction THEN 'corrected' ELSE 'revised' END AS code,
               n.id AS newer_offer_id, coalesce(o.withdrawn_at, n.offered_at) AS since
        FROM ({copies}) c JOIN text_offers o ON o.id = c.taken_from
        JOIN template_versions v ON v.id = o.template_version_id
        JOIN templates origin ON origin.id = v.template_id
        JOIN departments d ON d.id = origin.department_id
        LEFT JOIN LATERAL (
            SELECT e.id, e.offered_at, bool_or(e.correction) OVER () AS correction
            FROM text_offers e JOIN template_versions w ON w.id = e.template_version_id
            WHERE w.template_id = v.template_id AND w.no > v.no AND e.withdrawn_at IS NULL
            ORDER BY w.no DESC, e.id DESC LIMIT 1) n ON true
        WHERE o.withdrawn_at IS NOT NULL OR n.id IS NOT NULL
        """  # noqa: S608  # constants


_NEWS = "version_id, template_id, offer_id, department, code, newer_offer_id, since"


async def news_of_plan(conn: Connection, campaign_id: UUID) -> list[TextNews]:
    """What there is to know of the texts of a campaign; of a draft, of the latest versions."""
    held = """
        SELECT l.id, l.template_id, l.taken_from
        FROM campaigns c JOIN template_versions x ON x.id = c.template_version_id OR x.id IN (
            SELECT template_version_id FROM campaign_texts WHERE campaign_id = c.id)
        JOIN template_versions l ON l.id = CASE
            WHEN c.state NOT IN ('draft', 'returned') THEN x.id
            ELSE (SELECT id FROM template_versions WHERE template_id = x.template_id
                  ORDER BY no DESC LIMIT 1) END
        WHERE c.id = :campaign_id
        """
    rows = await sql.fetch(
        conn,
        f"SELECT {_NEWS} FROM ({news(held)}) news ORDER BY template_id",  # noqa: S608  # constants
        campaign_id=campaign_id,
    )
    return [TextNews(*row) for row in rows]


async def news_of_versions(conn: Connection, versions: Collection[UUID]) -> dict[UUID, TextNews]:
    """What there is to know of those of these versions that are copies."""
    copies = "SELECT id, template_id, taken_from FROM template_versions WHERE id = ANY(:versions)"
    rows = await sql.fetch(
        conn,
        f"SELECT {_NEWS} FROM ({news(copies)}) news",  # noqa: S608  # constants
        versions=list(versions),
    )
    return {row["version_id"]: TextNews(*row) for row in rows}


_COPIES = f"""
    SELECT c.id, c.template_id, c.taken_from
    FROM asked, template_versions c JOIN templates t ON t.id = c.template_id
    WHERE c.taken_from IS NOT NULL AND (asked.scope IS NULL OR t.department_id = asked.scope)
      AND (c.id IN ({FROZEN}) OR NOT EXISTS (
          SELECT FROM template_versions l WHERE l.template_id = c.template_id AND l.no > c.no))
"""  # noqa: S608  # constants
TAKEN_TEXTS = f"""
    SELECT DISTINCT ON (t.id) t.id::text, t.name, t.department_id,
           NULL::timestamptz AS planned_at, n.since, n.code
    FROM asked, ({news(_COPIES)}) n JOIN templates t ON t.id = n.template_id
    WHERE n.since > asked.now - interval '30 days' OR n.version_id IN ({FROZEN})
    ORDER BY t.id, n.since
"""  # noqa: S608  # constants
"""Copies with a newer version, or whose words were withdrawn: for a month, and as long as a plan
has frozen one. A statement of `reports.work_store`, which says what `asked` is.
"""
