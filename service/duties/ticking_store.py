"""The SQL of facts that fulfil duties: runs, household rounds, relays, lists kept up to date."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.duties.duty_store import DutyEvidence
from service.storage import sql
from service.storage.postgres import Connection


class Fulfilled(NamedTuple):
    """An open duty that a fact fulfils, by what and since when."""

    duty_id: UUID
    by: DutyEvidence
    at: datetime


async def find_fulfilled(conn: Connection, now: datetime) -> list[Fulfilled]:
    """The open duties that a fact fulfils."""
    found = [await look(conn, now) for look in (_sent, _visited, _relayed, _listed)]
    return [one for of_kind in found for one in of_kind]


async def _visited(conn: Connection, now: datetime) -> list[Fulfilled]:
    """Open duties of kind `visits` of which the unit has closed a household round in the period:
    somebody has signed for each of its villages. The first one counts.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id, f.round_id, f.ended_at
        FROM duties d, LATERAL (
            SELECT r.id AS round_id, r.ended_at FROM visit_rounds r
            WHERE r.department_id = d.department_id AND r.state = 'closed'
              AND r.ended_at >= d.first_on::timestamp AT TIME ZONE 'Asia/Shanghai'
              AND r.ended_at < coalesce(
                  d.missed_at, (d.last_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai')
              AND r.ended_at <= :now
            ORDER BY r.ended_at, r.id LIMIT 1) f
        WHERE d.state = 'open' AND d.kind = 'visits'
        """,
        now=now,
    )
    return [
        Fulfilled(row["id"], DutyEvidence(round_id=row["round_id"]), row["ended_at"])
        for row in rows
    ]


async def _sent(conn: Connection, now: datetime) -> list[Fulfilled]:
    """Open duties of kind `send` for which their unit has sent what is asked for, with the first
    run that did, and when that was settled.

    A run counts once it is settled, if it fired in the period and fits all that the obligation
    needs: class, topic, and so many people, of a role or an area where one is named, by the counts
    of coverage.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id, f.run_id, f.settled_at
        FROM duties d JOIN obligations o ON o.id = d.obligation_id, LATERAL (
            SELECT r.id AS run_id, r.settled_at
            FROM runs r
            WHERE r.department_id = d.department_id AND r.kind <> 'reply'
              AND r.campaign_id IS NOT NULL
              AND r.created_at >= d.first_on::timestamp AT TIME ZONE 'Asia/Shanghai'
              AND r.fire_at >= d.first_on::timestamp AT TIME ZONE 'Asia/Shanghai'
              AND r.fire_at < (d.last_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
              AND r.mode = 'real' AND r.relation IS NULL AND r.state = 'sent'
              AND r.settled_at <= :now
              AND (o.needs ->> 'class' IS NULL OR r.class = o.needs ->> 'class')
              AND (o.needs ->> 'topic' IS NULL OR EXISTS (
                  SELECT FROM template_versions v JOIN templates t ON t.id = v.template_id
                  WHERE t.department_id = r.department_id AND v.text = r.text
                    AND t.topic = o.needs ->> 'topic'))
              AND coalesce((o.needs ->> 'target')::integer, 1) <= CASE
                  WHEN o.needs ->> 'role' IS NULL AND o.needs ->> 'area' IS NULL THEN r.target
                  ELSE (SELECT sum(f.people) FROM coverage_scopes s
                        JOIN coverage_facts f ON f.scope_id = s.id AND f.count_no = s.shown
                        WHERE s.kind = 'run' AND s.run_id = r.id AND f.outcome <> 'excluded'
                          AND f.role = coalesce(o.needs ->> 'role', '')
                          AND (o.needs ->> 'area' IS NULL OR f.area_code IN (
                              SELECT areas_within(o.needs ->> 'area')))) END
            ORDER BY r.settled_at, r.id LIMIT 1) f
        WHERE d.state = 'open' AND d.kind = 'send'
        """,
        now=now,
    )
    return [
        Fulfilled(row["id"], DutyEvidence(run_id=row["run_id"]), row["settled_at"]) for row in rows
    ]


async def _relayed(conn: Connection, now: datetime) -> list[Fulfilled]:
    """Open duties of kind `relay` of which the unit has passed a text on: a relay for a week that
    begins in the period, of which everybody of the first level who could be reached has passed it
    on (`relays.level_one_at`). The first one counts.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id, f.relay_id, f.level_one_at
        FROM duties d, LATERAL (
            SELECT r.id AS relay_id, r.level_one_at FROM relays r
            WHERE r.department_id = d.department_id AND r.state <> 'cancelled'
              AND to_date(r.week, 'IYYY-"W"IW') BETWEEN d.first_on AND d.last_on
              AND r.level_one_at <= :now
            ORDER BY r.level_one_at, r.id LIMIT 1) f
        WHERE d.state = 'open' AND d.kind = 'relay'
        """,
        now=now,
    )
    return [
        Fulfilled(row["id"], DutyEvidence(relay_id=row["relay_id"]), row["level_one_at"])
        for row in rows
    ]


async def _listed(conn: Connection, now: datetime) -> list[Fulfilled]:
    """Open duties of kind `roster` whose unit has, in the period, read a file into its list of that
    name, of which a row at least was taken and which was not undone, or has confirmed the list. The
    first of these counts.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id, f.roster_id, f.import_id, f.at
        FROM duties d JOIN obligations o ON o.id = d.obligation_id
            JOIN rosters h ON h.department_id = d.department_id
                AND h.name = o.needs ->> 'roster',
            LATERAL (
                SELECT h.id AS roster_id, a.import_id, a.at FROM (
                    SELECT NULL::uuid AS import_id, h.confirmed_at AS at
                    UNION ALL
                    SELECT i.id, i.finished_at FROM imports i
                    WHERE i.department_id = d.department_id AND i.roster = h.name
                      AND i.finished_at >= d.first_on::timestamp AT TIME ZONE 'Asia/Shanghai'
                      AND i.state = 'done' AND NOT i.dry_run AND i.undone_at IS NULL
                      AND i.undo_asked_at IS NULL
                      AND (i.report #>> '{rows,accepted}')::bigint > 0) a
                WHERE a.at >= d.first_on::timestamp AT TIME ZONE 'Asia/Shanghai'
                  AND a.at < coalesce(
                      d.missed_at, (d.last_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai')
                  AND a.at <= :now
                ORDER BY a.at, a.import_id LIMIT 1) f
        WHERE d.state = 'open' AND d.kind = 'roster'
        """,
        now=now,
    )
    return [
        Fulfilled(
            row["id"],
            DutyEvidence(roster_id=row["roster_id"], import_id=row["import_id"]),
            row["at"],
        )
        for row in rows
    ]
