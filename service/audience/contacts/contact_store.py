"""Persons in SQL: read with their provenance, corrected by hand, removed.

Whose person it is stands in every statement. `scope` is the department of whoever asks, or None for
a county's administrators; also these do not see the subscribers of a carrier, who are nobody's to
see but the carrier's (Personal Information Protection Law, articles 21 and 23).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from service.audience.contacts.contact import Contact, RosterEntry
from service.audience.rosters.roster_store import shown_evidence
from service.audience.vocabulary.fields import PERSON_COLUMNS, SHOWN_FIELDS
from service.crypto import Keyring
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

_VISIBLE = """
    (c.department_id = :asker OR (:everywhere AND NOT EXISTS (
        SELECT FROM departments d WHERE d.id = c.department_id AND d.kind = 'carrier')))
"""
"""`:asker`: the asker's department; `:everywhere`: whether they see all departments."""

_CONTACT = f"""
    SELECT c.id, c.department_id, c.phone_cipher,
           {", ".join(f"c.{column}" for column in PERSON_COLUMNS)},
           coalesce(v.carrier, c.carrier) AS carrier, c.listed, c.version, c.created_at,
           c.updated_at, c.edited_at, c.edited_by,
           ARRAY(SELECT DISTINCT r.role FROM links l, unnest(l.roles) AS r(role)
                 WHERE l.contact_id = c.id AND l.left_by IS NULL ORDER BY r.role) AS roles,
           ARRAY(SELECT t.tag FROM contact_tags t WHERE t.contact_id = c.id
                 UNION SELECT t.tag FROM links l, unnest(l.tags) AS t(tag)
                 WHERE l.contact_id = c.id AND l.left_by IS NULL ORDER BY tag) AS tags
    FROM contacts c LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash
"""  # noqa: S608  # names of columns


