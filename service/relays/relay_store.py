"""The SQL of relays: who is in the tree, begun, read, ended."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.rosters.standing import was_handed_on
from service.audience.segments.segment_sql import holds_on
from service.relays.tree import NewNode, NodeState, RelayFilter, RelayGroup, RelayPerson, RelayState
from service.storage import sql
from service.storage.postgres import Connection, Record


class NewRelay(NamedTuple):
    """A relay as somebody begins it. area_code: None: to all people and groups of the department.
    levels: roles, without that of the owners.
    """

    department_id: UUID
    template_version_id: UUID
    week: str
    area_code: str | None
    levels: Sequence[str]
    due_at: datetime


class Relay(NamedTuple):
    """A relay. groups: that were active when its tree was frozen; confirmed: those of them whose
    owner was done in time. held_why: why its text cannot be sent now, as a code.
    """

    id: UUID
    department_id: UUID
    template_version_id: UUID
    template_id: UUID
    template: str
    version: int
    text: str
    week: str
    area_code: str | None
    levels: Sequence[str]
    due_at: datetime
    state: RelayState
    groups: int
    confirmed: int
    started_by: UUID
    started_at: datetime
    level_one_at: datetime | None
    ended_at: datetime | None
    ended_why: str
    held_why: str


class ApprovedText(NamedTuple):
    """A version that somebody approved."""

    id: UUID
    text: str
    message_class: str


_RELAY = """
    SELECT r.id, r.department_id, r.template_version_id, v.template_id, t.name AS template,
           v.no AS version, v.text, r.week, r.area_code, r.levels, r.due_at, r.state, r.groups,
           (SELECT count(*) FROM relay_nodes n WHERE n.relay_id = r.id AND n.group_id IS NOT NULL
              AND n.done_at <= r.due_at)::int AS confirmed,
           r.started_by, r.started_at, r.level_one_at, r.ended_at, r.ended_why, r.held_why
    FROM relays r JOIN template_versions v ON v.id = r.template_version_id
    JOIN templates t ON t.id = v.template_id
