"""The SQL of chat groups and of who has owned them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.rosters.on_lists import is_on_a_list, said_of
from service.crypto import Keyring
from service.relays.groups.group import ChatGroup, GroupOwner, NewGroup, UnitKind
from service.storage import sql
from service.storage.postgres import Connection, Record, UniqueViolation

_OWNER = f"""
    o.no, o.contact_id, o.since, o.until, o.effective_on, o.reason, o.set_by, c.name_cipher,
    c.phone_cipher, coalesce({said_of("o.contact_id")}, '{{}}') AS said,
    c.age_band IS NOT DISTINCT FROM '14-17' AS minor"""
"""SQL: columns of an owner `o`, who is the contact `c`."""

_GROUP = f"""
    SELECT g.id, g.department_id, g.name, g.unit_kind, g.area_code, g.unit, g.members, g.made_by,
           g.made_at, g.closed_by, g.closed_at, g.ownerless_since, g.told_run_id, g.untold, {_OWNER}
    FROM groups g
    JOIN LATERAL (SELECT * FROM group_owners WHERE group_id = g.id ORDER BY no DESC LIMIT 1) o
        ON true
    LEFT JOIN contacts c ON c.id = o.contact_id
"""  # noqa: S608  # constants
_GROUP_COLUMNS = ChatGroup._fields[:-1]


class GroupsWanted(NamedTuple):
    """Which groups. scope: of a department; None: of all. area: of those that lie in it."""

    scope: UUID | None
    state: str = "active"
    ownerless: bool = False
    area: str | None = None
    unit_kind: str | None = None


def _owner(keyring: Keyring, row: Record) -> GroupOwner:
    name, phone = row["name_cipher"], row["phone_cipher"]
    values: dict[str, Any] = {
        column: row[column] for column in GroupOwner._fields if column not in {"name", "phone"}
    }
    return GroupOwner(
        **values,
        name=None if name is None else keyring.decrypt("name", name),
        phone=None if phone is None else keyring.decrypt("phone", phone),
    )


def _group(keyring: Keyring, row: Record) -> ChatGroup:
    values: dict[str, Any] = {column: row[column] for column in _GROUP_COLUMNS}
    values["unit_kind"] = UnitKind(row["unit_kind"])
    return ChatGroup(**values, owner=_owner(keyring, row))


async def list_groups(
    conn: Connection, keyring: Keyring, wanted: GroupsWanted, before: UUID | None, limit: int
) -> list[ChatGroup]:
    """A page of groups, the latest registered first."""
    rows = await sql.fetch(
        conn,
        f"""
        {_GROUP}
        WHERE (:scope::uuid IS NULL OR g.department_id = :scope)
          AND (:state = 'all' OR (g.closed_at IS NULL) = (:state = 'active'))
          AND (NOT :ownerless OR g.ownerless_since IS NOT NULL)
          AND (:area::text IS NULL OR g.area_code IN (SELECT areas_within(:area)))
          AND (:unit_kind::text IS NULL OR g.unit_kind = :unit_kind)
          AND (:before::uuid IS NULL OR g.id < :before)
        ORDER BY g.id DESC LIMIT :limit
        """,
        **wanted._asdict(),
        before=before,
        limit=limit,
    )
    return [_group(keyring, row) for row in rows]


async def find_group(conn: Connection, keyring: Keyring, group_id: UUID) -> ChatGroup | None:
    """One group."""
    row = await sql.fetchrow(conn, f"{_GROUP} WHERE g.id = :id", id=group_id)
    return None if row is None else _group(keyring, row)


async def lock_group(conn: Connection, group_id: UUID) -> None:
    """Wait until nobody else changes a group, and keep others from it."""
    await sql.execute(conn, "SELECT FROM groups WHERE id = :id FOR UPDATE", id=group_id)


async def insert_groups(
    conn: Connection,
    department_id: UUID,
    groups: Sequence[tuple[NewGroup, UUID]],
    reason: str,
    on: date,
    by: tuple[UUID, datetime],
) -> list[UUID]:
    """Register groups with their first owners.

    Raises:
        UniqueViolation: an active one of the department has this name there; nothing is done.
    """
    made_by, now = by
    rows = await sql.fetch(
        conn,
        """
        WITH named AS MATERIALIZED (
            SELECT uuidv7() AS id, n.* FROM unnest(:names::text[], :kinds::text[], :areas::text[],
                :units::text[], :members::integer[], :owners::uuid[]) WITH ORDINALITY
                AS n(name, unit_kind, area_code, unit, members, contact_id, place)
        ), made AS (
            INSERT INTO groups (id, department_id, name, unit_kind, area_code, unit, members,
                                made_by, made_at)
            SELECT id, :department_id, name, unit_kind, area_code, unit, members, :made_by, :now
            FROM named RETURNING id
        ), owned AS (
            INSERT INTO group_owners (group_id, no, contact_id, since, effective_on, reason, set_by)
            SELECT n.id, 1, n.contact_id, :now, :on, :reason, :made_by
            FROM named n JOIN made USING (id)
        )
        SELECT id FROM named ORDER BY place
        """,
        department_id=department_id,
        names=[new.name for new, _ in groups],
        kinds=[new.unit_kind for new, _ in groups],
        areas=[new.area_code for new, _ in groups],
        units=[new.unit for new, _ in groups],
        members=[new.members for new, _ in groups],
        owners=[owner for _, owner in groups],
        made_by=made_by,
        now=now,
        on=on,
        reason=reason,
    )
    return [row["id"] for row in rows]


async def names_in_use(conn: Connection, department_id: UUID) -> set[tuple[str | None, str]]:
    """Area and name of each active group of a department."""
    rows = await sql.fetch(
        conn,
        """
        SELECT area_code, name FROM groups
        WHERE department_id = :department_id AND closed_at IS NULL
        """,
        department_id=department_id,
    )
    return {(row["area_code"], row["name"]) for row in rows}


async def update_group(conn: Connection, group_id: UUID, new: NewGroup) -> bool:
    """Change what a group is called and where it belongs; False: another one has this name."""
    try:
        async with conn.transaction():
            await sql.execute(
                conn,
                """
                UPDATE groups SET name = :name, unit_kind = :unit_kind, area_code = :area_code,
                    unit = :unit, members = :members
                WHERE id = :id
                """,
                id=group_id,
                **new._asdict(),
            )
    except UniqueViolation:
        return False
    return True


async def close_group(conn: Connection, group_id: UUID, by: UUID, now: datetime) -> None:
    """Close a group that is locked; nobody owns it any more."""
    await sql.execute(
        conn,
        """
        WITH ended AS (
            UPDATE group_owners
            SET until = greatest(:now::timestamptz, since + interval '1 microsecond')
            WHERE group_id = :id AND until IS NULL
        )
        UPDATE groups SET closed_at = :now, closed_by = :by, ownerless_since = NULL,
            told_run_id = NULL, untold = ''
        WHERE id = :id
        """,
        id=group_id,
        by=by,
        now=now,
    )


async def hand_over(
    conn: Connection,
    group_id: UUID,
    contact_id: UUID,
    on: date,
    reason: str,
    by: tuple[UUID, datetime],
) -> None:
    """End the time of the owner of a group, which is locked, and begin that of another one at the
    same instant; not before the last one began.
    """
    set_by, now = by
    row = await sql.fetchrow(
        conn,
        """
        UPDATE group_owners
        SET until = greatest(:now::timestamptz, since + interval '1 microsecond')
        WHERE group_id = :group_id AND until IS NULL RETURNING no, until
        """,
        group_id=group_id,
        now=now,
    )
    if row is None:
        raise LookupError("an active group has an owner")
    await sql.execute(
        conn,
        """
        INSERT INTO group_owners (group_id, no, contact_id, since, follows, effective_on, reason,
                                  set_by)
        VALUES (:group_id, :no, :contact_id, :since, :since, :on, :reason, :set_by)
        """,
        group_id=group_id,
        no=row["no"] + 1,
        contact_id=contact_id,
        since=row["until"],
        on=on,
        reason=reason,
        set_by=set_by,
    )
    await sql.execute(
        conn,
        """
        UPDATE groups SET ownerless_since = NULL, told_run_id = NULL, untold = '' WHERE id = :id
        """,
        id=group_id,
    )


async def list_owners(
    conn: Connection, keyring: Keyring, group_id: UUID, numbers: Sequence[int] | None = None
) -> list[GroupOwner]:
    """Who has owned a group, from the first on. numbers: only these of them."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_OWNER} FROM group_owners o LEFT JOIN contacts c ON c.id = o.contact_id
        WHERE o.group_id = :group_id AND (:numbers::integer[] IS NULL OR o.no = ANY (:numbers))
        ORDER BY o.no
        """,  # noqa: S608  # constants
        group_id=group_id,
        numbers=None if numbers is None else list(numbers),
    )
    return [_owner(keyring, row) for row in rows]


async def holders(
    conn: Connection, department_id: UUID, contacts: Sequence[UUID], today: date
) -> set[UUID]:
    """Which of these persons are on a list of the department that holds."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT c.id FROM contacts c
        WHERE c.id = ANY (:ids) AND c.department_id = :department_id
          AND {is_on_a_list("c", ":today")}
        """,  # noqa: S608  # constants
        ids=list(contacts),
        department_id=department_id,
        today=today,
    )
    return {row["id"] for row in rows}


async def people_by_phone(
    conn: Connection, department_id: UUID, hashes: Sequence[bytes], today: date
) -> Mapping[bytes, UUID]:
    """The persons of these numbers who are on a list of the department that holds."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT c.id, c.phone_hash FROM contacts c
        WHERE c.department_id = :department_id AND c.phone_hash = ANY (:hashes)
          AND {is_on_a_list("c", ":today")}
        """,  # noqa: S608  # constants
        department_id=department_id,
        hashes=list(hashes),
        today=today,
    )
    return {row["phone_hash"]: row["id"] for row in rows}


async def disclosed_persons(conn: Connection, contacts: Sequence[UUID]) -> list[Record]:
    """The numbers' hashes of these persons, and whose they are, to note that they were shown."""
    return await sql.fetch(
        conn,
        """
        SELECT id, phone_hash, department_id FROM contacts WHERE id = ANY (:ids)
        """,
        ids=list(contacts),
    )
