"""The SQL of what rules of a department can ask for: the values that its lists hold, counted."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import holds_on
from service.storage import sql
from service.storage.postgres import Connection


class ListedValue(NamedTuple):
    """A value of a field in the lists of a department. people: how many have an entry with it."""

    field: str
    value: str
    people: int


MOST_TEXTS = 300
"""So many organisations or schools, those with the most people."""


async def list_values(conn: Connection, department_id: UUID, today: date) -> list[ListedValue]:
    """The values that lists in force hold, the most frequent of each field first.

    Somebody with several entries counts once for each value. areas by their code; of free texts
    the form in which one of them is written.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH entry AS MATERIALIZED (
            SELECT l.contact_id, l.area_code, l.roles, l.org, l.org_folded, l.school,
                   l.school_folded, l.gender, r.name AS roster
            FROM rosters r JOIN links l ON l.roster_id = r.id AND l.left_by IS NULL
            WHERE r.department_id = :department_id AND {holds_on("r", ":today")}
        ), value AS (
            SELECT 'area' AS field, area_code AS value, count(DISTINCT contact_id) AS people
            FROM entry WHERE area_code IS NOT NULL GROUP BY area_code
            UNION ALL
            SELECT 'role', role, count(DISTINCT contact_id)
            FROM entry, unnest(roles) AS role GROUP BY role
            UNION ALL
            SELECT 'gender', gender, count(DISTINCT contact_id)
            FROM entry WHERE gender IS NOT NULL GROUP BY gender
            UNION ALL
            SELECT 'roster', roster, count(DISTINCT contact_id) FROM entry GROUP BY roster
            UNION ALL
            (SELECT 'org', min(org), count(DISTINCT contact_id) AS people
             FROM entry WHERE org_folded <> '' GROUP BY org_folded
             ORDER BY people DESC, org_folded LIMIT :most)
            UNION ALL
            (SELECT 'school', min(school), count(DISTINCT contact_id) AS people
             FROM entry WHERE school_folded <> '' GROUP BY school_folded
             ORDER BY people DESC, school_folded LIMIT :most)
            UNION ALL
            SELECT 'carrier', c.carrier, count(*)
            FROM contacts c
            WHERE c.id IN (SELECT contact_id FROM entry) AND c.carrier IS NOT NULL
            GROUP BY c.carrier)
        SELECT field, value, people::int FROM value ORDER BY field, people DESC, value
        """,  # noqa: S608  # constants
        department_id=department_id,
        today=today,
        most=MOST_TEXTS,
    )
    return [ListedValue(*row) for row in rows]
