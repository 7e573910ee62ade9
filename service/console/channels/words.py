"""What kinds of channels, their settings and carriers' answers are called."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from service.api.channels.channel_forms import ChannelOut
from service.api.channels.channels import KindOut
from service.console.words import MESSAGE_STATES
from service.ledger.states import MessageState
from service.words.phrase import Phrase, phrase

KINDS: Final[Mapping[str, Phrase]] = {
    "cmpp": phrase("China Mobile's gateway (CMPP)"),
    "sgip": phrase("China Unicom's gateway (SGIP)"),
    "smgp": phrase("China Telecom's gateway (SMGP)"),
    "smpp": phrase("a gateway of SMPP"),
    "http": phrase("a provider's HTTP interface"),
    "twilio": phrase("the interface of Twilio"),
    "list_file": phrase("lists for a carrier that sends by itself"),
}
SIGNATURES: Final[Mapping[str, Phrase]] = {
    "ours_head": phrase("we put it at the head of the text"),
    "ours_tail": phrase("we put it at the end of the text"),
    "carrier_head": phrase("the carrier puts it at the head"),
    "carrier_tail": phrase("the carrier puts it at the end"),
}
RECEIPTS: Final[Mapping[str, Phrase]] = {
    "all": phrase("of each part"),
    "last": phrase("of the last part of a text alone"),
}
APPLIES: Final[Mapping[str, Phrase]] = {
    "submit": phrase("Answers to a hand-off"),
    "receipt": phrase("State reports"),
}
SUBMITS: Final[Mapping[str, Phrase]] = {
    "rejected": phrase("refused for good"),
    "unanswered": phrase("uncertain: it may have left"),
    "throttled": phrase("too fast: sent again, slower"),
    "refused_lot": phrase("all refused because of one: each is sent alone"),
    "suspended": phrase("the account may not send for now"),
    "daily_limit": phrase("the amount of the day is used up"),
}
"""What a code in the answer to a hand-off may mean."""
REPORTS: Final[Mapping[str, Phrase]] = {
    "buffered": phrase("on its way, another report follows"),
    "delivered": MESSAGE_STATES[MessageState.DELIVERED],
    "undelivered": MESSAGE_STATES[MessageState.UNDELIVERED],
    "expired": MESSAGE_STATES[MessageState.EXPIRED],
    "rejected": MESSAGE_STATES[MessageState.REJECTED],
    "unknown": phrase("nobody knows; a later report counts"),
}
"""What a code in a state report may mean."""
OUTCOMES: Final[Mapping[str, Mapping[str, Phrase]]] = {"submit": SUBMITS, "receipt": REPORTS}
CHANGES: Final[Mapping[str, Phrase]] = {
    "pending": phrase("waits for a second person"),
    "confirmed": phrase("in force"),
    "replaced": phrase("replaced by another"),
    "expired": phrase("expired"),
}
SOURCES: Final[Mapping[str, Phrase]] = {
    "operator": phrase("entered here"),
    "import": phrase("from a list"),
    "learned": phrase("proved by a delivery"),
}


def kind_word(kind: str) -> str:
    """What a kind of channel is called; one of which nothing is known here by its own name."""
    return KINDS.get(kind, kind)


def place(kind: KindOut) -> int:
    """Where a kind stands among the others: as `KINDS` has them, and what is not there last."""
    return [*KINDS, kind.name].index(kind.name)


def standing(channel: ChannelOut, now: datetime) -> tuple[str, Phrase]:
    """Whether a channel is in use: a state that gives colour and shape, and its word."""
    if channel.waits_since is not None:
        return "asked", phrase("waits for a second person")
    if not channel.enabled:
        return "disabled", phrase("switched off")
    if channel.held_until is not None and channel.held_until > now:
        return "maintenance", phrase("held")
    return "up", phrase("switched on")
