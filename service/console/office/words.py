"""What departments, roles, modes of keys and states of proposals are called."""

from collections.abc import Mapping
from typing import Final

from service.accounts.keys.key import Mode
from service.accounts.people.model import Right, Role
from service.console.language import Language
from service.words.phrase import Phrase, phrase

KINDS: Final[Mapping[str, Phrase]] = {
    "county": phrase("county office"),
    "police": phrase("police"),
    "education": phrase("education bureau"),
    "finance": phrase("finance bureau"),
    "civil_affairs": phrase("civil affairs bureau"),
    "market_regulation": phrase("market regulation bureau"),
    "culture": phrase("culture bureau"),
    "town": phrase("town"),
    "school": phrase("school"),
    "college": phrase("college"),
    "carrier": phrase("carrier"),
    "department": phrase("other department"),
}
ROLES: Final[Mapping[str, Phrase]] = {
    "admin": phrase("administrator"),
    "operator": phrase("operator"),
    "approver": phrase("approver"),
    "viewer": phrase("viewer"),
    "inspector": phrase("inspector"),
    "auditor": phrase("auditor"),
    "liaison": phrase("liaison"),
}
MODES: Final[Mapping[str, Phrase]] = {
    Mode.LIVE.value: phrase("live: it sends"),
    Mode.TRIAL.value: phrase("trial: only guests of the department get texts"),
    Mode.TEST.value: phrase("test: nothing is ever sent"),
}
KEY_STATES: Final[Mapping[str, Phrase]] = {
    "pending": phrase("waits for a second person"),
    "active": phrase("works"),
    "expired": phrase("expired"),
    "revoked": phrase("out of service"),
}
PROPOSAL_STATES: Final[Mapping[str, Phrase]] = {
    "pending": phrase("waits for a second person"),
    "confirmed": phrase("confirmed"),
    "replaced": phrase("replaced by another proposal"),
    "expired": phrase("nobody confirmed it in time"),
    "narrowed": phrase("rights were only taken away"),
}


def options(words: Mapping[str, Phrase], language: Language) -> list[tuple[str, str]]:
    """The choices of a field, in the reader's language."""
    return [(code, language.say(word)) for code, word in words.items()]


def roles(language: Language) -> list[tuple[str, str]]:
    """The roles that there are, as choices."""
    return [(role.value, language.say(ROLES.get(role.value, role.value))) for role in Role]


def rights(language: Language) -> Mapping[str, str]:
    """By the name of a right, what it lets one do."""
    return {right.word: language.say(right.value) for right in Right}
