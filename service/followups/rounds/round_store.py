"""The SQL of household rounds, their texts and their villages."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, affected


class RoundState(StrEnum):
    """Where a round stands. expired: nobody ended it, and its labels have gone."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class DueDays(NamedTuple):
    """The days on which a round is due, both among them; None: whichever."""

    first: date | None = None
    last: date | None = None


WHENEVER = DueDays()


class NewRound(NamedTuple):
    """A round that is to begin. version_ids: of the texts that are read out, in their order."""

    department_id: UUID
    name: str
    area_code: str
    starts_on: date
    due_on: date
    with_towns: bool
    version_ids: Sequence[UUID]


class VisitRound(NamedTuple):
    """A round. texts: how many are read out."""

    id: UUID
    department_id: UUID
    name: str
    area_code: str
    starts_on: date
    due_on: date
    with_towns: bool
    state: RoundState
    started_by: UUID
    started_at: datetime
    ended_at: datetime | None
    ended_why: str
    labels_dropped: bool
    texts: int


class RoundText(NamedTuple):
    """A text that is read out."""

    no: int
    template_id: UUID
    template: str
    version: int
    text: str


class RoundVillage(NamedTuple):
    """A village of a round, and who answers for it."""

    village: str
    signed_by: UUID | None
    signed_at: datetime | None


_ROUND = """
    SELECT r.id, r.department_id, r.name, r.area_code, r.starts_on, r.due_on, r.with_towns, r.state,
           r.started_by, r.started_at, r.ended_at, r.ended_why, r.labels_dropped,
           (SELECT count(*) FROM visit_round_texts t WHERE t.round_id = r.id)::int AS texts
    FROM visit_rounds r
"""


async def insert_round(
    conn: Connection, new: NewRound, villages: Sequence[str], by: UUID, now: datetime
) -> UUID:
    """Begin a round in these villages."""
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on, with_towns,
                                  started_by, started_at)
        VALUES (:department_id, :name, :area_code, :starts_on, :due_on, :with_towns, :by, :now)
        RETURNING id
        """,
        **{name: value for name, value in new._asdict().items() if name != "version_ids"},
        by=by,
        now=now,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO visit_round_texts (round_id, no, version_id)
        SELECT :round_id, t.no, t.id
        FROM unnest(:version_ids::uuid[]) WITH ORDINALITY AS t(id, no)
        """,
        round_id=made,
        version_ids=list(new.version_ids),
    )
    await sql.execute(
        conn,
        """
        INSERT INTO visit_round_villages (round_id, village)
        SELECT :round_id, unnest(:villages::text[])
        """,
        round_id=made,
        villages=list(villages),
    )
    return made


async def villages_of(conn: Connection, area: str) -> list[str]:
    """The villages of an area, itself if it is one."""
    rows = await sql.fetch(
        conn,
        """
        SELECT a.code FROM areas_within(:area) w(code) JOIN areas a USING (code)
        WHERE a.level IN ('village', 'community') ORDER BY a.code
        """,
        area=area,
    )
    return [row["code"] for row in rows]


async def approved_version(
    conn: Connection, template_id: UUID, version: int, scope: UUID | None
) -> tuple[UUID, str] | None:
    """A version of a template that somebody approved and nobody has withdrawn, and its text; None:
    there is none in the scope.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT v.id, v.text FROM template_versions v JOIN templates t ON t.id = v.template_id
        WHERE v.template_id = :template_id AND v.no = :version AND v.approved_at IS NOT NULL
          AND withdrawn_offer_of(v.id) IS NULL
          AND (:scope::uuid IS NULL OR t.department_id = :scope)
        """,
        template_id=template_id,
        version=version,
        scope=scope,
    )
    return None if row is None else (row["id"], row["text"])


async def find_round(
    conn: Connection, round_id: UUID, lock: str | None = None
) -> VisitRound | None:
    """One round. lock: "share": it is not ended meanwhile; "update": nobody else is at it."""
    suffix = {None: "", "share": "FOR SHARE OF r", "update": "FOR UPDATE OF r"}[lock]
    row = await sql.fetchrow(conn, f"{_ROUND} WHERE r.id = :id {suffix}", id=round_id)
    return None if row is None else _round(row)


