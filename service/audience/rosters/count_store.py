"""The SQL of how many people are on each list, kept beside its entries (decision 0615).

Triggers add a row to `roster_changes` in each transaction that changes entries of a list, and
nothing but their sum tells one state of the list from another: rows are only ever added, so two
snapshots with the same sum have the same entries. A count is kept with the sum of its snapshot, and
is shown if the reader's snapshot has the same sum.
"""

from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection

CHANGES_OF = (
    "SELECT coalesce(sum(changes), 0)::bigint AS changes FROM roster_changes WHERE roster_id = {}"
)
"""SQL: how often the entries of a roster {} were changed."""

COUNTED = """
    SELECT count(DISTINCT l.contact_id)::int AS people,
           count(DISTINCT l.contact_id) FILTER (
               WHERE l.consent_basis = '' AND coalesce(f.evidence, '') = '')::int AS bare
    FROM links l LEFT JOIN imports f ON f.id = l.import_id
    WHERE l.roster_id = {} AND l.left_by IS NULL
"""
"""SQL: the people of a roster {}, and those of them by an entry that nothing shows; a condition may
follow."""


async def changed_rosters(conn: Connection) -> list[UUID]:
    """The lists that were not counted since their entries changed."""
    rows = await conn.fetch(
        """
        SELECT r.id
        FROM rosters r
        LEFT JOIN (SELECT roster_id, sum(changes) AS changes FROM roster_changes
                   GROUP BY roster_id) v ON v.roster_id = r.id
        LEFT JOIN roster_counts k ON k.roster_id = r.id
        WHERE k.changes IS DISTINCT FROM coalesce(v.changes, 0) ORDER BY r.id
        """
    )
    return [row["id"] for row in rows]


async def count_roster(conn: Connection, roster_id: UUID) -> None:
    """Count the people of a list, and replace the notes of its changes by their sum; needs a
    transaction. One statement reads the entries and how often they were changed.
    """
    await sql.execute(
        conn,
        f"""
        INSERT INTO roster_counts AS k (roster_id, changes, people, bare)
        SELECT r.id, v.changes, p.people, p.bare
        FROM rosters r CROSS JOIN LATERAL ({CHANGES_OF.format("r.id")}) v
        CROSS JOIN LATERAL ({COUNTED.format("r.id")}) p
        WHERE r.id = :roster_id
        ON CONFLICT (roster_id) DO UPDATE SET
            changes = excluded.changes, people = excluded.people, bare = excluded.bare
        WHERE k.changes < excluded.changes
        """,  # noqa: S608  # constants
        roster_id=roster_id,
    )
    await sql.execute(
        conn,
        """
        WITH gone AS (DELETE FROM roster_changes WHERE roster_id = :roster_id RETURNING changes)
        INSERT INTO roster_changes (roster_id, changes)
        SELECT :roster_id, sum(changes) FROM gone HAVING count(*) > 0
        """,
        roster_id=roster_id,
    )


async def forget_deleted(conn: Connection) -> None:
    """Delete what is kept of lists that are not there any more."""
    for table in ("roster_changes", "roster_counts"):
        await conn.execute(
            f"DELETE FROM {table} k"  # noqa: S608  # constants
            " WHERE NOT EXISTS (SELECT FROM rosters r WHERE r.id = k.roster_id)"
        )
