"""Who is a department's liaison and its leader in charge, now and before, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection

Duty = Literal["liaison", "leader"]
DUTIES: tuple[Duty, ...] = ("liaison", "leader")
"""liaison: who is told what a department owes. leader: the leader in charge, who is told when it is
late.
"""

MOST_HISTORY = 50
"""So many of those who had a duty before are shown."""


class PersonCiphers(NamedTuple):
    """A person as they are stored."""

    name_cipher: bytes
    phone_cipher: bytes
    phone_hash: bytes


class DutyPerson(NamedTuple):
    """Somebody who has a duty, or had it; of somebody erased or long gone, no cipher is kept."""

    id: UUID
    department_id: UUID
    duty: Duty
    name_cipher: bytes | None
    phone_cipher: bytes | None
    phone_hash: bytes | None
    since: datetime
    until: datetime | None
    set_by: UUID


class WithoutPeople(NamedTuple):
    """A department of which one or both duties are nobody's."""

    id: UUID
    name: str
    kind: str
    missing: Sequence[Duty]


_PERSON = """
    SELECT id, department_id, duty, name_cipher, phone_cipher, phone_hash, since, until, set_by
    FROM department_people
"""


async def on_duty(conn: Connection, department_id: UUID) -> dict[Duty, DutyPerson]:
    """Who has which duty of a department now."""
    rows = await sql.fetch(
        conn,
        _PERSON + "WHERE department_id = :department_id AND until IS NULL",
        department_id=department_id,
    )
    return {row["duty"]: DutyPerson(**row) for row in rows}


async def former(conn: Connection, department_id: UUID) -> list[DutyPerson]:
    """Who had a duty of a department before, the latest first."""
    rows = await sql.fetch(
        conn,
        _PERSON  # the columns stand above
        + """
        WHERE department_id = :department_id AND until IS NOT NULL ORDER BY id DESC LIMIT :most
        """,
        department_id=department_id,
        most=MOST_HISTORY,
    )
    return [DutyPerson(**row) for row in rows]


async def end_duty(conn: Connection, department_id: UUID, duty: Duty, now: datetime) -> None:
    """Let a duty be nobody's."""
    await sql.execute(
        conn,
        """
        UPDATE department_people SET until = :now
        WHERE department_id = :department_id AND duty = :duty AND until IS NULL
        """,
        department_id=department_id,
        duty=duty,
        now=now,
    )


async def begin_duty(
    conn: Connection,
    department_id: UUID,
    duty: Duty,
    person: PersonCiphers,
    by: tuple[UUID, datetime],
) -> None:
    """Give somebody a duty that is nobody's."""
    set_by, now = by
    await sql.execute(
        conn,
        """
        INSERT INTO department_people (department_id, duty, name_cipher, phone_cipher, phone_hash,
                                       since, set_by)
        VALUES (:department_id, :duty, :name_cipher, :phone_cipher, :phone_hash, :now, :set_by)
        """,
        department_id=department_id,
        duty=duty,
        **person._asdict(),
        now=now,
        set_by=set_by,
    )


async def find_contact(
    conn: Connection, contact_id: UUID, department_id: UUID
) -> tuple[bytes | None, bytes, bytes] | None:
    """The ciphers of name and phone of a department's contact, and the phone's hash."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT name_cipher, phone_cipher, phone_hash FROM contacts
        WHERE id = :contact_id AND department_id = :department_id
        """,
        contact_id=contact_id,
        department_id=department_id,
    )
    return None if row is None else (row["name_cipher"], row["phone_cipher"], row["phone_hash"])


async def without_people(
    conn: Connection, scope: Sequence[UUID] | None, before: UUID | None, limit: int
) -> list[WithoutPeople]:
    """A page of departments of which a duty is nobody's, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id, d.name, d.kind, m.missing
        FROM departments d, LATERAL (
            SELECT array_agg(u.duty ORDER BY u.no) AS missing
            FROM unnest(:duties::text[]) WITH ORDINALITY AS u(duty, no)
            WHERE NOT EXISTS (SELECT FROM department_people p
                              WHERE p.department_id = d.id AND p.duty = u.duty
                                AND p.until IS NULL)) m
        WHERE m.missing IS NOT NULL AND (:scope::uuid[] IS NULL OR d.id = ANY (:scope))
          AND (:before::uuid IS NULL OR d.id < :before)
        ORDER BY d.id DESC LIMIT :limit
        """,
        duties=list(DUTIES),
        scope=scope,
        before=before,
        limit=limit,
    )
    return [WithoutPeople(**row) for row in rows]
