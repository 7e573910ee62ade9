"""The table of filings, in SQL: it is only added to, and the last line holds."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.messages.filing import Filing, FilingLine, Required
from service.storage import sql
from service.storage.postgres import Connection, Record


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
        SELECT c.name AS channel, f.*
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
        Required(row["channel"], _filing(row) if row["no"] is not None else None) for row in rows
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
