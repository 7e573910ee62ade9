"""The SQL of posts of lists: whom a list names for each, and who has held it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.rosters.standing import (
    stands,
    unit_key_of,
    unit_of,
    was_handed_on,
    was_named_anew,
)
from service.audience.segments.segment_sql import holds_on
from service.crypto import Keyring
from service.relays.posts.post import ListedPerson, Post, PostHolder
from service.relays.tree import RelayPerson
from service.storage import sql
from service.storage.postgres import Connection, Record, one

_HOLDER = """
    o.no, o.contact_id, o.since, o.until, o.effective_on, o.reason, o.told, o.answers_for, o.set_by,
    c.name_cipher, c.phone_cipher, c.age_band IS NOT DISTINCT FROM '14-17' AS minor"""
"""SQL: columns of a holder `o`, who is the contact `c`."""

_LISTED = ("contact_id", "named_at", "named_by", "name_cipher", "phone_cipher", "minor")


class PostsWanted(NamedTuple):
    """Which posts of a list. unit_key: None: of all units."""

    department_id: UUID
    roster: str
    roles: Sequence[str]
    unit_key: str | None
    today: date


class NewHolder(NamedTuple):
    """Who is to hold a post from when on, and what the form says of it."""

    contact_id: UUID
    at: datetime
    effective_on: date
    reason: str
    told: str
    answers_for: Sequence[UUID]
    set_by: UUID


async def list_posts(
    conn: Connection, keyring: Keyring, wanted: PostsWanted, limit: int
) -> list[Post]:
    """The posts of a list, by role and unit: those that it names somebody for, and those that were
    handed over.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH r AS (
            SELECT * FROM rosters WHERE department_id = :department_id AND name = :roster
        ), entry AS (
            SELECT DISTINCT ON (x.role, u.unit_key, e.contact_id)
                x.role, u.unit_key, u.unit, e.contact_id, e.id, e.area_code,
                ARRAY(SELECT w FROM unnest(ARRAY[folded(e.college), e.school_folded, e.org_folded,
                                                 folded(e.office)]) AS w WHERE w <> '') AS units,
                coalesce(i.created_at, r.created_at) AS named_at, i.created_by AS named_by,
                c.name_cipher, c.phone_cipher, c.age_band IS NOT DISTINCT FROM '14-17' AS minor
            FROM r JOIN links e ON e.roster_id = r.id AND e.left_by IS NULL
                AND (e.last_day IS NULL OR e.last_day >= :today::date)
            JOIN contacts c ON c.id = e.contact_id
            CROSS JOIN LATERAL unnest(e.roles) AS x(role)
            CROSS JOIN LATERAL (
                SELECT {unit_of("e")} AS unit, {unit_key_of("e")} AS unit_key) u
            LEFT JOIN LATERAL (
                SELECT created_at, created_by FROM imports
                WHERE undone_at IS NULL AND (id = e.import_id OR id IN (
                    SELECT import_id FROM link_repeats WHERE link_id = e.id))
                ORDER BY created_at DESC LIMIT 1) i ON true
            WHERE x.role = ANY (:roles) AND u.unit <> ''
              AND (:unit_key::text IS NULL OR u.unit_key = :unit_key)
              AND NOT {was_handed_on("e", "r", "x.role")}
            ORDER BY x.role, u.unit_key, e.contact_id, e.id DESC
        ), named AS (
            SELECT role, unit_key, (array_agg(unit ORDER BY id DESC))[1] AS unit,
                   (array_agg(area_code ORDER BY id DESC))[1] AS area_code,
                   array_agg(contact_id ORDER BY id) AS contact_ids,
                   {", ".join(f"array_agg({x} ORDER BY id) AS {x}s" for x in _LISTED[1:])},
                   (array_agg(array_to_string(units, E'\\n') ORDER BY id DESC))[1] AS units
            FROM entry GROUP BY role, unit_key
        ), handed AS (
            SELECT * FROM posts
            WHERE department_id = :department_id AND roster = :roster AND role = ANY (:roles)
              AND (:unit_key::text IS NULL OR unit_key = :unit_key)
        )
        SELECT p.id, coalesce(p.role, n.role) AS role, coalesce(p.unit, n.unit) AS unit,
               coalesce(p.unit_key, n.unit_key) AS unit_key,
               coalesce(p.units, string_to_array(nullif(n.units, ''), E'\\n'), '{{}}') AS units,
               CASE WHEN p.id IS NULL THEN n.area_code ELSE p.area_code END AS area_code,
               coalesce({holds_on("r", ":today")} AND {stands("p", "o", "r", "c", ":today")}, false)
                   AS stands,
               coalesce({was_named_anew("p", "o", "r")}, false) AS anew,
               n.contact_ids, {", ".join(f"n.{x}s" for x in _LISTED[1:])}, {_HOLDER}
        FROM named n FULL JOIN handed p ON p.role = n.role AND p.unit_key = n.unit_key
        LEFT JOIN post_holders o ON o.post_id = p.id AND o.until IS NULL
        LEFT JOIN contacts c ON c.id = o.contact_id
        LEFT JOIN r ON true
        ORDER BY array_position(:roles::text[], coalesce(p.role, n.role)), unit_key LIMIT :limit
        """,  # noqa: S608  # constants
        **wanted._asdict() | {"roles": list(wanted.roles)},
        limit=limit,
    )
    return [_post(keyring, wanted, row) for row in rows]


def _post(keyring: Keyring, wanted: PostsWanted, row: Record) -> Post:
    listed = [
        ListedPerson(
            contact_id, named_at, named_by, *_shown(keyring, name_cipher, phone_cipher), minor
        )
        for contact_id, named_at, named_by, name_cipher, phone_cipher, minor in zip(
            *(row[f"{column}s"] or () for column in _LISTED), strict=True
        )
    ]
    return Post(
        id=row["id"],
        department_id=wanted.department_id,
        roster=wanted.roster,
        role=row["role"],
        unit=row["unit"],
        unit_key=row["unit_key"],
        units=row["units"],
        area_code=row["area_code"],
        holder=None if row["no"] is None else _holder(keyring, row),
        stands=row["stands"],
        anew=row["anew"],
        listed=listed,
    )


def _shown(
    keyring: Keyring, name: bytes | None, phone: bytes | None
) -> tuple[str | None, str | None]:
    return (
        None if name is None else keyring.decrypt("name", name),
        None if phone is None else keyring.decrypt("phone", phone),
    )


def _holder(keyring: Keyring, row: Record) -> PostHolder:
    name, phone = _shown(keyring, row["name_cipher"], row["phone_cipher"])
    values: dict[str, Any] = {
        column: row[column] for column in PostHolder._fields if column not in {"name", "phone"}
    }
    return PostHolder(**values, name=name, phone=phone)


async def unit_key(conn: Connection, unit: str) -> str:
    """A unit without capitals and white space, as posts are compared by it."""
    key: str = await sql.fetchval(conn, "SELECT folded(:unit)", unit=unit)
    return key


async def lock_post(conn: Connection, post: Post) -> UUID:
    """Write a post down unless that was done, and wait until nobody else hands it over. Before the
    transaction ends it needs a holder.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO posts (department_id, roster, role, unit, units, area_code)
        VALUES (:department_id, :roster, :role, :unit, :units, :area_code)
        ON CONFLICT ON CONSTRAINT posts_once DO NOTHING
        """,
        department_id=post.department_id,
        roster=post.roster,
        role=post.role,
        unit=post.unit,
        units=list(post.units),
        area_code=post.area_code,
    )
    row = await sql.fetchrow(
        conn,
        """
        SELECT id FROM posts
        WHERE department_id = :department_id AND roster = :roster AND role = :role
          AND unit_key = folded(:unit)
        FOR UPDATE
        """,
        department_id=post.department_id,
        roster=post.roster,
        role=post.role,
        unit=post.unit,
    )
    found: UUID = one(row)["id"]
    return found


async def append_holder(conn: Connection, post_id: UUID, new: NewHolder) -> None:
    """End the time of the holder of a post, which is locked, and begin that of another one at the
    same instant; not before the last one began. The first of a post follows nobody.
    """
    row = await sql.fetchrow(
        conn,
        """
        UPDATE post_holders
        SET until = greatest(:at::timestamptz, since + interval '1 microsecond')
        WHERE post_id = :post_id AND until IS NULL RETURNING no, until
        """,
        post_id=post_id,
        at=new.at,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO post_holders (post_id, no, contact_id, since, follows, effective_on, reason,
                                  told, answers_for, set_by)
        VALUES (:post_id, :no, :contact_id, coalesce(:follows::timestamptz, :at), :follows,
                :effective_on, :reason, :told, :answers_for, :set_by)
        """,
        post_id=post_id,
        no=1 if row is None else row["no"] + 1,
        follows=None if row is None else row["until"],
        **new._asdict() | {"answers_for": list(new.answers_for)},
    )


