"""The name of an area: proposed by one person, confirmed by another.

It stands in texts that others approved before it changed, of every department. So nobody changes
it alone; its form is that of `area_edits.check_name`.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from service.accounts.people.model import User
from service.accounts.people.proposals import WAITS
from service.accounts.people.second_person import need_second_person
from service.audience.areas import area_store
from service.audience.areas.area_edits import check_free
from service.audience.areas.area_store import Rename, read_area_tree
from service.errors import Conflict
from service.storage.postgres import Connection
from service.words.phrase import phrase

RenameState = Literal["pending", "expired"]


def state_of(rename: Rename, now: datetime) -> RenameState:
    """Whether a name that waits may still be confirmed."""
    return "expired" if rename.proposed_at <= now - WAITS else "pending"


async def propose(conn: Connection, actor: User, code: str, name: str, now: datetime) -> None:
    """Propose a name for an area, in place of one that waits; the one in force again only puts that
    aside. The tree must be locked.
    """
    areas = (await read_area_tree(conn)).areas
    check_free(areas, areas[code]._replace(name=name))
    await area_store.replace_waiting(conn, code, now)
    if name != areas[code].name:
        await area_store.insert_rename(conn, code, name, actor.id, now)


async def confirm(
    conn: Connection, actor: User, code: str, rename_id: UUID, now: datetime
) -> Rename:
    """Give an area the name that somebody else proposed. The tree must be locked.

    Raises:
        NotFound: the area has no such proposal.
        Conflict: it does not wait (any more), or another area beside it has the name by now.
        Forbidden: the actor counts as who proposed it.
    """
    found = await area_store.get_rename(conn, code, rename_id)
    if not found.waits or state_of(found, now) != "pending":
        raise Conflict(
            phrase("this name does not wait any more; propose it again"), code="wrong_state"
        )
    await need_second_person(
        conn, actor, {found.proposed_by: phrase("proposed this name")}, phrase("confirm it"), now
    )
    areas = (await read_area_tree(conn)).areas
    renamed = areas[code]._replace(name=found.name)
    check_free(areas, renamed)
    await area_store.note_confirmed(conn, found.id, actor.id, now)
    await area_store.update_area(conn, renamed, found.proposed_by, now)
    return found