async def list_rounds(
    conn: Connection,
    scope: UUID | None,
    near: tuple[UUID, str | None],
    *,
    state: str | None,
    before: UUID | None,
    limit: int,
    due: DueDays = WHENEVER,
) -> list[VisitRound]:
    """A page of rounds, from new to old: those of a department (None: of all), and those in which
    the other department, with its area, is asked to visit.

    near: a department and its area; None: it has none.
    """
    department_id, area = near
    rows = await sql.fetch(
        conn,
        f"""
        {_ROUND}
        WHERE (:scope::uuid IS NULL OR r.department_id = :scope
               OR r.with_towns AND r.department_id <> :near AND EXISTS (
                   SELECT FROM areas_within(:area) w(code)
                   JOIN visit_round_villages v ON v.round_id = r.id AND v.village = w.code))
          AND (:state::text IS NULL OR r.state = :state)
          AND (:due_from::date IS NULL OR r.due_on >= :due_from)
          AND (:due_until::date IS NULL OR r.due_on <= :due_until)
          AND (:before::uuid IS NULL OR r.id < :before)
        ORDER BY r.id DESC LIMIT :limit
        """,
        scope=scope,
        near=department_id,
        area=area,
        state=state,
        due_from=due.first,
        due_until=due.last,
        before=before,
        limit=limit,
    )
    return [_round(row) for row in rows]


def _round(row: object) -> VisitRound:
    found = VisitRound(*row)  # type: ignore[misc]  # a row is a sequence
    return found._replace(state=RoundState(found.state))


async def list_texts(conn: Connection, round_id: UUID) -> list[RoundText]:
    """The texts that are read out, in their order."""
    rows = await sql.fetch(
        conn,
        """
        SELECT x.no, t.id, t.name, v.no, v.text
        FROM visit_round_texts x JOIN template_versions v ON v.id = x.version_id
        JOIN templates t ON t.id = v.template_id
        WHERE x.round_id = :round_id ORDER BY x.no
        """,
        round_id=round_id,
    )
    return [RoundText(*row) for row in rows]


async def list_villages(
    conn: Connection, round_id: UUID, area: str | None, *, bounded: bool
) -> list[RoundVillage]:
    """The villages of a round by their codes. bounded: only those of `area`."""
    rows = await sql.fetch(
        conn,
        """
        SELECT village, signed_by, signed_at FROM visit_round_villages
        WHERE round_id = :round_id
          AND (NOT :bounded OR village IN (SELECT areas_within(:area)))
        ORDER BY village
        """,
        round_id=round_id,
        bounded=bounded,
        area=area,
    )
    return [RoundVillage(*row) for row in rows]


async def lock_villages(conn: Connection, round_id: UUID, villages: Sequence[str]) -> set[str]:
    """Let nobody else write in these villages of a round, nor sign for them, until the end of the
    transaction; returns those that are signed off.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT village, signed_by FROM visit_round_villages
        WHERE round_id = :round_id AND village = ANY (:villages) ORDER BY village FOR UPDATE
        """,
        round_id=round_id,
        villages=list(villages),
    )
    return {row["village"] for row in rows if row["signed_by"] is not None}


async def visitors_of(conn: Connection, round_id: UUID, village: str) -> list[UUID]:
    """Who went to households of a village, or wrote down what came of it."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT w.id FROM households h JOIN household_tries t ON t.household_id = h.id,
            LATERAL (VALUES (t.by_id), (t.written_by)) AS w(id)
        WHERE h.round_id = :round_id AND h.village = :village
        """,
        round_id=round_id,
        village=village,
    )
    return [row["id"] for row in rows]


async def sign_village(
    conn: Connection,
    round_id: UUID,
    village: str,
    by: UUID,
    note_cipher: bytes | None,
    now: datetime,
) -> bool:
    """Sign for a village; returns whether nobody had."""
    status = await sql.execute(
        conn,
        """
        UPDATE visit_round_villages
        SET signed_by = :by, signed_at = :now, note_cipher = :note_cipher
        WHERE round_id = :round_id AND village = :village AND signed_by IS NULL
        """,
        round_id=round_id,
        village=village,
        by=by,
        now=now,
        note_cipher=note_cipher,
    )
    return affected(status) == 1


async def is_signed(conn: Connection, round_id: UUID) -> bool:
    """Whether every village of a round is signed off."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT NOT EXISTS (SELECT FROM visit_round_villages
                           WHERE round_id = :round_id AND signed_by IS NULL)
        """,
        round_id=round_id,
    )
    return found


async def set_state(
    conn: Connection, round_id: UUID, state: RoundState, now: datetime, why: str = ""
) -> None:
    """End a round. why: of one that somebody ends before its end."""
    await sql.execute(
        conn,
        """
        UPDATE visit_rounds SET state = :state, ended_at = :now, ended_why = :why
        WHERE id = :round_id
        """,
        round_id=round_id,
        state=state,
        why=why,
        now=now,
    )
