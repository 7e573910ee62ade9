"""The table of filings, in SQL: it is only added to, and the last line holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.messages.filing import Filing, FilingLine, Required
from service.storage import sql
from service.storage.postgres import Connection, Record

UNFILED_TEXTS = """
    SELECT w.template_id, w.version_id, w.no, t.name, w.department_id, d.name AS department,
           h.id AS channel_id, h.name AS channel, f.state, min(w.created_at) AS since
    FROM (
        SELECT c.department_id, c.channels, c.created_at, v.template_id, n.id AS version_id, n.no
        FROM asked, campaigns c CROSS JOIN LATERAL (
            SELECT c.template_version_id AS id
            UNION SELECT m.template_version_id FROM campaign_texts m WHERE m.campaign_id = c.id) x
        JOIN template_versions v ON v.id = x.id
        CROSS JOIN LATERAL (
            SELECT id, no FROM template_versions o WHERE o.template_id = v.template_id
              AND (c.state IN ('draft', 'returned') OR o.id = v.id)
            ORDER BY no DESC LIMIT 1) n
        WHERE c.state NOT IN ('rejected', 'done', 'cancelled') AND NOT c.drill
          AND (asked.scope IS NULL OR c.department_id = asked.scope)) w
    JOIN templates t ON t.id = w.template_id
    JOIN departments d ON d.id = w.department_id
    JOIN channels h ON coalesce(h.requires_filing, NOT h.simulated)
      AND CASE WHEN w.channels IS NULL
               THEN h.enabled AND (d.channels IS NULL OR h.id = ANY (d.channels))
               ELSE h.id = ANY (w.channels) END
    LEFT JOIN LATERAL (
        SELECT state FROM filings
        WHERE version_id = w.version_id AND channel_id = h.id ORDER BY no DESC LIMIT 1) f ON true
    WHERE f.state IS DISTINCT FROM 'filed'
    GROUP BY w.template_id, w.version_id, w.no, t.name, w.department_id, d.name, h.id, h.name,
             f.state
"""
"""The texts of plans that are not over, with each channel that takes filed texts alone and where
they are not filed: as they stand now for a draft, else as they were submitted. Reads `asked`: its
scope is the department whose plans are seen, NULL for all.
"""


class UnfiledText(NamedTuple):
    """A version of a text that a plan would send over a channel where it is not filed. state: what
    the carrier has answered so far; None: nothing. since: when the first of these plans was made.
    """

    template_id: UUID
    version_id: UUID
    no: int
    name: str
    department_id: UUID
    department: str
    channel_id: int
    channel: str
    state: str | None
    since: datetime


async def list_unfiled(conn: Connection, scope: UUID | None, limit: int) -> list[UnfiledText]:
    """The first of `UNFILED_TEXTS` that a department sees (None: of all), the oldest first."""
    rows = await sql.fetch(
        conn,
        f"""
        WITH asked AS (SELECT :scope::uuid AS scope)
        {UNFILED_TEXTS} ORDER BY since, w.template_id, h.id LIMIT :limit
        """,  # a constant
        scope=scope,
        limit=limit,
    )
    return [UnfiledText(*row) for row in rows]


async def insert_filing(
    conn: Connection, version_id: UUID, channel_id: int, filing: Filing, by: UUID, now: datetime
) -> None:
    """Write down how a version stands with a channel."""
    await sql.execute(
        conn,
        """
        INSERT INTO filings (version_id, channel_id, state, reference, contacts, links, note,
                             changed_by, changed_at)
        VALUES (:version_id, :channel_id, :state, :reference, :contacts, :links, :note, :by, :now)
        """,
        version_id=version_id,
        channel_id=channel_id,
        state=filing.state,
        reference=filing.reference,
        contacts=list(filing.contacts),
        links=list(filing.links),
        note=filing.note,
        by=by,
        now=now,
    )


async def list_filings(conn: Connection, version_id: UUID) -> list[FilingLine]:
    """Every line on a version, from new to old."""
    rows = await sql.fetch(
        conn,
        "SELECT * FROM filings WHERE version_id = :version_id ORDER BY no DESC LIMIT 500",
        version_id=version_id,
    )
    return [
        FilingLine(row["channel_id"], _filing(row), row["changed_by"], row["changed_at"])
        for row in rows
    ]


async def required_filings(
    conn: Connection, version_id: UUID, department_id: UUID, channels: Sequence[int] | None
) -> list[Required]:
    """The channels that a text may take and that want it filed, with what is filed there.

    channels: of the plan; None: whichever enabled one the department may use.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT c.name AS channel, c.id AS wanted_by, f.*
        FROM channels c
        JOIN departments d ON d.id = :department_id
        LEFT JOIN LATERAL (
            SELECT * FROM filings
            WHERE version_id = :version_id AND channel_id = c.id ORDER BY no DESC LIMIT 1
        ) f ON true
        WHERE coalesce(c.requires_filing, NOT c.simulated)
          AND CASE WHEN :channels::smallint[] IS NULL
                   THEN c.enabled AND (d.channels IS NULL OR c.id = ANY (d.channels))
                   ELSE c.id = ANY (:channels) END
        ORDER BY c.id
        """,
        version_id=version_id,
        department_id=department_id,
        channels=channels,
    )
    return [
        Required(row["channel"], _filing(row) if row["no"] is not None else None, row["wanted_by"])
        for row in rows
    ]


async def set_required(conn: Connection, channel_id: int, *, required: bool | None) -> bool | None:
    """Whether a channel takes filed texts alone; returns what now holds, None: no such channel.

    required: None: if it is a real one.
    """
    holds: bool | None = await sql.fetchval(
        conn,
        """
        UPDATE channels SET requires_filing = :required WHERE id = :channel_id::int
        RETURNING coalesce(requires_filing, NOT simulated)
        """,
        channel_id=channel_id,
        required=required,
    )
    return holds


def _filing(row: Record) -> Filing:
    return Filing(
        state=row["state"],
        reference=row["reference"],
        contacts=tuple(row["contacts"]),
        links=tuple(row["links"]),
        note=row["note"],
    )
