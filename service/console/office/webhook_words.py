"""What events, calls and ends of webhooks are called (pure)."""

from collections.abc import Mapping
from typing import Final

from service.words.phrase import Phrase, phrase

EVENTS: Final[Mapping[str, Phrase]] = {
    "message.final": phrase("a text has its end"),
    "run.finished": phrase("a run is over"),
    "inbound.received": phrase("somebody wrote back"),
    "import.finished": phrase("a file was read"),
    "quota.warning": phrase("four fifths of a quota are used"),
    "webhook.disabled": phrase("another webhook is called no more"),
    "stop_all.stopped": phrase("all sending was stopped"),
    "stop_all.lifted": phrase("all sending goes on"),
    "campaign.held": phrase("a campaign is held"),
    "campaign.released": phrase("a campaign was released"),
    "campaign.paused": phrase("a campaign was paused"),
    "campaign.resumed": phrase("a campaign goes on"),
    "campaign.returned": phrase("a campaign was returned"),
    "campaign.reopened": phrase("an approval was taken back"),
    "campaign.not_firing": phrase("a campaign does not fire"),
    "fire.held": phrase("a fire is held"),
    "fire.released": phrase("a fire was released"),
    "fire.missed": phrase("a fire was missed"),
    "fire.skipped": phrase("a fire was left out"),
    "fire.late": phrase("a fire came late"),
    "fire.leg_left_out": phrase("a fire went without a leg"),
    "leg.asked": phrase("a leg was asked for"),
    "leg.withdrawn": phrase("a leg is asked for no more"),
    "leg.taken": phrase("a leg was taken"),
    "leg.returned": phrase("a leg was returned"),
    "leg.left_out": phrase("a leg was left out"),
    "leg.cancelled": phrase("a leg was cancelled"),
    "channel.shut": phrase("a channel was shut"),
    "channel.recovered": phrase("a channel works again"),
    "text.revised": phrase("a text taken over has a new version"),
    "text.corrected": phrase("a text taken over was wrong"),
    "text.withdrawn": phrase("a text taken over was withdrawn"),
    "bulletin.issued": phrase("a bulletin was issued"),
    "followup.closed": phrase("a follow-up is closed"),
    "duty.late": phrase("something owed was not in by its time"),
    "report.built": phrase("a pack of weekly reports is built"),
}
"""What a webhook may be told of, in the order of its form."""

TEST: Final = "webhook.test"

CALL_STATES: Final[Mapping[str, Phrase]] = {
    "waiting": phrase("will be called"),
    "delivered": phrase("taken"),
    "given_up": phrase("given up after 24 hours"),
}
WHICH: Final[Mapping[str, Phrase]] = {
    "given_up": phrase("only those that were given up"),
    "all": phrase("all, also those that were taken"),
}
_ENDS: Final = (
    ("switched off", phrase("switched off by a person")),
    ("the receiver answered 410", phrase("its program answered that it wants no more calls")),
    ("no call was taken for 24 hours", phrase("no call was taken for 24 hours")),
)
_FAULTS: Final = (
    ("the address is in a private network", phrase("the address is in a closed network")),
    ("no connection", phrase("no connection")),
    ("no answer", phrase("no answer")),
)


def event_word(event: str) -> str:
    """What an event is called; of one that is not known here, its own name."""
    return phrase("a test") if event == TEST else EVENTS.get(event, event)


def end_word(why: str) -> str:
    """Why a webhook is called no more."""
    return _begun(why, _ENDS)


def fault_word(error: str, status: int | None) -> str:
    """Why a call was not taken; "": it was."""
    if status is not None and error:
        return phrase("answered with the status {status}", status=status)
    return _begun(error, _FAULTS)


def _begun(text: str, words: tuple[tuple[str, Phrase], ...]) -> str:
    """The words of a text by how it begins; one that is not known here as it is."""
    return next((word for beginning, word in words if text.startswith(beginning)), text)
