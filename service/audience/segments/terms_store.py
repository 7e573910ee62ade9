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


class ListsState(NamedTuple):
    """What tells whether the lists of a department may hold other values than before."""

    department_id: UUID
    newest_entry: int | None
    imports: str
    rosters: str


async def read_lists_state(conn: Connection, department_id: UUID, today: date) -> ListsState:
    """Read it without looking at any entry. Another one after every import, after each that is
    undone, after everybody who was added by hand, and when a list ends, begins or is renamed; the
    same after a correction by hand or an erasure.
    """
    (row,) = await sql.fetch(
        conn,
        f"""
        SELECT (SELECT max(id) FROM links),
            (SELECT coalesce(string_agg(state || ' ' || number, ', ' ORDER BY state), '')
             FROM (SELECT state::text, count(*) AS number FROM imports
                   WHERE department_id = :department_id GROUP BY state) i),
            (SELECT coalesce(string_agg(id || ' ' || name, ', ' ORDER BY id), '') FROM rosters r
             WHERE department_id = :department_id AND {holds_on("r", ":today")})
        """,  # noqa: S608  # constants
        department_id=department_id,
        today=today,
    )
    return ListsState(department_id, *row)


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
        -- Persons are told apart by hashing: count(DISTINCT) would sort all entries each time.
        ), value AS (
            SELECT 'area' AS field, area_code AS value, count(*) AS people
            FROM (SELECT DISTINCT contact_id, area_code FROM entry) e
            WHERE area_code IS NOT NULL GROUP BY area_code
            UNION ALL
            SELECT 'role', role, count(*)
            FROM (SELECT DISTINCT contact_id, role FROM entry, unnest(roles) AS role) e
            GROUP BY role
            UNION ALL
            SELECT 'gender', gender, count(*)
            FROM (SELECT DISTINCT contact_id, gender FROM entry) e
            WHERE gender IS NOT NULL GROUP BY gender
            UNION ALL
            SELECT 'roster', roster, count(*)
            FROM (SELECT DISTINCT contact_id, roster FROM entry) e GROUP BY roster
            UNION ALL
            (SELECT 'org', min(org COLLATE "C"), count(*) AS people
             FROM (SELECT contact_id, org_folded, min(org COLLATE "C") AS org
                   FROM entry WHERE org_folded <> '' GROUP BY contact_id, org_folded) e
             GROUP BY org_folded ORDER BY people DESC, org_folded LIMIT :most)
            UNION ALL
            (SELECT 'school', min(school COLLATE "C"), count(*) AS people
             FROM (SELECT contact_id, school_folded, min(school COLLATE "C") AS school
                   FROM entry WHERE school_folded <> '' GROUP BY contact_id, school_folded) e
             GROUP BY school_folded ORDER BY people DESC, school_folded LIMIT :most)
            UNION ALL
            SELECT 'carrier', c.carrier, count(*)
            FROM contacts c
            WHERE c.department_id = :department_id AND c.carrier IS NOT NULL
              AND c.id IN (SELECT contact_id FROM entry)
            GROUP BY c.carrier)
        SELECT field, value, people::int FROM value ORDER BY field, people DESC, value
        """,  # noqa: S608  # constants
        department_id=department_id,
        today=today,
        most=MOST_TEXTS,
    )
    return [ListedValue(*row) for row in rows]
