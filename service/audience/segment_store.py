"""The audience as a department plans with it: saved segments, previews, suppressions.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.accounts.model import User
from service.audience.segment_sql import CARRIER, PEOPLE, Compiled
from service.audience.segment_uses import SavedRule
from service.errors import Conflict, NotFound
from service.storage.postgres import Connection, Record, UniqueViolation, affected, one

FIRST_RULE_PARAMETER = 4
"""Previews have three parameters of their own."""

SAMPLE = 5
AGE_UNCLEAR = "age_unclear"


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved audience rule."""

    id: UUID
    department_id: UUID
    name: str
    rule: str
    edited_by: UUID
    created_at: datetime
    edited_at: datetime


@dataclass(frozen=True, slots=True)
class Suppression:
    """A number that is not sent texts of some classes; the number itself is not kept, only its
    keyed hash.
    """

    id: UUID
    reason: str
    classes: list[str]
    note: str
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """Why, which classes, by whom and until when numbers are not to be sent; None: for good."""

    reason: str
    classes: Sequence[str]
    note: str
    created_by: UUID
    expires_at: datetime | None


@dataclass(slots=True)
class Counts:
    """How many people a rule means, by town, carrier and role, and who would be left out and why.

    Somebody with several roles counts under each.
    """

    target: int = 0
    by_area: Counter[str] = field(default_factory=Counter)
    by_carrier: Counter[str] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)


