"""Registering groups, changing and closing them, and handing them over to another owner."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people.model import By, User
from service.audience.areas.area_store import area_names
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid, NotFound
from service.privacy.lookups import REASON
from service.privacy.store import Disclosure, insert_disclosure
from service.relays.groups import group_store
from service.relays.groups.group import ChatGroup, GroupOwner, NewGroup
from service.storage.postgres import Connection, UniqueViolation
from service.words.phrase import phrase

REGISTERED = "registered"
"""The reason of the first owner of a group, in the history."""


class HandOver(NamedTuple):
    """To whom a group goes, from which day on the form, and why."""

    contact_id: UUID
    effective_on: date
    reason: str


async def find(
    conn: Connection, keyring: Keyring, actor: User, group_id: UUID, *, lock: bool = False
) -> ChatGroup:
    """A group that somebody may see. lock: nobody else changes it until the transaction ends.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    if lock:
        await group_store.lock_group(conn, group_id)
    found = await group_store.find_group(conn, keyring, group_id)
    if found is None or not actor.sees(found.department_id):
        raise NotFound(phrase("there is no group {group_id}", group_id=group_id))
    return found


async def register(conn: Connection, actor: User, new: NewGroup, owner: UUID, by: By) -> UUID:
    """Register a group of the own department with its owner.

    Raises:
        Invalid: there is no such area; or the owner is on no list of the department that holds.
        Conflict: an active group has this name there.
    """
    await _check_area(conn, new.area_code)
    today = day_in_china(by.at)
    await _need_listed(conn, actor.department_id, owner, "owner_contact_id", today)
    try:
        made = await group_store.insert_groups(
            conn, actor.department_id, [(new, owner)], REGISTERED, today, (_user(by), by.at)
        )
    except UniqueViolation as error:
        raise _name_taken() from error
    return made[0]


async def person_of(
    conn: Connection, actor: User, phone_hash: bytes, field: str, now: datetime
) -> UUID:
    """The person of a number, on a list of the own department that holds.

    Raises:
        Invalid: there is none.
    """
    today = day_in_china(now)
    found = await group_store.people_by_phone(conn, actor.department_id, [phone_hash], today)
    if phone_hash not in found:
        raise Invalid.at(
            field,
            phrase(
                "nobody on a list of the department that holds has this number: put the owner on a"
                " list first"
            ),
        )
    return found[phone_hash]


async def change(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    group_id: UUID,
    changes: Mapping[str, Any],
    by: By,
    *,
    closes: bool,
) -> None:
    """Change what a group is called and where it belongs; or close it, for good.

    Raises:
        NotFound: as for `find`.
        Invalid, Conflict: as for `register`; it is closed.
    """
    found = await find(conn, keyring, actor, group_id, lock=True)
    _need_active(found)
    before = NewGroup(found.name, found.unit_kind, found.area_code, found.unit, found.members)
    new = before._replace(**changes)
    await _check_area(conn, new.area_code)
    if new != before and not await group_store.update_group(conn, group_id, new):
        raise _name_taken()
    if closes:
        await group_store.close_group(conn, group_id, _user(by), by.at)


async def hand_over(
    conn: Connection, keyring: Keyring, actor: User, group_id: UUID, to: HandOver, by: By
) -> None:
    """Give a group to another owner, at once; the time of the last one ends at that instant.

    Raises:
        NotFound: as for `find`.
        Invalid: the person is on no list of the department that holds; the day is to come.
        Conflict: it is closed, or the person owns it already.
    """
    found = await find(conn, keyring, actor, group_id, lock=True)
    _need_active(found)
    today = day_in_china(by.at)
    if to.effective_on > today:
        raise Invalid.at(
            "effective_on", phrase("give today or a day before: it is handed over at once")
        )
    await _need_listed(conn, found.department_id, to.contact_id, "contact_id", today)
    if found.owner.contact_id == to.contact_id:
        raise Conflict(
            phrase("this person owns the group already: nothing is handed over"),
            code="owns_it_already",
        )
    await group_store.hand_over(
        conn, group_id, to.contact_id, to.effective_on, to.reason, (_user(by), by.at)
    )


async def take_form(
    conn: Connection, keyring: Keyring, actor: User, group_id: UUID, no: int, by: By
) -> tuple[ChatGroup, GroupOwner, GroupOwner]:
    """The group, the old and the new owner of a hand-over, for its form, with names in full; that
    they were shown is noted for both.

    no: of the new owner in the history.

    Raises:
        NotFound: as for `find`; or the history has no hand-over of this number.
        Conflict: one of both is kept no more.
    """
    found = await find(conn, keyring, actor, group_id)
    owners = await group_store.list_owners(conn, keyring, group_id, [no - 1, no])
    if no < 2 or len(owners) < 2:
        raise NotFound(phrase("the history of this group has no hand-over {no}", no=no))
    if any(owner.name is None for owner in owners):
        raise Conflict(
            phrase("one of both is on file no more, and the form names them"), code="not_kept"
        )
    both = [one.contact_id for one in owners]
    await note_shown(conn, keyring, actor, both, "群主交接单 / hand-over form of a group", by.at)
    return found, owners[0], owners[1]


async def note_shown(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    contacts: Sequence[UUID],
    why: str,
    now: datetime,
) -> None:
    """Note for each of these persons that somebody saw name and number in full, and why."""
    reason = keyring.encrypt(REASON, why)
    for row in await group_store.disclosed_persons(conn, contacts):
        await insert_disclosure(
            conn,
            Disclosure(
                "contact",
                str(row["id"]),
                row["phone_hash"],
                actor.department_id,
                actor.id,
                reason,
                now,
                row["department_id"],
            ),
        )


async def _check_area(conn: Connection, code: str | None) -> None:
    if code is not None and not await area_names(conn, [code]):
        raise Invalid.at("area", phrase("there is no area of this code"))


async def _need_listed(
    conn: Connection, department_id: UUID, contact_id: UUID, field: str, today: date
) -> None:
    if not await group_store.holders(conn, department_id, [contact_id], today):
        raise Invalid.at(
            field,
            phrase(
                "nobody of this id is on a list of the department that holds: put the person on a"
                " list first, or extend it"
            ),
        )


def _need_active(found: ChatGroup) -> None:
    if found.closed_at is not None:
        raise Conflict(phrase("the group is closed"), code="group_closed")


def _name_taken() -> Conflict:
    return Conflict(
        phrase("an active group of your department has this name there; take another one"),
        code="group_name_taken",
    )


def _user(by: By) -> UUID:
    if by.user_id is None:
        raise ValueError("a person keeps the register of groups")
    return by.user_id
