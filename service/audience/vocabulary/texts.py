"""Free text cells: what of one is stored, its tags, and its day (import rules §9)."""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from service.audience.vocabulary.cells import WHITE, is_formula, is_placeholder, text_form

MOST_TAGS = 20
LONGEST_TAG = 30
_TAG_ENDS = re.compile("[;,、]")
_PERSONAL_NUMBER = re.compile(
    "(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{16}|[0-9]{19})(?![0-9Xx])"
)  # the shapes of an ID card and of a bank card
_DAY = re.compile(
    "(2[0-9]{3})(?:([-/.年])([0-9]{1,2})(?:[-/.月])([0-9]{1,2})日?|([0-9]{2})([0-9]{2}))"
    "(?: 0?0:00(?::00)?)?"
)
_CACHED_CELLS = 16_384


class CellText(NamedTuple):
    """A free text cell as it is stored, and what to warn of."""

    value: str
    refused: bool = False
    formula: bool = False


@lru_cache(_CACHED_CELLS)
def read_text(cell: str) -> CellText:
    """A free text cell: refused if it holds an ID or bank card number, which is never stored."""
    text = text_form(cell)
    refused = _PERSONAL_NUMBER.search(text) is not None
    return CellText("" if refused else text, refused, is_formula(cell, text))


class Tags(NamedTuple):
    """The tags of a cell, each once, and whether some of it cannot be one."""

    tags: tuple[str, ...]
    refused: bool = False


@lru_cache(_CACHED_CELLS)
def split_tags(text: str) -> Tags:
    """The tags of a text cell, as people separate them: 重点、返乡; 困难,独居."""
    words = dict.fromkeys(word for part in _TAG_ENDS.split(text) if (word := part.strip(WHITE)))
    fit = [word for word in words if len(word) <= LONGEST_TAG and not is_placeholder(word)]
    refused = any(len(word) > LONGEST_TAG for word in words) or len(fit) > MOST_TAGS
    return Tags(tuple(fit[:MOST_TAGS]), refused)


@lru_cache(_CACHED_CELLS)
def read_day(text: str) -> date | None:
    """The day that a stored text means, as offices and workbooks write it; None if it is none."""
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, _, month, day, *together = match.groups()
    try:
        return date(int(year), int(month or together[0]), int(day or together[1]))
    except ValueError:
        return None
