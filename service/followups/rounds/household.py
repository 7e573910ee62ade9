"""Households as people write them, and what may be written down of a visit (pure).

A household is a label: where it is, never whose it is ("三组12号").
"""

import re
import unicodedata
from typing import Final

from service.errors import Invalid
from service.followups.ladder import PersonState, VisitResult
from service.words.phrase import Phrase, phrase

LONGEST_LABEL = 40
MOST_SPOKEN_TO = 99

HOUSEHOLD_RESULTS: Final = tuple(r for r in VisitResult if r is not VisitResult.NO_SUCH_PERSON)
"""What can come of going to a household: a house in which nobody lives any more is `moved`."""

HOUSEHOLD_STATES: Final = (
    PersonState.TOLD,
    PersonState.OPEN,
    PersonState.REFUSED,
    PersonState.MOVED,
    PersonState.EXCUSED,
)
"""Where a household stands that somebody went to; `open`: nobody was at home so far."""

_DIGITS = {sign: str(value) for value, sign in enumerate("零一二三四五六七八九")} | {
    "〇": "0",
    "两": "2",
}
_NUMERALS = re.compile(f"[{''.join(_DIGITS)}十百]+")
_SIGNS = re.compile(r"[\W_]+")
_PERSONAL = re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])|[0-9]{13,}[xX]?")


def label_form(label: str) -> str:
    """A label without what people write differently each time: "三组 12号", "3组-12号" and
    "３组１２号" are one household.
    """
    text = _SIGNS.sub("-", unicodedata.normalize("NFKC", label).casefold()).strip("-")
    text = _NUMERALS.sub(lambda found: _number(found[0]), text)
    # A sign between two figures tells them apart; any other one says nothing.
    return re.sub("(?<![0-9])-|-(?![0-9])", "", text)


def label_problem(label: str) -> Phrase | None:
    """Why a text is no label of a household; None: it is one."""
    if not label_form(label):
        return phrase("say where the household is, such as 三组12号")
    if len(label) > LONGEST_LABEL:
        return phrase("at most {most} characters", most=LONGEST_LABEL)
    if _PERSONAL.search(unicodedata.normalize("NFKC", label)):
        return phrase("a household is where it is: no phone number and no identity card")
    return None


def check_spoken_to(result: VisitResult, spoken_to: int) -> None:
    """Refuse heads that cannot be.

    Raises:
        Invalid: told, but nobody; or somebody, but not told.
    """
    if result is VisitResult.TOLD and not 1 <= spoken_to <= MOST_SPOKEN_TO:
        raise Invalid.at(
            "spoken_to",
            phrase("say how many people were told there: 1 to {most}", most=MOST_SPOKEN_TO),
            code="spoken_to_invalid",
        )
    if result is not VisitResult.TOLD and spoken_to:
        raise Invalid.at(
            "spoken_to",
            phrase("people are counted only where they were told; leave it out"),
            code="spoken_to_invalid",
        )


def _number(written: str) -> str:
    """Chinese numerals below a thousand as figures; 一〇一 is read sign by sign."""
    if not set(written) & set("十百"):
        return "".join(_DIGITS[sign] for sign in written)
    found = re.fullmatch(
        r"(?:([一二两三四五六七八九])百零?)?(?:([一二三四五六七八九])?(十))?([一二三四五六七八九])?",
        written,
    )
    if found is None:
        return written
    hundreds, tens, ten, ones = found.groups()
    value = 100 * _value(hundreds) + 10 * (_value(tens) or bool(ten)) + _value(ones)
    return str(value)


def _value(sign: str | None) -> int:
    return int(_DIGITS[sign]) if sign else 0
