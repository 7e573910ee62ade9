"""The audience as a department plans with it: saved segments and previews.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import User
from service.audience.areas.area_store import outside_area
from service.audience.segments.segment_sql import CARRIER, Compiled
from service.audience.segments.segment_uses import SavedRule
from service.audience.suppressions.suppression_store import stops
from service.errors import Conflict, NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record, UniqueViolation, one
from service.words.phrase import phrase

SAMPLE = 5
ENDED = "ended"
"""No reason of anybody's: of those on lists that have ended no rule asks anything."""

WORK_MEMORY = "64MB"
"""What one statement over all people of a department may use before it writes to disk."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved audience rule. key_mode: what kind of key made it (`accounts.key.Mode`)."""

    id: UUID
    department_id: UUID
    name: str
    rule: str
    edited_by: UUID
    created_at: datetime
    edited_at: datetime
    key_mode: str


@dataclass(slots=True)
class AudienceCounts:
    """How many people a rule means, by town, carrier and role, and who would be left out and why.

    Somebody with several roles counts under each. some: phone hashes of a few in the target.
    ended: people of the department, whatever the rule, who are on ended lists only.
    """

    target: int = 0
    by_area: Counter[str] = field(default_factory=Counter)
    by_carrier: Counter[str] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    some: list[bytes] = field(default_factory=list)


async def insert_segment(
    conn: Connection, user: User, name: str, rule: str, now: datetime, key_mode: str = "live"
) -> Segment:
    """Save a rule for the user's department.

    Raises:
        Conflict: the department has a segment of this name.
    """
    try:
        row = await sql.fetchrow(
            conn,
            """
            INSERT INTO segments
                (department_id, name, rule, edited_by, created_at, edited_at, key_mode)
            VALUES (:department_id, :name, :rule, :user_id, :now, :now, :key_mode) RETURNING *
            """,
            department_id=user.department_id,
            name=name,
            rule=rule,
            user_id=user.id,
            now=now,
            key_mode=key_mode,
        )
    except UniqueViolation as error:
        raise Conflict(phrase("there is a segment named {name} already", name=name)) from error
    return Segment(**one(row))


async def update_segment(conn: Connection, segment: Segment) -> None:
    """Save a changed name, rule, editor and instant.

    Raises:
        Conflict: the department has another segment of this name.
    """
    try:
        await sql.execute(
            conn,
            """
            UPDATE segments SET name = :name, rule = :rule, edited_by = :edited_by,
                edited_at = :edited_at WHERE id = :segment_id
            """,
            segment_id=segment.id,
            name=segment.name,
            rule=segment.rule,
            edited_by=segment.edited_by,
            edited_at=segment.edited_at,
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a segment named {name} already", name=segment.name)
        ) from error


async def get_segment(
    conn: Connection, segment_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Segment:
    """One segment; `lock` keeps others from editing it to the end of the transaction.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    query = """
        SELECT * FROM segments WHERE id = :segment_id
          AND (:scope::uuid IS NULL OR department_id = :scope)
        """
    row = await sql.fetchrow(conn, query + " FOR UPDATE" * lock, segment_id=segment_id, scope=scope)
    if row is None:
        raise NotFound(phrase("there is no segment {segment_id}", segment_id=segment_id))
    return Segment(**row)


async def find_by_rule(conn: Connection, department_id: UUID, rule: str) -> UUID | None:
    """The oldest live segment of a department with this very rule; None: it has none."""
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT id FROM segments
        WHERE department_id = :department_id AND rule = :rule AND key_mode = 'live'
        ORDER BY id LIMIT 1
        """,
        department_id=department_id,
        rule=rule,
    )
    return found


