"""Who will have a place under the caps at each fire to come, reckoned for people who fare alike.

Pure. It goes through the fires of all plans in order, as the ledgers and the hand-offs will: a
ledger leaves out whom the caps would keep waiting beyond the validity, and of the others each takes
a place when its text leaves. `full_until` says in Python what `ledger.caps.spans_end` and
`repeat_ends` say in SQL.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from service.dispatch.limits.caps import CapLimits
from service.ledger.reasons import Reason

SPANS = (timedelta(hours=24), timedelta(hours=168), timedelta(hours=720))
"""Those of the caps; nobody gets the same text again within the last."""

A_MOMENT = timedelta(seconds=1)
"""After its instant a text leaves, so that what leaves at the same time a day later comes after."""


class Had(NamedTuple):
    """A text that somebody has had: when, which (a number of ours; 0: another), and of whom."""

    at: datetime
    text: int
    source: object


@dataclass(frozen=True, slots=True, eq=False)
class Occasion:
    """A fire of any plan. leaves_at: when its hours are open. stops: what a cap stops does not
    wait. after: the fire that it follows as a step of a sequence, to those who were in its ledger.
    written: its ledger is there already. order: who comes first of several at an instant.
    """

    fires_at: datetime
    leaves_at: datetime
    valid_until: datetime | None
    text: int
    source: object
    stops: bool
    opening: Callable[[datetime], datetime]
    after: "Occasion | None" = None
    written: bool = False
    order: int = 0


class CapEffect(NamedTuple):
    """What becomes of a fire's text for somebody. ledger: whether they are in it. reason: why it
    does not leave, or waits; source: whose text was the same. waits: it leaves later.
    """

    ledger: bool
    reason: str | None = None
    source: object = None
    waits: bool = False


_OUT = CapEffect(False)


def full_until(
    had: Sequence[Had], text: int, limits: CapLimits
) -> tuple[datetime | None, str, object]:
    """Until when somebody with these texts, from new to old, has no place for this one; why, and
    whose text was the same. None: there always was.
    """
    most = (limits.per_day, limits.per_week, limits.per_month)
    ends = [
        had[n - 1].at + span
        for n, span in zip(most, SPANS, strict=True)
        if n is not None and n <= len(had)
    ]
    spans = max(ends, default=None)
    same = None if limits.same_text else next((h for h in had if h.text == text), None)
    if same is not None and (spans is None or same.at + SPANS[-1] >= spans):
        return same.at + SPANS[-1], Reason.SAME_TEXT, same.source
    return spans, Reason.CAPPED, None


def fates(
    occasions: Sequence[Occasion], had: Sequence[Had], limits: CapLimits
) -> dict[Occasion, CapEffect]:
    """What becomes of the text of each of these fires, all of which mean somebody who has had
    these texts, from new to old.
    """
    found: dict[Occasion, CapEffect] = {}
    texts = list(had)
    # At one instant, all ledgers are written before anything leaves.
    heap = [(o.fires_at, 0, o.order, n, o) for n, o in enumerate(occasions)]
    heapq.heapify(heap)
    while heap:
        at, is_leaving, order, n, one = heapq.heappop(heap)
        if not is_leaving:
            if one.after is not None and not found.get(one.after, _OUT).ledger:
                continue
            found[one] = _in_ledger(one, texts, limits)
            if found[one].ledger:
                heapq.heappush(heap, (max(at, one.leaves_at), 1, order, n, one))
            continue
        until, reason, source = full_until(texts, one.text, limits)
        if until is None or until <= at:
            texts.insert(0, Had(at + A_MOMENT, one.text, one.source))
            continue
        later = None if one.stops else one.opening(until)
        waits = later is not None and one.valid_until is not None and later < one.valid_until
        found[one] = CapEffect(True, reason, source, waits)
        if waits and later is not None:
            heapq.heappush(heap, (later, 1, order, n, one))
    return found


def _in_ledger(one: Occasion, texts: Sequence[Had], limits: CapLimits) -> CapEffect:
    """Whether a ledger has somebody, as it is written (`expand_store.write_ledger`)."""
    until, reason, source = full_until(texts, one.text, limits)
    if one.written or until is None or until <= one.leaves_at:
        return CapEffect(True)
    waits = not one.stops and one.valid_until is not None and until < one.valid_until
    return CapEffect(True) if waits else CapEffect(False, reason, source)
