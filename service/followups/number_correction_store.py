"""The SQL of new numbers that were learned at the door."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.suppressions.suppression_store import stops
from service.audience.vocabulary.fields import PERSON_FIELDS
from service.crypto import Keyring
from service.storage import sql
from service.storage.postgres import Connection, Record


class CorrectionState(StrEnum):
    """Where a new number stands.

    superseded: another one of the same person was confirmed. lapsed: it was forgotten (erasure, or
    90 days after the end of the follow-up) before anybody decided.
    """

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    DROPPED = "dropped"
    SUPERSEDED = "superseded"
    LAPSED = "lapsed"


class NewCorrection(NamedTuple):
    """A new number, with the try that says it."""

    visit_id: UUID
    try_no: int
    department_id: UUID
    phone_hash: bytes
    phone_cipher: bytes


async def insert_correction(conn: Connection, new: NewCorrection) -> UUID:
    """Write down a new number, which nobody has confirmed."""
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO number_corrections (visit_id, try_no, department_id, phone_hash, phone_cipher)
        VALUES (:visit_id, :try_no, :department_id, :phone_hash, :phone_cipher) RETURNING id
        """,
        **new._asdict(),
    )
    return made


async def find_of_try(
    conn: Connection, visit_id: UUID, try_no: int
) -> tuple[UUID, bytes | None] | None:
    """The correction that a try said, and its number's hash (None: it is forgotten)."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT id, phone_hash FROM number_corrections
        WHERE visit_id = :visit_id AND try_no = :try_no
        """,
        visit_id=visit_id,
        try_no=try_no,
    )
    return None if row is None else (row["id"], row["phone_hash"])


async def phone_of_visit(conn: Connection, visit_id: UUID) -> bytes:
    """The keyed hash of the number of somebody who is visited."""
    found: bytes = await sql.fetchval(
        conn, "SELECT phone_hash FROM visits WHERE id = :visit_id", visit_id=visit_id
    )
    return found


async def department_of(conn: Connection, correction_id: UUID) -> UUID | None:
    """The department that decides on a correction; None: there is none of this id."""
    found: UUID | None = await sql.fetchval(
        conn,
        "SELECT department_id FROM number_corrections WHERE id = :correction_id",
        correction_id=correction_id,
    )
    return found


class LockedCorrection(NamedTuple):
    """A correction on which somebody decides. old_hash: of the number that it would replace;
    by_id, written_by: who was there (`visitor`, by name), and who wrote it down.
    """

    id: UUID
    visit_id: UUID
    department_id: UUID
    state: CorrectionState
    old_hash: bytes
    phone_hash: bytes | None
    phone_cipher: bytes | None
    by_id: UUID
    written_by: UUID
    visitor: str
    on_day: date


async def lock_correction(conn: Connection, correction_id: UUID) -> LockedCorrection | None:
    """A correction, on which nobody else decides until the end of the transaction."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT c.id, c.visit_id, c.department_id, c.state, v.phone_hash AS old_hash, c.phone_hash,
               c.phone_cipher, t.by_id, t.written_by, u.name AS visitor, t.on_day
        FROM number_corrections c JOIN visits v ON v.id = c.visit_id
            JOIN visit_tries t ON t.visit_id = c.visit_id AND t.no = c.try_no
            JOIN users u ON u.id = t.by_id
        WHERE c.id = :correction_id FOR UPDATE OF c
        """,
        correction_id=correction_id,
    )
    if row is None:
        return None
    return LockedCorrection(**{**row, "state": CorrectionState(row["state"])})


async def decide(
    conn: Connection,
    correction_id: UUID,
    state: CorrectionState,
    by: UUID,
    now: datetime,
    *,
    reason_cipher: bytes | None = None,
    import_ids: Sequence[UUID] = (),
) -> None:
    """Write down what somebody decided."""
    await sql.execute(
        conn,
        """
        UPDATE number_corrections SET state = :state, decided_by = :by, decided_at = :now,
            reason_cipher = :reason_cipher, import_ids = :import_ids
        WHERE id = :correction_id
        """,
        correction_id=correction_id,
        state=state,
        by=by,
        now=now,
        reason_cipher=reason_cipher,
        import_ids=list(import_ids),
    )


