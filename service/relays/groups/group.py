"""A chat group and its owner, and what the owner is called in it (pure)."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

LONGEST_NAME = 20
"""Characters: a text names the group as one of its values."""
LONGEST_UNIT = 40
MOST_MEMBERS = 100_000


class UnitKind(StrEnum):
    """Whose group it is."""

    BUILDING = "building"
    VILLAGERS = "villagers"
    OFFICE = "office"
    FIRM = "firm"
    CLASS = "class"
    OTHER = "other"


class NewGroup(NamedTuple):
    """A group as somebody registers it. area_code: None: of no area. unit: the firm, school or
    office; "": none is named.
    """

    name: str
    unit_kind: UnitKind
    area_code: str | None
    unit: str
    members: int | None


class GroupOwner(NamedTuple):
    """Who owned a group, from when until when. no: from 1 on, in order. effective_on: the day on
    the form. name, phone: None: the person is kept no more. said: what lists say of the person.
    minor: whether the person is under 18: the name is shown to nobody in full.
    """

    no: int
    contact_id: UUID
    since: datetime
    until: datetime | None
    effective_on: date
    reason: str
    set_by: UUID
    name: str | None
    phone: str | None
    said: Mapping[str, str]
    minor: bool


class ChatGroup(NamedTuple):
    """A registered group with its owner; of a closed one, the last. told_run_id: which run told the
    liaison that the owner is on no list any more; untold: why none did.
    """

    id: UUID
    department_id: UUID
    name: str
    unit_kind: UnitKind
    area_code: str | None
    unit: str
    members: int | None
    made_by: UUID
    made_at: datetime
    closed_by: UUID | None
    closed_at: datetime | None
    ownerless_since: datetime | None
    told_run_id: UUID | None
    untold: str
    owner: GroupOwner


def display_name(owner: GroupOwner, place: str, *, in_full: bool) -> str | None:
    """What an owner is called in a group: college, grade and real name; of whoever is of no
    college, school or firm, the place and the name (seed 2.14). None: the person is kept no more.

    place: the name of the group's area. in_full: else all of the name but its first sign is masked.
    """
    if owner.name is None:
        return None
    said = owner.said
    units = (said.get(key, "") for key in ("college", "school", "org", "office"))
    of = next(filter(None, units), place)
    name = owner.name if in_full and not owner.minor else masked(owner.name)
    return "-".join(
        part for part in (of, said.get("grade", ""), said.get("class", ""), name) if part
    )


def masked(name: str) -> str:
    """A name of which only the first sign is shown."""
    return name[:1] + "*" * (len(name) - 1)
