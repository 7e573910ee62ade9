"""A post that a list names somebody for, and who has held it (pure)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

DUTY_OF: Mapping[str, str] = {"liaison": "liaison", "leader": "leader"}
"""Which duty of a department goes with a post of a role."""

BY_THE_LIST = "listed"
"""The reason of a holder whom a list named, in the history."""

LONGEST_REASON = 200
LONGEST_UNIT = 400
"""Characters: college, firm, office, grade and class together."""


class PostState(StrEnum):
    """Who has a post now.

    listed: whom the list names; it was never handed over. held: whom it was handed to. vacant: that
    person is off the list, or on none that holds. named_anew: a list that came after the hand-over
    names somebody who has not held it. shared: the list names several.
    """

    LISTED = "listed"
    HELD = "held"
    VACANT = "vacant"
    NAMED_ANEW = "named_anew"
    SHARED = "shared"


class PostHolder(NamedTuple):
    """Who held a post, from when until when. no: from 1 on, in order. effective_on: the day on the
    form. told: who was told of the hand-over. answers_for: the departments whose liaison or leader
    in charge the hand-over made this person. name, phone: None: the person is kept no more.
    """

    no: int
    contact_id: UUID
    since: datetime
    until: datetime | None
    effective_on: date
    reason: str
    told: str
    answers_for: Sequence[UUID]
    set_by: UUID
    name: str | None
    phone: str | None
    minor: bool


class ListedPerson(NamedTuple):
    """Whom a list names for a post. named_at: when the latest import that says so came; named_by:
    whose that is; None: unknown.
    """

    contact_id: UUID
    named_at: datetime
    named_by: UUID | None
    name: str | None
    phone: str | None
    minor: bool


class Post(NamedTuple):
    """A post of a list. id, holder: None: it was never handed over. unit: as the list says it;
    units: college, school, firm and office by themselves, folded. stands: the holder is still the
    one whom it was handed to by the rules of `standing`. listed: whom the list names now, without
    those who have held it and handed it over.
    """

    id: UUID | None
    department_id: UUID
    roster: str
    role: str
    unit: str
    unit_key: str
    units: Sequence[str]
    area_code: str | None
    holder: PostHolder | None
    stands: bool
    anew: bool
    listed: Sequence[ListedPerson]

    @property
    def state(self) -> PostState:
        """Who has it now."""
        if self.holder is None:
            return PostState.LISTED if len(self.listed) == 1 else PostState.SHARED
        if self.stands:
            return PostState.HELD
        return PostState.NAMED_ANEW if self.anew else PostState.VACANT

    @property
    def person(self) -> PostHolder | ListedPerson | None:
        """Who that is; None: nobody, or several."""
        match self.state:
            case PostState.HELD:
                return self.holder
            case PostState.LISTED:
                return self.listed[0]
            case PostState.NAMED_ANEW if len(self.listed) == 1:
                return self.listed[0]
        return None
