"""The SQL of what groups are told of units: steps of duties, and relays that begin."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.delivery.notices.robot import RobotNotice
from service.delivery.notices.robot_text import UnitNotice
from service.storage import sql
from service.storage.postgres import Connection


class GroupStep(NamedTuple):
    """A step of a duty of which the groups of a department are told."""

    department_id: UUID
    kind: RobotNotice
    duty_id: UUID
    step: str


async def owe_robots_of_steps(conn: Connection, steps: Sequence[GroupStep], now: datetime) -> None:
    """Owe steps of duties to the groups that are to be told of such; in the transaction in which
    the steps are taken, so that none is lost and none told twice.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO robot_unit_notices (robot_id, kind, duty_id, step, due_at)
        SELECT r.id, s.kind, s.duty_id, s.step, :now
        FROM unnest(:departments::uuid[], :kinds::text[], :duties::uuid[], :steps::text[])
                AS s(department_id, kind, duty_id, step)
            JOIN group_robots r ON r.department_id = s.department_id AND s.kind = ANY (r.kinds)
                AND r.ended_at IS NULL
        """,
        departments=[one.department_id for one in steps],
        kinds=[one.kind for one in steps],
        duties=[one.duty_id for one in steps],
        steps=[one.step for one in steps],
        now=now,
    )


async def owe_robots_of_relay(
    conn: Connection, relay_id: UUID, department_id: UUID, now: datetime
) -> None:
    """Owe the beginning of a relay to the groups of its department; in its transaction."""
    await sql.execute(
        conn,
        """
        INSERT INTO robot_unit_notices (robot_id, kind, relay_id, due_at)
        SELECT id, 'relay', :relay_id, :now FROM group_robots
        WHERE department_id = :department_id AND 'relay' = ANY (kinds) AND ended_at IS NULL
        """,
        relay_id=relay_id,
        department_id=department_id,
        now=now,
    )


async def settle_units_over(
    conn: Connection, due_by: datetime, too_old: datetime, now: datetime
) -> None:
    """Settle without a post what is not so any more: a duty that was handed in, a reminder of what
    is late by now, a relay that was cancelled; and what the group is told of no more.
    """
    await sql.execute(
        conn,
        """
        UPDATE robot_unit_notices n SET settled_at = :now
        FROM robot_unit_notices o JOIN group_robots r ON r.id = o.robot_id
            LEFT JOIN duties d ON d.id = o.duty_id LEFT JOIN relays l ON l.id = o.relay_id
        WHERE n.id = o.id AND o.settled_at IS NULL AND o.due_at <= :due_by
          AND (r.ended_at IS NOT NULL OR o.due_at <= :too_old OR o.kind <> ALL (r.kinds)
               OR l.state = 'cancelled'
               OR CASE WHEN o.step IN ('missed_leader', 'missed_above') THEN d.state <> 'missed'
                       ELSE d.state NOT IN ('open', 'returned') END
               OR o.kind = 'reminder' AND d.due_at <= :now)
        """,
        now=now,
        due_by=due_by,
        too_old=too_old,
    )


async def unit_notices(conn: Connection, post_id: UUID) -> list[UnitNotice]:
    """What a post tells of units, each thing once."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT n.kind, u.name AS unit, coalesce(o.title, l.week) AS title,
               coalesce(d.due_at, l.due_at) AS due_at, coalesce(l.groups, 0) AS groups
        FROM robot_unit_notices n
            LEFT JOIN duties d ON d.id = n.duty_id
            LEFT JOIN obligations o ON o.id = d.obligation_id
            LEFT JOIN relays l ON l.id = n.relay_id
            JOIN departments u ON u.id = coalesce(d.department_id, l.department_id)
        WHERE n.post_id = :post_id
        """,
        post_id=post_id,
    )
    return [UnitNotice(**{**row, "kind": RobotNotice(row["kind"])}) for row in rows]
