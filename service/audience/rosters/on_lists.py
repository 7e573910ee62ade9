"""SQL: whether a person is on a list that holds, and what lists say of where they belong."""

from service.audience.segments.segment_sql import holds_on


def is_on_a_list(contact: str, day: str) -> str:
    """SQL: the person `contact` is on a list that holds on a day; nobody else is written to."""
    return f"""({contact}.listed AND EXISTS (
        SELECT FROM links l JOIN rosters h ON h.id = l.roster_id
        WHERE l.contact_id = {contact}.id AND l.left_by IS NULL
          AND (l.last_day IS NULL OR l.last_day >= {day}::date)
          AND {holds_on("h", day)}))"""


def said_of(contact: str) -> str:
    """SQL: college, school and so on of the person `contact`, as one list says it, as JSON; of
    several lists the one that names a college or school, then the latest.
    """
    return f"""(
        SELECT jsonb_build_object('college', l.college, 'school', l.school, 'org', l.org,
            'office', l.office, 'grade', l.grade, 'class', l.class)
        FROM links l WHERE l.contact_id = {contact} AND l.left_by IS NULL
        ORDER BY l.college <> '' OR l.school <> '' DESC, l.id DESC LIMIT 1)"""  # noqa: S608