"""


def _relay(row: Record) -> Relay:
    values: dict[str, Any] = {**row, "state": RelayState(row["state"])}
    return Relay(**values)


async def approved_text(
    conn: Connection, template_id: UUID, version: int, department_id: UUID
) -> ApprovedText | None:
    """A version of a department's template that somebody approved and nobody has withdrawn."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT v.id, v.text, t.class AS message_class
        FROM template_versions v JOIN templates t ON t.id = v.template_id
        WHERE v.template_id = :template_id AND v.no = :version AND v.approved_at IS NOT NULL
          AND withdrawn_offer_of(v.id) IS NULL AND t.department_id = :department_id
        """,
        template_id=template_id,
        version=version,
        department_id=department_id,
    )
    return None if row is None else ApprovedText(**row)


async def people_of_role(
    conn: Connection, department_id: UUID, role: str, area: str | None, today: date
) -> list[RelayPerson]:
    """The persons of a role on lists of a department that hold, who live in an area (None: in
    any), in a fixed order; without those who handed it over, as a post.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT c.id, coalesce(c.area_code, '') AS area_code, s.units
        FROM contacts c, LATERAL (
            SELECT array_agg(DISTINCT u.unit) FILTER (WHERE u.unit <> '') AS units
            FROM links l JOIN rosters h ON h.id = l.roster_id,
                LATERAL unnest(ARRAY[folded(l.college), l.school_folded, l.org_folded,
                                     folded(l.office)]) AS u(unit)
            WHERE l.contact_id = c.id AND l.left_by IS NULL AND :role = ANY (l.roles)
              AND (l.last_day IS NULL OR l.last_day >= :today::date)
              AND {holds_on("h", ":today")} AND NOT {was_handed_on("l", "h", ":role")}
            HAVING count(*) > 0) s
        WHERE c.department_id = :department_id AND c.listed
          AND (:area::text IS NULL OR c.area_code IN (SELECT areas_within(:area)))
        ORDER BY area_code, c.id
        """,  # noqa: S608  # a constant
        department_id=department_id,
        role=role,
        area=area,
        today=today,
    )
    return [RelayPerson(row["id"], row["area_code"], frozenset(row["units"] or ())) for row in rows]


async def active_groups(
    conn: Connection, department_id: UUID, area: str | None, *, lock: bool
) -> list[RelayGroup]:
    """The active groups of a department, in an area (None: in any), with their owners. lock: they
    are handed over to nobody else before the end of the transaction.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT g.id, o.contact_id, coalesce(g.area_code, '') AS area_code, folded(g.unit) AS unit
        FROM groups g JOIN group_owners o ON o.group_id = g.id AND o.until IS NULL
        WHERE g.department_id = :department_id AND g.closed_at IS NULL
          AND (:area::text IS NULL OR g.area_code IN (SELECT areas_within(:area)))
        ORDER BY area_code, g.id {"FOR SHARE OF g" if lock else ""}
        """,  # noqa: S608  # constants
        department_id=department_id,
        area=area,
    )
    return [RelayGroup(**row) for row in rows]


async def areas_around(conn: Connection, codes: Sequence[str]) -> dict[str, str]:
    """The area around each of these areas, and around those, to the top."""
    rows = await sql.fetch(
        conn,
        """
        WITH RECURSIVE up AS (
            SELECT code, parent_code FROM areas WHERE code = ANY (:codes)
            UNION SELECT a.code, a.parent_code FROM areas a JOIN up u ON a.code = u.parent_code
        )
        SELECT code, parent_code FROM up WHERE parent_code IS NOT NULL
        """,
        codes=list(codes),
    )
    return {row["code"]: row["parent_code"] for row in rows}


async def insert_relay(
    conn: Connection, new: NewRelay, nodes: Sequence[NewNode], by: tuple[UUID, datetime]
) -> UUID | None:
    """Begin a relay with its whole tree; None: the same one goes on, or is over, in that week."""
    started_by, now = by
    made: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO relays (department_id, template_version_id, week, area_code, levels, due_at,
                            groups, started_by, started_at, look_at)
        VALUES (:department_id, :template_version_id, :week, :area_code, :levels, :due_at, :groups,
                :started_by, :now, :now)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        **new._replace(levels=[*new.levels, "group_owner"])._asdict(),
        groups=sum(node.group_id is not None for node in nodes),
        started_by=started_by,
        now=now,
    )
    if made is not None:
        await sql.execute(
            conn,
            """
            INSERT INTO relay_nodes (relay_id, no, level, parent_no, group_id, area_code,
                                     contact_id)
            SELECT :relay_id, n.* FROM unnest(:nos::integer[], :levels::smallint[],
                :parents::integer[], :groups::uuid[], :areas::text[], :contacts::uuid[]) AS n
            """,
            relay_id=made,
            nos=[node.no for node in nodes],
            levels=[node.level for node in nodes],
            parents=[node.parent_no for node in nodes],
            groups=[node.group_id for node in nodes],
            areas=[node.area_code for node in nodes],
            contacts=[node.contact_id for node in nodes],
        )
    return made


async def find_relay(conn: Connection, relay_id: UUID) -> Relay | None:
    """One relay."""
    row = await sql.fetchrow(conn, f"{_RELAY} WHERE r.id = :id", id=relay_id)
    return None if row is None else _relay(row)


async def lock_relay(conn: Connection, relay_id: UUID) -> None:
    """Wait until nobody else is at a relay, and keep others from it."""
    await sql.execute(conn, "SELECT FROM relays WHERE id = :id FOR UPDATE", id=relay_id)


async def lock_due(conn: Connection, now: datetime) -> Relay | None:
    """The relay that has waited longest to be looked at, unless somebody is at it."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_RELAY} WHERE r.look_at <= :now ORDER BY r.look_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED
        """,
        now=now,
    )
    return None if row is None else _relay(row)


async def list_relays(
    conn: Connection,
    departments: Sequence[UUID] | None,
    wanted: RelayFilter,
    before: UUID | None,
    limit: int,
) -> list[Relay]:
    """A page of relays, the latest first. departments: None: of all."""
    rows = await sql.fetch(
        conn,
        f"""
        {_RELAY}
        WHERE (:departments::uuid[] IS NULL OR r.department_id = ANY (:departments))
          AND (:department_id::uuid IS NULL OR r.department_id = :department_id)
          AND (:week::text IS NULL OR r.week = :week)
          AND (:first::text IS NULL OR r.week >= :first)
          AND (:last::text IS NULL OR r.week <= :last)
          AND (:state::text IS NULL OR r.state = :state)
          AND (:before::uuid IS NULL OR r.id < :before)
        ORDER BY r.id DESC LIMIT :limit
        """,
        departments=None if departments is None else list(departments),
        **wanted._asdict(),
        before=before,
        limit=limit,
    )
    return [_relay(row) for row in rows]


class NodeCount(NamedTuple):
    """So many places of a level in an area are in a state. passed_over: got it from above."""

    level: int
    area_code: str
    state: NodeState
    nodes: int
    passed_over: int


async def count_nodes(conn: Connection, relay_id: UUID) -> list[NodeCount]:
    """The places of a tree by level, area and state."""
    rows = await sql.fetch(
        conn,
        """
        SELECT level, area_code, state, count(*)::int AS nodes,
               count(*) FILTER (WHERE passed_over)::int AS passed_over
        FROM relay_nodes WHERE relay_id = :relay_id
        GROUP BY level, area_code, state ORDER BY level, area_code, state
        """,
        relay_id=relay_id,
    )
    return [NodeCount(**{**row, "state": NodeState(row["state"])}) for row in rows]


async def list_nodes(
    conn: Connection,
    relay_id: UUID,
    *,
    state: str | None,
    level: int | None,
    unanswered: bool,
    after: int,
    limit: int,
) -> list[Record]:
    """A page of a tree, those above before those below, each with its person and group.

    unanswered: only those who got the text, or could not get it, and are not done.
    """
    return await sql.fetch(
        conn,
        """
        SELECT n.*, g.name AS group_name, c.name_cipher, c.phone_cipher,
               n.done_at > r.due_at AS late
        FROM relay_nodes n JOIN relays r ON r.id = n.relay_id
        LEFT JOIN groups g ON g.id = n.group_id
        LEFT JOIN contacts c ON c.id = n.contact_id
        WHERE n.relay_id = :relay_id AND n.no > :after
          AND (:state::text IS NULL OR n.state = :state)
          AND (:level::integer IS NULL OR n.level = :level)
          AND (NOT :unanswered OR n.state IN ('sent', 'unreachable', 'silent'))
        ORDER BY n.no LIMIT :limit
        """,
        relay_id=relay_id,
        state=state,
        level=level,
        unanswered=unanswered,
        after=after,
        limit=limit,
    )


async def end_relay(
    conn: Connection,
    relay_id: UUID,
    state: RelayState,
    why: str,
    look_at: datetime | None,
    now: datetime,
) -> None:
    """End a relay that is locked."""
    await sql.execute(
        conn,
        """
        UPDATE relays SET state = :state, ended_at = :now, ended_why = :why, look_at = :look_at
        WHERE id = :id AND state = 'going'
        """,
        id=relay_id,
        state=state,
        why=why,
        look_at=look_at,
        now=now,
    )


async def look_again(
    conn: Connection, relay_id: UUID, look_at: datetime | None, held_why: str | None = None
) -> None:
    """Say when a relay is looked at next, and why its text cannot be sent; None: as it was."""
    await sql.execute(
        conn,
        """
        UPDATE relays SET look_at = :look_at, held_why = coalesce(:held_why, held_why)
        WHERE id = :id
        """,
        id=relay_id,
        look_at=look_at,
        held_why=held_why,
    )


async def runs_of(conn: Connection, relay_id: UUID) -> list[UUID]:
    """The runs of a relay, in order."""
    rows = await sql.fetch(
        conn,
        "SELECT run_id FROM relay_runs WHERE relay_id = :relay_id ORDER BY run_id",
        relay_id=relay_id,
    )
    return [row["run_id"] for row in rows]


class Station(NamedTuple):
    """A department with groups, and when it first began a relay for a week; None: it has not."""

    department_id: UUID
    department: str
    groups: int
    began_at: datetime | None


async def stations(
    conn: Connection, departments: Sequence[UUID] | None, week: str, due_at: datetime
) -> list[Station]:
    """The departments that had active groups at an instant, and whether each began a relay for a
    week. departments: None: of all.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id AS department_id, d.name AS department, g.groups,
               (SELECT min(r.started_at) FROM relays r
                WHERE r.week = :week AND r.department_id = d.id AND r.state <> 'cancelled')
                   AS began_at
        FROM (SELECT department_id, count(*)::int AS groups FROM groups
              WHERE made_at <= :due_at AND (closed_at IS NULL OR closed_at > :due_at)
                AND (:departments::uuid[] IS NULL OR department_id = ANY (:departments))
              GROUP BY department_id) g JOIN departments d ON d.id = g.department_id
        ORDER BY d.name
        """,
        departments=None if departments is None else list(departments),
        week=week,
        due_at=due_at,
    )
    return [Station(**row) for row in rows]
