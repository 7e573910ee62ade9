"""What the parts of the hours and of the calendar are called."""

from collections.abc import Mapping
from typing import Final

from service.words.phrase import Phrase, phrase

AUDIENCES: Final[Mapping[str, Phrase]] = {
    "elderly": phrase("to the elderly"),
    "parents": phrase("to parents"),
}
SCHOOL_DAYS: Final[Mapping[str, Phrase]] = {
    "winter_holiday": phrase("Winter holidays begin"),
    "spring_term": phrase("Spring term begins"),
    "summer_holiday": phrase("Summer holidays begin"),
    "autumn_term": phrase("Autumn term begins"),
}
SPAN_KINDS: Final[Mapping[str, Phrase]] = {
    "allowed": phrase("allowed"),
    "limit": phrase("the utmost that an administrator can allow"),
    "preferred": phrase("when people read best"),
}
"""The hours of a class, as the rules name them."""