async def list_holders(
    conn: Connection, keyring: Keyring, post_id: UUID, numbers: Sequence[int] | None = None
) -> list[PostHolder]:
    """Who has held a post, from the first on. numbers: only these of them."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_HOLDER} FROM post_holders o LEFT JOIN contacts c ON c.id = o.contact_id
        WHERE o.post_id = :post_id AND (:numbers::integer[] IS NULL OR o.no = ANY (:numbers))
        ORDER BY o.no
        """,  # noqa: S608  # constants
        post_id=post_id,
        numbers=None if numbers is None else list(numbers),
    )
    return [_holder(keyring, row) for row in rows]


async def find_post(
    conn: Connection, department_id: UUID, roster: str, post_id: UUID
) -> tuple[str, str] | None:
    """Role and unit of a post of a list that was handed over."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT role, unit FROM posts
        WHERE id = :post_id AND department_id = :department_id AND roster = :roster
        """,
        post_id=post_id,
        department_id=department_id,
        roster=roster,
    )
    return None if row is None else (row["role"], row["unit"])


async def departments_answered_for(
    conn: Connection, post: Post, contact_id: UUID, duty: str, scope: Sequence[UUID] | None
) -> list[UUID]:
    """The departments in a scope whose liaison or leader in charge a person is by the post: it is
    the post of that department, or the person has no other one of this role on the list. They are
    locked.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT d.id FROM departments d
            JOIN department_people p ON p.department_id = d.id AND p.duty = :duty
                AND p.until IS NULL
            JOIN contacts c ON c.id = :contact_id AND c.phone_hash = p.phone_hash
        WHERE (:scope::uuid[] IS NULL OR d.id = ANY (:scope))
          AND (folded(d.name) = ANY (:units::text[]) OR NOT EXISTS (
              SELECT FROM links e JOIN rosters r ON r.id = e.roster_id
              WHERE e.contact_id = c.id AND e.left_by IS NULL AND :role = ANY (e.roles)
                AND r.department_id = :department_id AND r.name = :roster
                AND {unit_key_of("e")} NOT IN (:unit_key, '')
                AND NOT {was_handed_on("e", "r", ":role")})
            AND NOT EXISTS (
              SELECT FROM posts o JOIN post_holders h ON h.post_id = o.id AND h.until IS NULL
              WHERE o.department_id = :department_id AND o.roster = :roster AND o.role = :role
                AND o.unit_key <> :unit_key AND h.contact_id = c.id))
        ORDER BY d.id FOR NO KEY UPDATE OF d
        """,  # noqa: S608  # a constant
        duty=duty,
        contact_id=contact_id,
        scope=None if scope is None else list(scope),
        units=[post.unit_key, *post.units],
        department_id=post.department_id,
        roster=post.roster,
        role=post.role,
        unit_key=post.unit_key,
    )
    return [row["id"] for row in rows]


async def holders_of_role(
    conn: Connection, department_id: UUID, role: str, area: str | None, today: date
) -> list[RelayPerson]:
    """The persons to whom posts of a role on lists of a department that hold were handed, and who
    still stand; in an area (None: in any). Where a post is of a place, it is there.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT c.id, coalesce(p.area_code, c.area_code, '') AS area_code, p.units
        FROM posts p
            JOIN post_holders o ON o.post_id = p.id AND o.until IS NULL
            JOIN rosters h ON h.department_id = p.department_id AND h.name = p.roster
            JOIN contacts c ON c.id = o.contact_id
        WHERE p.department_id = :department_id AND p.role = :role AND {holds_on("h", ":today")}
          AND {stands("p", "o", "h", "c", ":today")}
          AND (:area::text IS NULL
               OR coalesce(p.area_code, c.area_code) IN (SELECT areas_within(:area)))
        ORDER BY area_code, c.id
        """,  # noqa: S608  # constants
        department_id=department_id,
        role=role,
        area=area,
        today=today,
    )
    return [RelayPerson(row["id"], row["area_code"], frozenset(row["units"])) for row in rows]