async def list_segments(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Segment]:
    """A page of segments."""
    rows = await sql.fetch(
        conn,
        """
        SELECT * FROM segments
        WHERE (:scope::uuid IS NULL OR department_id = :scope)
          AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
    )
    return [Segment(**row) for row in rows]


async def list_names(conn: Connection, department_id: UUID) -> list[tuple[UUID, str, str]]:
    """The segments of a department: id, name and key_mode."""
    rows = await sql.fetch(
        conn,
        "SELECT id, name, key_mode FROM segments WHERE department_id = :department_id ORDER BY id",
        department_id=department_id,
    )
    return [(row["id"], row["name"], row["key_mode"]) for row in rows]


async def rename_segment(conn: Connection, segment_id: UUID, name: str) -> None:
    """Give a segment another name."""
    await sql.execute(
        conn,
        "UPDATE segments SET name = :name WHERE id = :segment_id",
        segment_id=segment_id,
        name=name,
    )


async def list_saved_rules(
    conn: Connection, department_id: UUID, but: UUID | None = None
) -> list[SavedRule]:
    """All rules of a department, for those that use others; `but` leaves one segment out."""
    rows = await sql.fetch(
        conn,
        """
        SELECT name, rule, edited_by FROM segments
        WHERE department_id = :department_id AND id IS DISTINCT FROM :but ORDER BY name
        """,
        department_id=department_id,
        but=but,
    )
    return [SavedRule(**row) for row in rows]


def counts_of(rows: Iterable[Record]) -> AudienceCounts:
    """Adds up rows with excluded, carrier, town, roles, people and some. people may be below 0,
    where another row counts somebody whom this one takes away.
    """
    counts = AudienceCounts()
    for row in sorted(rows, key=lambda row: (row["town"], row["carrier"])):
        _add(counts, row)
    for counter in (counts.by_area, counts.by_carrier, counts.by_role, counts.excluded):
        for name in [name for name, people in counter.items() if not people]:
            del counter[name]
    return counts


def _add(counts: AudienceCounts, row: Record) -> None:
    if row["excluded"] == ENDED:
        counts.ended += row["people"]
        return
    if row["excluded"]:
        counts.excluded[row["excluded"]] += row["people"]
        return
    counts.target += row["people"]
    counts.some = sorted([*counts.some, *row["some"]])[:SAMPLE]
    counts.by_area[row["town"]] += row["people"]
    counts.by_carrier[row["carrier"]] += row["people"]
    for role in sorted(set((row["roles"] or "").split())):
        counts.by_role[role] += row["people"]


def reached(condition: Compiled) -> str:
    """FROM and WHERE of those whom a text would reach, as `c`. Its parameters are
    :department_id, :now, :message_class (the class of the text) and the rule's.
    """
    own = "(SELECT area_code FROM departments WHERE id = :department_id)"
    within = f"c.area_code IN (SELECT w.code FROM areas_within({own}) AS w(code))"  # noqa: S608
    return f"""
        FROM {condition.source}
        WHERE c.department_id = :department_id AND ({condition.sql}) IS TRUE
          AND NOT ({outside_area(own, "c.area_code", within)})
          AND NOT EXISTS (
            SELECT FROM suppressions p
            WHERE p.phone_hash = c.phone_hash
              AND {stops("p", ":message_class", ":department_id", ":now")})
    """  # compiled from a parsed rule, whose values are parameters


def shown(condition: Compiled) -> str:
    """As `reached`, of those who may be shown: a carrier's subscribers may not."""
    return f"""
        {reached(condition)}
          AND NOT EXISTS (SELECT FROM departments d WHERE d.id = :department_id
                          AND d.kind = 'carrier')
    """


async def list_sample(
    conn: Connection, department_id: UUID, phone_hashes: Sequence[bytes]
) -> list[Record]:
    """These people of a department: phone_cipher, name_cipher, area_code, carrier. Of a carrier's
    subscribers, nobody is shown.
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT c.phone_cipher, c.name_cipher, c.area_code, {CARRIER} AS carrier
        FROM contacts c LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash
        WHERE c.department_id = :department_id AND c.phone_hash = ANY(:phone_hashes)
          AND NOT EXISTS (SELECT FROM departments d WHERE d.id = :department_id
                          AND d.kind = 'carrier')
        ORDER BY c.phone_hash
        """,  # noqa: S608  # constants
        department_id=department_id,
        phone_hashes=phone_hashes,
    )