async def list_contacts(
    conn: Connection,
    keyring: Keyring,
    asker: UUID,
    before: UUID | None,
    limit: int,
    *,
    everywhere: bool,
    roster: str | None,
    tag: str | None,
) -> list[Contact]:
    """A page of persons, from new to old; `roster` and `tag` keep those on it or with it."""
    rows = await sql.fetch(
        conn,
        f"""
        {_CONTACT} WHERE {_VISIBLE} AND (:before::uuid IS NULL OR c.id < :before)
          AND (:roster::text IS NULL OR EXISTS (
            SELECT FROM links l JOIN rosters r ON r.id = l.roster_id
            WHERE l.contact_id = c.id AND l.left_by IS NULL AND r.name = :roster))
          AND (:tag::text IS NULL OR EXISTS (
            SELECT FROM contact_tags t WHERE t.contact_id = c.id AND t.tag = :tag
            UNION ALL SELECT FROM links l
            WHERE l.contact_id = c.id AND l.left_by IS NULL AND :tag = ANY (l.tags)))
        ORDER BY c.id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        asker=asker,
        everywhere=everywhere,
        before=before,
        limit=limit,
        roster=roster,
        tag=tag,
    )
    return [_contact(row, keyring) for row in rows]


async def get_contact(
    conn: Connection,
    keyring: Keyring,
    asker: UUID,
    contact_id: UUID,
    *,
    everywhere: bool,
    lock: bool,
) -> Contact | None:
    """One person whom the asker sees; lock: to the end of the transaction."""
    row = await sql.fetchrow(
        conn,
        f"{_CONTACT} WHERE {_VISIBLE} AND c.id = :contact_id" + " FOR UPDATE OF c" * lock,
        asker=asker,
        everywhere=everywhere,
        contact_id=contact_id,
    )
    return _contact(row, keyring) if row else None


async def find_contacts(
    conn: Connection, keyring: Keyring, asker: UUID, phone_hash: bytes, *, everywhere: bool
) -> list[Contact]:
    """The persons of this number whom the asker sees: one in a department at most."""
    # The index on department and hash is for the number within each department.
    rows = await sql.fetch(
        conn,
        f"""
        {_CONTACT} WHERE {_VISIBLE} AND c.phone_hash = :phone_hash
          AND c.department_id = ANY (ARRAY(SELECT id FROM departments))
        ORDER BY c.id DESC
        """,  # noqa: S608  # constants
        asker=asker,
        everywhere=everywhere,
        phone_hash=phone_hash,
    )
    return [_contact(row, keyring) for row in rows]


async def find_contact(
    conn: Connection, keyring: Keyring, department_id: UUID, phone_hash: bytes
) -> Contact | None:
    """The person of this number in a department."""
    row = await sql.fetchrow(
        conn,
        f"{_CONTACT} WHERE c.department_id = :department_id AND c.phone_hash = :phone_hash",
        department_id=department_id,
        phone_hash=phone_hash,
    )
    return _contact(row, keyring) if row else None


async def holder_of_contact(conn: Connection, contact_id: UUID) -> UUID | None:
    """The department that holds a person; None: there is none of this id."""
    holder: UUID | None = await sql.fetchval(
        conn, "SELECT department_id FROM contacts WHERE id = :contact_id", contact_id=contact_id
    )
    return holder


async def subscriber_base(conn: Connection, department_id: UUID) -> str | None:
    """The carrier whose subscribers a department's people are; None: they are the people of a
    list like any other. Whoever asks for single people of another's base must be refused.
    """
    carrier: str | None = await sql.fetchval(
        conn,
        "SELECT carrier FROM departments WHERE id = :department_id AND kind = 'carrier'",
        department_id=department_id,
    )
    return carrier


async def list_entries(conn: Connection, keyring: Keyring, contact_id: UUID) -> list[RosterEntry]:
    """What each list says of a person, in the order in which it came, with those that ended."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT r.name AS roster, {", ".join(f"l.{field.column}" for field in SHOWN_FIELDS)},
               l.import_id, coalesce(i.file_name, '') AS file_name, l.row_no AS row,
               i.created_by AS imported_by, i.created_at AS imported_at, l.left_at, l.last_day,
               {shown_evidence("i", "r")}
        FROM links l JOIN rosters r ON r.id = l.roster_id
        LEFT JOIN imports i ON i.id = l.import_id
        WHERE l.contact_id = :contact_id ORDER BY l.id
        """,  # noqa: S608  # names of columns
        contact_id=contact_id,
    )
    return [_entry(row, keyring) for row in rows]


async def correct_contact(
    conn: Connection,
    contact_id: UUID,
    columns: Mapping[str, Any],
    user_id: UUID,
    now: datetime,
) -> None:
    """Set columns of a person (of `CORRECTABLE`) by hand; lists do not change these any more."""
    unknown = set(columns) - CORRECTABLE
    if unknown:
        raise ValueError(f"not to be corrected: {unknown}")
    places = "".join(f", {name} = :{name}" for name in columns)
    await sql.execute(
        conn,
        f"""
        UPDATE contacts
        SET version = version + 1, edited_at = :now, edited_by = :user_id, updated_at = :now{places}
        WHERE id = :contact_id
        """,  # noqa: S608  # names of CORRECTABLE only
        contact_id=contact_id,
        now=now,
        user_id=user_id,
        **columns,
    )


CORRECTABLE = frozenset({*PERSON_COLUMNS, "carrier"})


async def set_tags(conn: Connection, contact_id: UUID, tags: Sequence[str], now: datetime) -> None:
    """Let a person have exactly these tags of the department's own; those of lists stay."""
    await sql.execute(
        conn,
        "DELETE FROM contact_tags WHERE contact_id = :contact_id AND tag <> ALL (:tags)",
        contact_id=contact_id,
        tags=tags,
    )
    await add_tags(conn, contact_id, tags, now)


async def add_tags(conn: Connection, contact_id: UUID, tags: Sequence[str], now: datetime) -> None:
    """Give a person these tags, too."""
    await sql.execute(
        conn,
        """
        INSERT INTO contact_tags (contact_id, tag, created_at)
        SELECT :contact_id, tag, :now FROM unnest(:tags::text[]) AS t(tag) ON CONFLICT DO NOTHING
        """,
        contact_id=contact_id,
        tags=tags,
        now=now,
    )


async def remove_contacts(conn: Connection, contact_ids: Sequence[UUID]) -> int:
    """Take persons off all lists of their department, with tags and all that lists say of them;
    returns how many there were. Ledgers and suppressions stay as they are.
    """
    return affected(
        await sql.execute(
            conn, "DELETE FROM contacts WHERE id = ANY(:contact_ids)", contact_ids=contact_ids
        )
    )


def _contact(row: Record, keyring: Keyring) -> Contact:
    values = {name: value for name, value in row.items() if not name.endswith("_cipher")}
    return Contact(
        phone=keyring.decrypt("phone", row["phone_cipher"]),
        name=_decrypted(keyring, "name", row["name_cipher"]),
        **values,
    )


def _entry(row: Record, keyring: Keyring) -> RosterEntry:
    said = {
        field.code: _decrypted(keyring, field.code, row[field.column])
        if field.encrypted
        else row[field.column]
        for field in SHOWN_FIELDS
    }
    columns = {field.column for field in SHOWN_FIELDS}
    others = {name: value for name, value in row.items() if name not in columns}
    return RosterEntry(said=said, **others)


def _decrypted(keyring: Keyring, kind: str, cipher: bytes | None) -> str:
    return keyring.decrypt(kind, cipher) if cipher else ""