async def insert_segment(
    conn: Connection, user: User, name: str, rule: str, now: datetime
) -> Segment:
    """Save a rule for the user's department.

    Raises:
        Conflict: the department has a segment of this name.
    """
    try:
        row = await conn.fetchrow(
            """
            INSERT INTO segments (department_id, name, rule, edited_by, created_at, edited_at)
            VALUES ($1, $2, $3, $4, $5, $5) RETURNING *
            """,
            user.department_id,
            name,
            rule,
            user.id,
            now,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a segment named {name} already") from error
    return Segment(**one(row))


async def update_segment(conn: Connection, segment: Segment) -> None:
    """Save a changed name, rule, editor and instant.

    Raises:
        Conflict: the department has another segment of this name.
    """
    try:
        await conn.execute(
            """
            UPDATE segments SET name = $2, rule = $3, edited_by = $4, edited_at = $5 WHERE id = $1
            """,
            segment.id,
            segment.name,
            segment.rule,
            segment.edited_by,
            segment.edited_at,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a segment named {segment.name} already") from error


async def get_segment(
    conn: Connection, segment_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Segment:
    """One segment; `lock` keeps others from editing it to the end of the transaction.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    query = "SELECT * FROM segments WHERE id = $1 AND ($2::uuid IS NULL OR department_id = $2)"
    row = await conn.fetchrow(query + " FOR UPDATE" * lock, segment_id, scope)
    if row is None:
        raise NotFound(f"there is no segment {segment_id}")
    return Segment(**row)


async def list_segments(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Segment]:
    """A page of segments."""
    rows = await conn.fetch(
        """
        SELECT * FROM segments
        WHERE ($1::uuid IS NULL OR department_id = $1) AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [Segment(**row) for row in rows]


async def lock_segments(conn: Connection, department_id: UUID) -> None:
    """Let nobody else save a rule of this department to the end of the transaction: two rules
    saved at once must not come to use each other.
    """
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('segments of ' || $1::uuid::text, 0))",
        department_id,
    )


async def list_saved_rules(
    conn: Connection, department_id: UUID, but: UUID | None = None
) -> list[SavedRule]:
    """All rules of a department, for those that use others; `but` leaves one segment out."""
    rows = await conn.fetch(
        """
        SELECT name, rule, edited_by FROM segments
        WHERE department_id = $1 AND id IS DISTINCT FROM $2 ORDER BY name
        """,
        department_id,
        but,
    )
    return [SavedRule(**row) for row in rows]


async def count_people(
    conn: Connection, department_id: UUID, condition: Compiled, message_class: str, now: datetime
) -> Counts:
    """Count whom a text of this class to those whom a compiled rule means among the department's
    contacts would reach, in one statement.
    """
    rows = await conn.fetch(
        f"""
        WITH stopped AS MATERIALIZED (
            SELECT phone_hash, min(reason) AS reason FROM suppressions
            WHERE $3 = ANY (classes) AND (expires_at IS NULL OR expires_at > $2)
            GROUP BY phone_hash
        ), judged AS (
            SELECT c.id, c.phone_hash, coalesce({CARRIER}, 'none') AS carrier,
                   coalesce(left(c.area_code, 9) || '000', 'none') AS town,
                   ({condition.sql}) AS matches
            FROM {PEOPLE} WHERE c.department_id = $1
            OFFSET 0  -- so that nobody is judged twice
        ), people AS MATERIALIZED (
            SELECT j.id, j.carrier, j.town,
                CASE WHEN matches IS NULL THEN '{AGE_UNCLEAR}' ELSE s.reason END AS excluded
            FROM judged j LEFT JOIN stopped s ON s.phone_hash = j.phone_hash
            WHERE matches IS NOT FALSE
        ), held AS (
            SELECT DISTINCT p.id, r.role
            FROM people p JOIN links l ON l.contact_id = p.id AND l.left_by IS NULL
            CROSS JOIN unnest(l.roles) AS r(role)
            WHERE p.excluded IS NULL
        )
        SELECT excluded, carrier, town, NULL AS role, count(*) AS people FROM people
        GROUP BY excluded, carrier, town
        UNION ALL
        SELECT NULL, NULL, NULL, role, count(*) FROM held GROUP BY role
        ORDER BY town, carrier, role
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        department_id,
        now,
        message_class,
        *condition.parameters,
    )
    counts = Counts()
    for row in rows:
        _add(counts, row)
    return counts


def _add(counts: Counts, row: Record) -> None:
    if row["role"]:
        counts.by_role[row["role"]] += row["people"]
        return
    if row["excluded"]:
        counts.excluded[row["excluded"]] += row["people"]
        return
    counts.target += row["people"]
    counts.by_area[row["town"]] += row["people"]
    counts.by_carrier[row["carrier"]] += row["people"]


async def sample_people(
    conn: Connection, department_id: UUID, condition: Compiled, message_class: str, now: datetime
) -> list[Record]:
    """A few of the people whom a text of this class to those whom a rule means would reach:
    phone_cipher, name_cipher, area_code, carrier. Of a carrier's subscribers, nobody is shown.
    """
    return await conn.fetch(
        f"""
        SELECT c.phone_cipher, c.name_cipher, c.area_code, {CARRIER} AS carrier FROM {PEOPLE}
        WHERE c.department_id = $1 AND ({condition.sql}) IS TRUE
          AND NOT EXISTS (
            SELECT FROM suppressions p
            WHERE p.phone_hash = c.phone_hash AND $3 = ANY (p.classes)
              AND (p.expires_at IS NULL OR p.expires_at > $2))
          AND NOT EXISTS (SELECT FROM departments d WHERE d.id = $1 AND d.kind = 'carrier')
        ORDER BY c.phone_hash LIMIT {SAMPLE}
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        department_id,
        now,
        message_class,
        *condition.parameters,
    )


async def lock_suppressions(conn: Connection) -> None:
    """Wait for every hand-off that is being marked; the next one sees what is inserted now.

    The hand-off holds this lock shared while it marks messages as leaving (invariant I7).
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('suppressions', 0))")


async def insert_suppressions(
    conn: Connection, phone_hashes: Iterable[bytes], new: NewSuppression, now: datetime
) -> dict[bytes, tuple[Suppression, bool]]:
    """Stop these classes to these numbers; each with its suppression and whether that is new.

    One that exists already is never shortened, and stops what it stopped before as well.
    """
    rows = await conn.fetch(
        """
        INSERT INTO suppressions AS s (phone_hash, reason, note, created_by, created_at, expires_at,
                                       classes)
        SELECT DISTINCT u.phone_hash, $2, $3, $4::uuid, $5::timestamptz, $6::timestamptz, $7::text[]
        FROM unnest($1::bytea[]) AS u (phone_hash) ORDER BY 1
        ON CONFLICT (phone_hash, reason) DO UPDATE SET
            classes = CASE WHEN s.expires_at <= $5 THEN excluded.classes
                           ELSE ARRAY(SELECT DISTINCT c FROM unnest(s.classes || excluded.classes)
                                          AS u(c) ORDER BY c) END,
            expires_at =
                CASE WHEN s.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
                     ELSE greatest(s.expires_at, excluded.expires_at) END
        RETURNING s.*, old.id IS NULL AS is_new
        """,
        list(phone_hashes),
        new.reason,
        new.note,
        new.created_by,
        now,
        new.expires_at,
        list(new.classes),
    )
    return {row["phone_hash"]: (_suppression(row), row["is_new"]) for row in rows}


async def list_suppressions(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int, phone_hash: bytes | None
) -> list[Suppression]:
    """A page of the suppressions that the scope's users made; `phone_hash` keeps one number's."""
    rows = await conn.fetch(
        """
        SELECT s.* FROM suppressions s LEFT JOIN users u ON u.id = s.created_by
        WHERE ($1::uuid IS NULL OR u.department_id = $1) AND ($2::uuid IS NULL OR s.id < $2)
          AND ($4::bytea IS NULL OR s.phone_hash = $4)
        ORDER BY s.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
        phone_hash,
    )
    return [_suppression(row) for row in rows]


async def delete_suppression(conn: Connection, suppression_id: UUID, scope: UUID | None) -> None:
    """Lift a suppression.

    Raises:
        NotFound: there is none of this id that the scope's users made.
    """
    status = await conn.execute(
        """
        DELETE FROM suppressions s
        WHERE s.id = $1 AND ($2::uuid IS NULL OR EXISTS (
            SELECT FROM users u WHERE u.id = s.created_by AND u.department_id = $2))
        """,
        suppression_id,
        scope,
    )
    if not affected(status):
        raise NotFound(f"there is no suppression {suppression_id}")


def _suppression(row: Record) -> Suppression:
    return Suppression(
        id=row["id"],
        reason=row["reason"],
        classes=row["classes"],
        note=row["note"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
