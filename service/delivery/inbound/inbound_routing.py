"""Whose a text from a handset is, and whether it waits for a person (pure).

It is for the department whose registered extension number it was sent to; else for the one whose
message it answers; and a clue is for the police.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from service.accounts.departments.department import POLICE
from service.channels.config.extension_store import Owner
from service.delivery.inbound.inbound_store import Answered
from service.delivery.inbound.keywords import InboundKind, TextMeaning
from service.ledger.message_class import NOTICE


class InboundState(StrEnum):
    """Where a text is in its queue."""

    NEW = "new"
    TAKEN = "taken"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Addressed:
    """What a text answers, and whose registered extension it was sent to."""

    answered: Answered | None = None
    owner: Owner | None = None
    extension: str | None = None

    @property
    def department_id(self) -> UUID | None:
        """The department that the text is for; None: nobody knows."""
        if self.owner:
            return self.owner.department_id
        return self.answered.department_id if self.answered else None

    @property
    def is_for_police(self) -> bool:
        """Whether that department is one of the police."""
        if self.owner:
            return self.owner.kind == POLICE
        return self.answered is not None and self.answered.department_kind == POLICE


@dataclass(frozen=True, slots=True)
class InboundPlace:
    """Whose a text is to read, None: the county's; and whether it waits for them."""

    department_id: UUID | None
    state: InboundState


def route(meaning: TextMeaning, to: Addressed, police: UUID | None) -> InboundPlace:
    """Where a text goes, and whether a person is to look at it.

    An opt-out in answer to a work notice stops publicity like any other; whether the notices stop
    too is for the department to decide, unless it lets them end so. An answer to nothing that we
    sent counts for no run. Whether a text is ours is answered without anybody.
    """
    department, answered = to.department_id, to.answered
    if meaning.kind is InboundKind.CLUE:
        if not to.is_for_police:
            department = police or department
        return InboundPlace(department, InboundState.NEW)
    if meaning.kind is InboundKind.OPT_OUT:
        notice = answered is not None and answered.message_class == NOTICE
        undecided = notice and not (answered and answered.ends_notices)
        return InboundPlace(department, InboundState.NEW if undecided else InboundState.DONE)
    if meaning.kind is InboundKind.CHECK:
        return InboundPlace(department, InboundState.DONE)
    counted = meaning.kind is InboundKind.ANSWER and answered is not None
    return InboundPlace(department, InboundState.DONE if counted else InboundState.NEW)
