"""What a message to a work group says (pure): counts of what waits, and lines that name units.

No name of a person and no number is in it. Titles are typed by people: whatever in one looks like a
mobile number is masked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from service.clock import CHINA
from service.delivery.notices.notice_choice import NoticeKind
from service.delivery.notices.notice_text import sentence
from service.delivery.notices.robot import MOST_OCTETS, RobotNotice
from service.logs import masked
from service.words.phrase import Phrase, listing, pair, phrase

MOST_UNITS = 10
"""So many units a line names; of more it says how many there are."""
MOST_TITLE, MOST_NAME = 40, 20
"""Characters of a title, and of a unit's name."""
_FOR_THE_REST = 64
"""Octets kept free for the line that says how many lines are left out."""


class UnitNotice(NamedTuple):
    """What a line of a message is about. title: of an obligation, or the week of a relay. due_at:
    of the duty or the relay. groups: of a relay.
    """

    kind: RobotNotice
    unit: str
    title: str
    due_at: datetime
    groups: int


def text_of_post(
    counts: Mapping[NoticeKind, int],
    units: Sequence[UnitNotice],
    console: str | None,
    language: str,
) -> str:
    """What a message says: a line for each thing that units owe or began, what waits, and the
    console's address. What a robot has no room for is counted.
    """
    end = _end(counts, console).in_language(language)
    lines = [masked(line.in_language(language)) for line in _lines(units)]
    room = MOST_OCTETS - len(end.encode()) - _FOR_THE_REST
    said: list[str] = []
    for place, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            said.append(phrase("and {count} more", count=len(lines) - place).in_language(language))
            break
        said.append(line)
    return "\n".join([*said, end])


def _end(counts: Mapping[NoticeKind, int], console: str | None) -> Phrase:
    if counts:
        return sentence(counts, console)
    if console:
        return phrase("Log in to see: {console}", console=console)
    return phrase("Log in to the console to see.")


def _lines(units: Sequence[UnitNotice]) -> list[Phrase]:
    """A line a kind, title and deadline, in this order of kinds; each unit once."""
    order = list(RobotNotice)
    found: dict[tuple[int, datetime, str], set[UnitNotice]] = {}
    for one in units:
        found.setdefault((order.index(one.kind), one.due_at, one.title), set()).add(one)
    return [_line(sorted(together)) for _, together in sorted(found.items())]


def _line(together: Sequence[UnitNotice]) -> Phrase:
    first = together[0]
    title, when = _cut(first.title, MOST_TITLE), _when(first.due_at)
    if first.kind is RobotNotice.RELAY:
        return phrase(
            "passed on in {week}: {units} began, {count:,} groups, answers by {when}",
            week=title,
            units=_units(together),
            count=sum(one.groups for one in together),
            when=when,
        )
    if first.kind is RobotNotice.REMINDER:
        return phrase(
            "{title}, due {when}: {units}", title=title, when=when, units=_units(together)
        )
    if first.kind is RobotNotice.LATE:
        return phrase(
            "late: {title}, was due {when}: {units}",
            title=title,
            when=when,
            units=_units(together),
        )
    return phrase(
        "late list: {title}, was due {when}: {units}",
        title=title,
        when=when,
        units=_units(together),
    )


def _units(together: Sequence[UnitNotice]) -> Phrase:
    names = [_cut(one.unit, MOST_NAME) for one in together]
    named = listing(names[:MOST_UNITS])
    if len(names) <= MOST_UNITS:
        return named
    return phrase("{units} and others, {count:,} units", units=named, count=len(names))


def _when(at: datetime) -> Phrase:
    local = at.astimezone(CHINA)
    return pair(f"{local.month}月{local.day}日{local:%H:%M}", f"{local:%Y-%m-%d %H:%M}")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
