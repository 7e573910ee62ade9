"""The SQL of rosters as users see them: on what each rests, until when, and who is on it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.imports.membership_store import EVIDENCE
from service.audience.rosters.count_store import CHANGES_OF, COUNTED
from service.audience.segments.segment_sql import holds_on
from service.audience.vocabulary.consent import CONSENT
from service.storage import sql
from service.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class Roster:
    """An imported list, the number of people on it, and its latest import with what it changed.

    kind: subscriber_base, of a carrier, which nobody else may see the people of; else department.
    unshown: how many people are on it by a consent that nothing shows.
    """

    id: UUID
    department_id: UUID
    name: str
    kind: str
    basis: str
    purpose: str
    evidence: str
    evidence_on: date | None
    evidence_by: str
    evidence_how: str | None
    evidence_form: str
    expires_on: date
    expired: bool
    created_at: datetime
    confirmed_at: datetime | None
    confirmed_by: UUID | None
    contacts: int
    unshown: int
    latest: dict[str, Any] | None


class RosterTerms(NamedTuple):
    """On what a roster rests, and until when."""

    id: UUID
    basis: str
    expires_on: date
    purpose: str
    evidence: str
    evidence_on: date | None
    evidence_by: str
    evidence_how: str | None
    evidence_form: str


def shown_evidence(imported: str, roster: str) -> str:
    """SQL columns: what shows the consent of whom a row of an import put on a roster, and whether
    that was said of the import or of the roster as a whole; `evidence_of` null: nothing shows one.
    """
    columns = [
        f"CASE WHEN {imported}.evidence <> '' THEN {imported}.{name} ELSE {roster}.{name} END"
        f" AS {name}"
        for name in EVIDENCE
    ]
    whose = f"""CASE WHEN {imported}.evidence <> '' THEN 'import'
                     WHEN {roster}.evidence <> '' THEN 'roster' END AS evidence_of"""
    return ", ".join((*columns, whose))


async def get_roster(
    conn: Connection, department_id: UUID, name: str, *, lock: bool = False
) -> RosterTerms | None:
    """The terms of a department's roster of this name."""
    query = f"""
        SELECT id, basis, expires_on, purpose, {", ".join(EVIDENCE)} FROM rosters
        WHERE department_id = :department_id AND name = :name
    """  # noqa: S608  # names of columns
    row = await sql.fetchrow(
        conn, query + " FOR UPDATE" * lock, department_id=department_id, name=name
    )
    return RosterTerms(*row) if row else None


async def confirm_roster(
    conn: Connection, terms: RosterTerms, user_id: UUID, now: datetime
) -> None:
    """Let a roster rest on these terms, confirmed by a person."""
    await sql.execute(
        conn,
        """
        UPDATE rosters SET basis = :basis, expires_on = :expires_on, purpose = :purpose,
            evidence = :evidence, evidence_on = :evidence_on, evidence_by = :evidence_by,
            evidence_how = :evidence_how, evidence_form = :evidence_form, confirmed_by = :user_id,
            confirmed_at = :now
        WHERE id = :id
        """,
        **terms._asdict(),
        user_id=user_id,
        now=now,
    )


async def list_rosters(
    conn: Connection,
    scope: UUID | None,
    before: UUID | None,
    limit: int,
    today: date,
    *,
    name: str | None = None,
) -> list[Roster]:
    """A page of rosters, each with the latest import in force; `name` means that one alone.

    The entries of a list are counted where it has changed since they were counted last.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT r.id, r.department_id, r.name, r.basis, r.purpose,
               {", ".join(f"r.{name}" for name in EVIDENCE)},
               r.expires_on, NOT {holds_on("r", ":today")} AS expired, r.created_at, r.confirmed_at,
               r.confirmed_by, i.latest,
               CASE WHEN d.kind = 'carrier' THEN 'subscriber_base' ELSE 'department' END AS kind,
               coalesce(k.people, p.people) AS contacts,
               CASE WHEN r.basis = '{CONSENT}' AND r.evidence = ''
                    THEN coalesce(k.bare, p.bare) ELSE 0 END AS unshown
        FROM (SELECT * FROM rosters r
              WHERE (:scope::uuid IS NULL OR r.department_id = :scope)
                AND (:before::uuid IS NULL OR r.id < :before)
                AND (:name::text IS NULL OR r.name = :name)
              ORDER BY r.id DESC LIMIT :limit) r  -- all that follows is asked for these alone
        JOIN departments d ON d.id = r.department_id
        CROSS JOIN LATERAL ({CHANGES_OF.format("r.id")}) v
        LEFT JOIN roster_counts k ON k.roster_id = r.id AND k.changes = v.changes
        CROSS JOIN LATERAL ({COUNTED.format("r.id")} AND k.roster_id IS NULL) p
        LEFT JOIN LATERAL (
            SELECT report->'stored'->'members'
                   || jsonb_build_object('import_id', id, 'at', finished_at) AS latest
            FROM imports
            WHERE department_id = r.department_id AND roster = r.name AND state = 'done'
              AND NOT dry_run AND undone_at IS NULL
            ORDER BY id DESC LIMIT 1
        ) AS i ON true
        ORDER BY r.id DESC
        """,  # noqa: S608  # names of columns
        scope=scope,
        before=before,
        limit=limit,
        today=today,
        name=name,
    )
    return [Roster(**row) for row in rows]
