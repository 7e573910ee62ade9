"""The SQL of results of visits, and of who signs for a village."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.followups.ladder import Moved, PersonState, VisitResult
from service.followups.visit_store import BELOW_SQL
from service.storage import sql
from service.storage.postgres import Connection, Record, affected


class SignOff(NamedTuple):
    """Who answers for a village."""

    village: str
    signed_by: UUID
    signed_at: datetime


async def list_sign_offs(conn: Connection, followup_id: UUID) -> list[SignOff]:
    """Who signed for which villages."""
    rows = await sql.fetch(
        conn,
        """
        SELECT village, signed_by, signed_at FROM sign_offs
        WHERE followup_id = :followup_id ORDER BY village
        """,
        followup_id=followup_id,
    )
    return [SignOff(*row) for row in rows]


class VisitRow(NamedTuple):
    """A person who is to be visited, or was."""

    id: UUID
    followup_id: UUID
    area_code: str
    village: str
    state: PersonState
    not_home: int


async def find_visit(
    conn: Connection, visit_id: UUID, area: str | None = None
) -> tuple[VisitRow, bool] | None:
    """One visit, and whether it lies in an area (None: in none)."""
    row = await sql.fetchrow(
        conn,
        f"""
        WITH RECURSIVE {BELOW_SQL}
        SELECT id, followup_id, area_code, village, state, not_home,
               area_code IN (SELECT code FROM below) AS near
        FROM visits WHERE id = :visit_id
        """,  # noqa: S608  # a constant
        visit_id=visit_id,
        area=area,
    )
    if row is None:
        return None
    visit_id, followup_id, area_code, village, state, not_home, near = row
    found = VisitRow(visit_id, followup_id, area_code, village, PersonState(state), not_home)
    return found, near


class Try(NamedTuple):
    """What came of going there once. key: given by whoever wrote it down."""

    key: UUID
    result: VisitResult
    on_day: date
    by_id: UUID
    written_by: UUID
    note_cipher: bytes | None
    at: datetime
    disputed: bool = False


async def find_try(conn: Connection, visit_id: UUID, key: UUID) -> tuple[int, Try] | None:
    """What was written down under a key, and its number."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT no, key, result, on_day, by_id, written_by, note_cipher, at, disputed
        FROM visit_tries WHERE visit_id = :visit_id AND key = :key
        """,
        visit_id=visit_id,
        key=key,
    )
    if row is None:
        return None
    no, key, result, *rest = row
    return no, Try(key, VisitResult(result), *rest)


async def add_try(conn: Connection, visit_id: UUID, new: Try, moved: Moved) -> int:
    """Write down what came of a visit, and where the person stands then; returns the number of
    the try. The follow-up is locked, so nobody else is at it.
    """
    no: int = await sql.fetchval(
        conn,
        """
        INSERT INTO visit_tries (visit_id, no, key, result, on_day, by_id, written_by, note_cipher,
                                 at, disputed)
        SELECT :visit_id, coalesce(max(no), 0) + 1, :key, :result, :on_day, :by_id, :written_by,
               :note_cipher, :at, :disputed
        FROM visit_tries WHERE visit_id = :visit_id RETURNING no
        """,
        visit_id=visit_id,
        **new._replace(disputed=moved.disputed)._asdict(),
    )
    await sql.execute(
        conn,
        """
        UPDATE visits SET state = :state, not_home = :not_home, disputed = disputed OR :disputed,
            step = CASE WHEN :state = 'open' OR state <> 'open' THEN step ELSE 'visit' END
        WHERE id = :visit_id
        """,
        visit_id=visit_id,
        **moved._asdict(),
    )
    return no


async def list_tries(conn: Connection, visit_id: UUID) -> list[Record]:
    """All that was written down of visits to a person, from old to new."""
    return await sql.fetch(
        conn,
        """
        SELECT t.no, t.result, t.on_day, t.by_id, t.written_by, t.note_cipher, t.at, t.disputed,
               c.id AS correction_id
        FROM visit_tries t
        LEFT JOIN number_corrections c ON c.visit_id = t.visit_id AND c.try_no = t.no
        WHERE t.visit_id = :visit_id ORDER BY t.no
        """,
        visit_id=visit_id,
    )


async def visitors_of(conn: Connection, followup_id: UUID, village: str) -> list[UUID]:
    """Who went to people of a village, or wrote down what came of it."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT w.id FROM visits v JOIN visit_tries t ON t.visit_id = v.id,
            LATERAL (VALUES (t.by_id), (t.written_by)) AS w(id)
        WHERE v.followup_id = :followup_id AND v.village = :village
        """,
        followup_id=followup_id,
        village=village,
    )
    return [row["id"] for row in rows]


async def insert_sign_off(
    conn: Connection,
    followup_id: UUID,
    village: str,
    by: UUID,
    note_cipher: bytes | None,
    now: datetime,
) -> bool:
    """Sign for a village; returns whether nobody had."""
    status = await sql.execute(
        conn,
        """
        INSERT INTO sign_offs (followup_id, village, signed_by, signed_at, note_cipher)
        VALUES (:followup_id, :village, :by, :now, :note_cipher) ON CONFLICT DO NOTHING
        """,
        followup_id=followup_id,
        village=village,
        by=by,
        now=now,
        note_cipher=note_cipher,
    )
    return affected(status) == 1
