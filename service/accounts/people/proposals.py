"""How long what takes two persons waits for the second one, and where it stands."""

from datetime import datetime, timedelta
from typing import Literal, Protocol

from service.errors import Conflict
from service.words.phrase import phrase
from service.words.terms import term

WAITS = timedelta(days=7)
"""How long a proposal waits, as a submitted campaign does."""

ProposalState = Literal["pending", "confirmed", "replaced", "expired"]


class Proposed(Protocol):
    """What one person proposed for another to confirm."""

    @property
    def proposed_at(self) -> datetime:
        """When it was proposed."""

    @property
    def confirmed_at(self) -> datetime | None:
        """When it was confirmed, if it was."""

    @property
    def replaced_at(self) -> datetime | None:
        """When it was put aside for another one, if it was."""


def state_of(proposal: Proposed, now: datetime) -> ProposalState:
    """Where a proposal stands."""
    if proposal.confirmed_at is not None:
        return "confirmed"
    if proposal.replaced_at is not None:
        return "replaced"
    return "expired" if proposal.proposed_at <= now - WAITS else "pending"


def need_pending(proposal: Proposed, now: datetime) -> None:
    """Refuse to confirm what does not wait (any more).

    Raises:
        Conflict: says where it stands.
    """
    state = state_of(proposal, now)
    if state != "pending":
        raise Conflict(
            phrase("this proposal is {state}; make another one", state=term(state)),
            code="wrong_state",
        )
