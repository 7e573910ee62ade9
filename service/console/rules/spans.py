"""Spans of hours as people type them: `08:00-11:30, 14:30-20:00`."""

import re
from collections.abc import Sequence

from service.console.asking import Desk
from service.errors import Invalid
from service.words.phrase import phrase

Span = tuple[str, str]

_SPAN = re.compile(r"(\d{1,2})[:：](\d{2})\s*[-–—~～至到]\s*(\d{1,2})[:：](\d{2})")
_BETWEEN = re.compile(r"[\s,，、;；]*")


def spans_of(desk: Desk, name: str, *, needed: bool = True) -> list[Span]:
    """The spans of hours that a field of the form has.

    needed: whether there must be one.

    Raises:
        Invalid: it is no list of spans; `fields` has the field.
    """
    text = desk.typed(name)
    found = [
        (f"{int(first):02}:{begin}", f"{int(last):02}:{end}")
        for first, begin, last, end in _SPAN.findall(text)
    ]
    if not _BETWEEN.fullmatch(_SPAN.sub("", text)) or (needed and not found):
        raise Invalid(
            phrase("the hours cannot be read"),
            fields={name: phrase("write hours like 08:00-11:30, 14:30-20:00")},
        )
    return found


def spans_text(spans: Sequence[Sequence[str]]) -> str:
    """Spans as a field shows them."""
    return ", ".join(f"{first}-{last}" for first, last in spans)
