"""What each state of a text is called where a person reads it (pure): one word for one state."""

from collections.abc import Mapping
from typing import Final

from service.ledger.states import MessageState
from service.words.phrase import Phrase, phrase

MESSAGE_STATES: Final[Mapping[MessageState, Phrase]] = {
    MessageState.QUEUED: phrase("queued"),
    MessageState.SUBMITTING: phrase("being handed to the carrier"),
    MessageState.SUBMITTED: phrase("taken by the carrier"),
    MessageState.DELIVERED: phrase("delivered"),
    MessageState.UNDELIVERED: phrase("not delivered"),
    MessageState.EXPIRED: phrase("not delivered in time"),
    MessageState.REJECTED: phrase("refused by the carrier"),
    MessageState.UNKNOWN: phrase("no receipt in 72 hours"),
    MessageState.UNCERTAIN: phrase("uncertain"),
    MessageState.SUPPRESSED: phrase("stopped before it left"),
    MessageState.CANCELLED: phrase("cancelled before it left"),
}