async def supersede(conn: Connection, kept: LockedCorrection, now: datetime) -> None:
    """Other new numbers of the same person wait for nobody any more."""
    await sql.execute(
        conn,
        """
        UPDATE number_corrections c SET state = 'superseded', decided_at = :now
        FROM visits v
        WHERE c.department_id = :department_id AND c.state = 'proposed' AND c.id <> :kept_id
          AND v.id = c.visit_id AND v.phone_hash = :old_hash
        """,
        department_id=kept.department_id,
        kept_id=kept.id,
        old_hash=kept.old_hash,
        now=now,
    )


async def erased_on(conn: Connection, department_id: UUID, phone_hash: bytes) -> datetime | None:
    """When whoever has a number was erased last, for this department or everywhere."""
    found: datetime | None = await sql.fetchval(
        conn,
        """
        SELECT max(erased_at) FROM erasures
        WHERE phone_hash = :phone_hash
          AND (department_id IS NULL OR department_id = :department_id)
        """,
        phone_hash=phone_hash,
        department_id=department_id,
    )
    return found


class HeldEntry(NamedTuple):
    """What a list in force says of a person. said: as the columns of a file would, as text.

    basis: of the list; last_day: to the end of which it counts; evidence …: what shows the consent.
    """

    basis: str
    last_day: date
    evidence: str
    evidence_on: date | None
    evidence_by: str
    evidence_how: str | None
    evidence_form: str
    said: dict[str, str]


_LEFT_OUT = frozenset({"carrier", "valid_until", "note", "synthetic"})
"""What was said of the old number, or of its row alone, and not of the person."""

_SAID = [field for field in PERSON_FIELDS if field.column and field.code not in _LEFT_OUT]


async def list_entries(
    conn: Connection, keyring: Keyring, contact_id: UUID, today: date
) -> list[HeldEntry]:
    """What the lists say of a person on which the department may write to them today."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {", ".join(f"l.{field.column}" for field in _SAID)}, r.basis,
               least(r.expires_on, l.last_day) AS last_day,
               e.evidence, e.evidence_on, e.evidence_by, e.evidence_how, e.evidence_form
        FROM links l JOIN rosters r ON r.id = l.roster_id
        LEFT JOIN imports i ON i.id = l.import_id,
        LATERAL (
            SELECT i.evidence, i.evidence_on, i.evidence_by, i.evidence_how, i.evidence_form
            WHERE i.evidence <> ''
            UNION ALL
            SELECT r.evidence, r.evidence_on, r.evidence_by, r.evidence_how, r.evidence_form
            LIMIT 1) e
        WHERE l.contact_id = :contact_id AND l.left_by IS NULL
          AND r.expires_on >= :today AND (l.last_day IS NULL OR l.last_day >= :today)
        ORDER BY l.id
        """,  # noqa: S608  # names of columns
        contact_id=contact_id,
        today=today,
    )
    return [
        HeldEntry(
            row["basis"],
            row["last_day"],
            row["evidence"],
            row["evidence_on"],
            row["evidence_by"],
            row["evidence_how"],
            row["evidence_form"],
            {field.code: _cell(keyring, field.code, row[field.column]) for field in _SAID},
        )
        for row in rows
    ]


