"""The SQL of suppressions: numbers that are not sent texts of some classes, kept as keyed hashes.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.errors import NotFound
from service.ledger.reasons import Reason
from service.storage import sql
from service.storage.postgres import Connection, Record, affected, one
from service.words.phrase import phrase


@dataclass(frozen=True, slots=True)
class Suppression:
    """A number that is not sent texts of some classes; the number itself is not kept, only its
    keyed hash.

    owner: who answers for a protected number. source: person, list, reply, receipts.
    note: the program's words. note_cipher: a person's, if any; see `suppression.with_note`.
    department_id, department: the one whose work notices an opt-out stops; None: everybody's.
    """

    id: UUID
    reason: str
    classes: list[str]
    owner: str
    source: str
    note: str
    note_cipher: bytes | None
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    department_id: UUID | None
    department: str | None


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """Why, which classes, by whom and until when numbers are not to be sent; None: for good.

    note_cipher: what a person noted (`suppression.encrypted_note`). department_id: as of a
    suppression. entry_id: by which entry; None: of the machine, a reply or receipts.
    """

    reason: str
    classes: Sequence[str]
    created_by: UUID | None
    expires_at: datetime | None
    note_cipher: bytes = b""
    owner: str = ""
    source: str = "person"
    department_id: UUID | None = None
    entry_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """Which suppressions: those of the scope, of one number, for one reason, that stop one class,
    of one department's notices alone, that are in force at an instant. None: whatever it is.

    Of a scope are those of its own work notices, and else those that its users made.
    """

    scope: UUID | None = None
    phone_hash: bytes | None = None
    reason: str | None = None
    message_class: str | None = None
    department_id: UUID | None = None
    in_force_at: datetime | None = None


def stops(suppression: str, message_class: str, department: str, now: str) -> str:
    """SQL: whether a suppression holds at an instant for texts of this class that this department
    sends. Publicity that was refused stops whoever sends it; work notices may be those of one.
    """
    return f"""{message_class} = ANY ({suppression}.classes)
        AND ({suppression}.expires_at IS NULL OR {suppression}.expires_at > {now})
        AND ({suppression}.department_id IS NULL OR {suppression}.department_id = {department}
             OR {message_class} <> 'service')"""


_DEPARTMENT = "(SELECT name FROM departments WHERE id = s.department_id) AS department"


def merged(now: str) -> str:
    """SQL: what becomes of a suppression `s` when another one of the same number, reason and
    department is entered: the more of both. It is never shortened, and stops what it stopped
    before as well.

    One that only followed from receipts is from then on the word of whoever says so; a person's
    own word in a reply belongs to no department. One that has passed is no more: the new one takes
    its place whole. Where another department's entry has it, the new entry is kept as the second.
    """
    passed = f"s.expires_at <= {now}"
    said = f"{passed} OR s.source = 'receipts' OR excluded.source = 'reply'"
    entered = "(SELECT department_id FROM suppression_entries WHERE id = {}.entry_id)"
    return f"""
        entry_id = CASE WHEN {said} THEN excluded.entry_id ELSE s.entry_id END,
        second_entry_id = CASE
            WHEN {said} THEN NULL
            WHEN s.second_entry_id IS NULL AND s.entry_id IS NOT NULL
                 AND {entered.format("s")} <> {entered.format("excluded")}
            THEN excluded.entry_id ELSE s.second_entry_id END,
        id = CASE WHEN {passed} THEN excluded.id ELSE s.id END,
        note = CASE WHEN {passed} THEN excluded.note ELSE s.note END,
        note_cipher = CASE WHEN {passed} THEN excluded.note_cipher ELSE s.note_cipher END,
        owner = CASE WHEN {passed} THEN excluded.owner
                     ELSE coalesce(nullif(excluded.owner, ''), s.owner) END,
        source = CASE WHEN {said} THEN excluded.source ELSE s.source END,
        created_by = CASE WHEN {said} THEN excluded.created_by ELSE s.created_by END,
        created_at = CASE WHEN {passed} THEN excluded.created_at ELSE s.created_at END,
        classes = CASE WHEN {passed} THEN excluded.classes
                       ELSE ARRAY(SELECT DISTINCT c FROM unnest(s.classes || excluded.classes)
                                      AS u(c) ORDER BY c) END,
        expires_at = CASE WHEN s.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
                          ELSE greatest(s.expires_at, excluded.expires_at) END
    """  # noqa: S608  # constants and a placeholder


IS_NEW = "old.id IS DISTINCT FROM s.id AS is_new"
"""SQL: whether there was none in force before."""

_INSERT = f"""
    INSERT INTO suppressions AS s (phone_hash, reason, note_cipher, created_by, created_at,
                                   expires_at, classes, owner, source, department_id, entry_id)
    SELECT DISTINCT u.phone_hash, :reason, :note_cipher::bytea, :created_by::uuid,
           :now::timestamptz, :expires_at::timestamptz, :classes::text[],
           :owner, :source, :department_id::uuid, :entry_id::uuid
    FROM unnest(:phone_hashes::bytea[]) AS u (phone_hash) ORDER BY 1
    ON CONFLICT (phone_hash, reason, department_id) DO UPDATE SET {merged(":now")}
