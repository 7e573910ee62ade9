"""The SQL of a relay that has not begun: whom its tree would write to, and whether there is one."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple
from uuid import UUID

from service.audience.rosters.on_lists import is_on_a_list
from service.relays.relay_store import NewRelay
from service.storage import sql
from service.storage.postgres import Connection


class TreePerson(NamedTuple):
    """Somebody who would be in a tree. listed: whether they are on a list that holds."""

    id: UUID
    phone_hash: bytes
    phone_cipher: bytes
    name_cipher: bytes | None
    listed: bool


async def people_of(
    conn: Connection, contacts: Collection[UUID], today: date
) -> dict[UUID, TreePerson]:
    """These persons, but for those who are on file no more."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT c.id, c.phone_hash, c.phone_cipher, c.name_cipher,
               {is_on_a_list("c", ":today")} AS listed
        FROM contacts c WHERE c.id = ANY (:contacts)
        """,  # noqa: S608  # a constant
        contacts=list(contacts),
        today=today,
    )
    return {row["id"]: TreePerson(**row) for row in rows}


async def names_of_groups(conn: Connection, groups: Collection[UUID]) -> dict[UUID, str]:
    """The names of groups."""
    rows = await sql.fetch(
        conn, "SELECT id, name FROM groups WHERE id = ANY (:groups)", groups=list(groups)
    )
    return {row["id"]: row["name"] for row in rows}


async def find_same(conn: Connection, new: NewRelay) -> UUID | None:
    """The relay of this text to these groups in that week, by which `insert_relay` makes none."""
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT id FROM relays
        WHERE department_id = :department_id AND week = :week AND state <> 'cancelled'
          AND template_version_id = :template_version_id
          AND area_code IS NOT DISTINCT FROM :area_code
        """,
        department_id=new.department_id,
        week=new.week,
        template_version_id=new.template_version_id,
        area_code=new.area_code,
    )
    return found