def _cell(keyring: Keyring, code: str, value: Any) -> str:
    """A stored value as a cell of a file says it."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(value)
    return keyring.decrypt(code, value) if isinstance(value, bytes) else str(value)


_CORRECTION = f"""
    SELECT c.id, c.visit_id, v.followup_id, c.department_id, c.state, v.area_code, t.result,
           t.on_day, t.by_id, t.written_by, t.at, c.decided_by, c.decided_at, c.reason_cipher,
           c.phone_cipher, old.phone_cipher AS old_phone_cipher,
           coalesce(old.name_cipher, held.name_cipher) AS name_cipher,
           c.state = 'proposed' AND held.id IS NOT NULL AS held,
           CASE WHEN c.state = 'proposed' THEN held.name_cipher END AS held_name_cipher,
           c.state = 'proposed' AND EXISTS (
               SELECT FROM suppressions x, (SELECT class, department_id FROM runs
                                            WHERE id = f.root_run_id) r
               WHERE x.phone_hash = c.phone_hash
                 AND {stops("x", "r.class", "r.department_id", ":now")}) AS suppressed,
           c.state = 'proposed' AND EXISTS (
               SELECT FROM erasures x WHERE x.phone_hash = c.phone_hash
                 AND (x.department_id IS NULL OR x.department_id = c.department_id)) AS erased,
           CASE WHEN c.state = 'confirmed' THEN ARRAY(
               SELECT DISTINCT r.name FROM links l JOIN rosters r ON r.id = l.roster_id
               WHERE l.contact_id = old.id AND l.left_by IS NULL ORDER BY r.name)
               ELSE '{{}}' END AS old_number_on
    FROM page c JOIN visits v ON v.id = c.visit_id
    JOIN visit_tries t ON t.visit_id = c.visit_id AND t.no = c.try_no
    JOIN followups f ON f.id = v.followup_id
    LEFT JOIN contacts old ON old.department_id = c.department_id
        AND old.phone_hash = v.phone_hash AND NOT f.names_dropped
    LEFT JOIN contacts held ON held.department_id = c.department_id
        AND held.phone_hash = c.phone_hash
"""  # noqa: S608  # constants
"""SQL of the corrections of `page` with what is known of them now. held: the department has the
new number already; old_number_on: the lists that have the old number again.
"""


async def list_corrections(
    conn: Connection,
    scope: UUID | None,
    state: CorrectionState | None,
    page: tuple[UUID | None, int],
    now: datetime,
) -> list[Record]:
    """A page of corrections, from new to old. page: before which one, and how many."""
    before, limit = page
    return await sql.fetch(
        conn,
        f"""
        WITH page AS MATERIALIZED (
            SELECT * FROM number_corrections c
            WHERE (:scope::uuid IS NULL OR c.department_id = :scope)
              AND (:state::text IS NULL OR c.state = :state)
              AND (:before::uuid IS NULL OR c.id < :before)
              AND (:scope IS NOT NULL OR c.department_id <> ALL (ARRAY(
                  SELECT id FROM departments WHERE kind = 'carrier')))
            ORDER BY c.id DESC LIMIT :limit)
        {_CORRECTION} ORDER BY c.id DESC
        """,  # noqa: S608  # constants
        scope=scope,
        state=state,
        before=before,
        limit=limit,
        now=now,
    )


async def find_correction(
    conn: Connection, scope: UUID | None, correction_id: UUID, now: datetime
) -> Record | None:
    """One correction that somebody of this scope sees."""
    return await sql.fetchrow(
        conn,
        f"""
        WITH page AS MATERIALIZED (
            SELECT * FROM number_corrections
            WHERE id = :correction_id AND (:scope::uuid IS NULL OR department_id = :scope))
        {_CORRECTION}
        """,  # noqa: S608  # constants
        correction_id=correction_id,
        scope=scope,
        now=now,
    )


async def count_proposed(conn: Connection, department_id: UUID) -> int:
    """How many new numbers wait for somebody of the department to decide."""
    count: int = await sql.fetchval(
        conn,
        """
        SELECT count(*)::int FROM number_corrections
        WHERE department_id = :department_id AND state = 'proposed'
        """,
        department_id=department_id,
    )
    return count