"""  # noqa: S608  # constants


def _row(phone_hashes: Iterable[bytes], new: NewSuppression, now: datetime) -> dict[str, Any]:
    return {
        "phone_hashes": list(phone_hashes),
        "reason": new.reason,
        "note_cipher": new.note_cipher,
        "created_by": new.created_by,
        "now": now,
        "expires_at": new.expires_at,
        "classes": list(new.classes),
        "owner": new.owner,
        "source": new.source,
        "department_id": new.department_id,
        "entry_id": new.entry_id,
    }


async def insert_suppressions(
    conn: Connection, phone_hashes: Iterable[bytes], new: NewSuppression, now: datetime
) -> dict[bytes, tuple[Suppression, bool]]:
    """Stop these classes to these numbers; each with its suppression and whether that is new. What
    becomes of one that exists already says `merged`.
    """
    rows = await sql.fetch(
        conn,
        f"{_INSERT} RETURNING s.*, {_DEPARTMENT}, {IS_NEW}",
        **_row(phone_hashes, new, now),
    )
    return {row["phone_hash"]: (_suppression(row), row["is_new"]) for row in rows}


async def enter_suppressions(
    conn: Connection, phone_hashes: Iterable[bytes], new: NewSuppression, now: datetime
) -> tuple[int, int]:
    """The same for many numbers; returns how many there are, and how many of them are new."""
    row = await sql.fetchrow(
        conn,
        f"""
        WITH made AS ({_INSERT} RETURNING {IS_NEW})
        SELECT count(*) AS numbers, count(*) FILTER (WHERE is_new) AS added FROM made
        """,  # noqa: S608  # a constant
        **_row(phone_hashes, new, now),
    )
    counts = one(row)
    return counts["numbers"], counts["added"]


def _of(scope: str) -> str:
    """SQL: whether a suppression `s`, entered by `u`, is of a scope; see `SuppressionFilter`."""
    return f"({scope}::uuid IS NULL OR coalesce(s.department_id, u.department_id) = {scope})"


_WHICH = f"""
    SELECT s.*, {_DEPARTMENT} FROM suppressions s LEFT JOIN users u ON u.id = s.created_by
    WHERE {_of(":scope")}
      AND (:phone_hash::bytea IS NULL OR s.phone_hash = :phone_hash)
      AND (:reason::text IS NULL OR s.reason = :reason)
      AND (:message_class::text IS NULL OR :message_class = ANY (s.classes))
      AND (:department_id::uuid IS NULL OR s.department_id = :department_id)
      AND (:in_force_at::timestamptz IS NULL OR s.expires_at IS NULL OR s.expires_at > :in_force_at)
"""  # noqa: S608  # a constant


async def list_suppressions(
    conn: Connection, which: SuppressionFilter, before: UUID | None, limit: int
) -> list[Suppression]:
    """A page of suppressions."""
    rows = await sql.fetch(
        conn,
        f"{_WHICH} AND (:before::uuid IS NULL OR s.id < :before) ORDER BY s.id DESC LIMIT :limit",
        **asdict(which),
        before=before,
        limit=limit,
    )
    return [_suppression(row) for row in rows]


async def each_suppression(
    conn: Connection, which: SuppressionFilter
) -> AsyncIterator[tuple[bytes, Suppression]]:
    """All of them with the keyed hash of the number, read as they are asked for; needs a
    transaction.
    """
    query = f"{_WHICH} ORDER BY s.id DESC"
    async for row in sql.cursor(conn, query, prefetch=500, **asdict(which)):
        yield row["phone_hash"], _suppression(row)


async def count_suppressions(conn: Connection, which: SuppressionFilter) -> int:
    """How many there are."""
    query = f"SELECT count(*) FROM ({_WHICH}) s"  # noqa: S608  # a constant
    count: int = await sql.fetchval(conn, query, **asdict(which))
    return count


async def insert_export(
    conn: Connection, user_id: UUID | None, reason: str, suppressions: int, now: datetime
) -> UUID:
    """Write down that somebody took the list out, and why; returns the record's id."""
    export_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO suppression_exports (exported_by, reason, suppressions, exported_at)
        VALUES (:user_id, :reason, :suppressions, :now) RETURNING id
        """,
        user_id=user_id,
        reason=reason,
        suppressions=suppressions,
        now=now,
    )
    return export_id


async def delete_suppression(conn: Connection, suppression_id: UUID, scope: UUID | None) -> None:
    """Lift a suppression; what carriers said of a dead number is forgotten with it.

    Raises:
        NotFound: there is none of this id in the scope; see `SuppressionFilter`.
    """
    status = await sql.execute(
        conn,
        f"""
        WITH lifted AS MATERIALIZED (
            SELECT s.id, s.phone_hash, s.reason
            FROM suppressions s LEFT JOIN users u ON u.id = s.created_by
            WHERE s.id = :suppression_id AND {_of(":scope")}
        ), forgotten AS (
            DELETE FROM dead_reports d USING lifted l
            WHERE l.reason = '{Reason.DEAD_NUMBER}' AND d.phone_hash = l.phone_hash
        )
        DELETE FROM suppressions s USING lifted l WHERE s.id = l.id
        """,  # noqa: S608  # constants
        suppression_id=suppression_id,
        scope=scope,
    )
    if not affected(status):
        raise NotFound(
            phrase("there is no suppression {suppression_id}", suppression_id=suppression_id)
        )


async def department_name(conn: Connection, department_id: UUID) -> str:
    """What a department is called."""
    name: str = await sql.fetchval(
        conn, "SELECT name FROM departments WHERE id = :department_id", department_id=department_id
    )
    return name


def _suppression(row: Record) -> Suppression:
    return Suppression(
        id=row["id"],
        reason=row["reason"],
        classes=row["classes"],
        owner=row["owner"],
        source=row["source"],
        note=row["note"],
        note_cipher=row["note_cipher"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        department_id=row["department_id"],
        department=row["department"],
    )
