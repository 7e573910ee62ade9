"""One word for each state that a reader meets: of a text, a run, a channel; and names of carriers.

The pages of all folders take their words from here, so that one state has one word everywhere.
The colour and the shape of a state are those that the kit gives to its code (`_kit.html`, STATES).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.roles import ROLE_TITLES
from service.console.language import CHINESE, Language
from service.ledger import state_words
from service.ledger.message_class import NOTICE, PUBLICITY, WARNING
from service.ledger.reasons import words_of
from service.ledger.states import FAILED, MessageState, RunState
from service.words.phrase import Phrase, phrase

MESSAGE_STATES: Final = state_words.MESSAGE_STATES
RUN_STATES: Final[Mapping[RunState, Phrase]] = {
    RunState.EXPANDING: phrase("its list is being written"),
    RunState.RUNNING: phrase("being sent"),
    RunState.PAUSED: phrase("paused"),
    RunState.SENT: phrase("handed off"),
    RunState.CANCELLED: phrase("ended"),
}
CLASSES: Final[Mapping[str, Phrase]] = {
    PUBLICITY: phrase("publicity"),
    NOTICE: phrase("work notice"),
    WARNING: phrase("warning to the public"),
}


class Share(NamedTuple):
    """Texts of a run that have come equally far: what their states are called together.

    tone: their colour in a bar. state: by which the ledger is filtered.
    """

    word: Phrase
    states: frozenset[MessageState]
    tone: str
    state: MessageState


SHARES: Final = (
    Share(MESSAGE_STATES[MessageState.QUEUED], frozenset({MessageState.QUEUED}), "none",
          MessageState.QUEUED),
    Share(MESSAGE_STATES[MessageState.SUBMITTING], frozenset({MessageState.SUBMITTING}), "warn",
          MessageState.SUBMITTING),
    Share(MESSAGE_STATES[MessageState.SUBMITTED], frozenset({MessageState.SUBMITTED}), "run",
          MessageState.SUBMITTED),
    Share(MESSAGE_STATES[MessageState.DELIVERED], frozenset({MessageState.DELIVERED}), "done",
          MessageState.DELIVERED),
    Share(MESSAGE_STATES[MessageState.UNDELIVERED], FAILED, "bad", MessageState.UNDELIVERED),
    Share(MESSAGE_STATES[MessageState.UNCERTAIN], frozenset({MessageState.UNCERTAIN}), "unsure",
          MessageState.UNCERTAIN),
    Share(MESSAGE_STATES[MessageState.UNKNOWN], frozenset({MessageState.UNKNOWN}), "unsure",
          MessageState.UNKNOWN),
    Share(MESSAGE_STATES[MessageState.SUPPRESSED], frozenset({MessageState.SUPPRESSED}), "idle",
          MessageState.SUPPRESSED),
    Share(MESSAGE_STATES[MessageState.CANCELLED], frozenset({MessageState.CANCELLED}), "idle",
          MessageState.CANCELLED),
)  # fmt: skip
"""All states, each once, in the order in which a text meets them: a target is their sum."""


def reason_word(code: str, language: Language) -> str:
    """Why a text did not leave or arrive, as a clause."""
    return language.plain(words_of(code))


def carrier_word(code: str | None, language: Language) -> str:
    """A carrier's name; of a code that is none, that nobody knows."""
    if code is None or code not in CARRIERS:
        return language.say(phrase("carrier not known"))
    if language.code == CHINESE:
        return CARRIERS[code].split()[0]
    return code.replace("_", " ").title()


def role_word(code: str, language: Language) -> str:
    """What a role is called."""
    return ROLE_TITLES.get(code, code) if language.code == CHINESE else code.replace("_", " ")
