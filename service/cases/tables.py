"""What of a table of counts may be seen by whom: the public, and each kind of department (pure).

A count below the county's `small_count` can point at a person, and a hidden one is found by
subtraction from a total. So no cell is hidden by itself: either the small parts of a total are
shown as one sum that leaves each of them open, or the total is shown alone.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from service.accounts.departments.department import CASE_KINDS
from service.cases.figures import CaseTotal


class Published(NamedTuple):
    """Parts of a total as others may see them: those that are shown, and what the rest adds up to.

    rest_parts: how many parts the rest has; rest: their sum. None for both: all are shown. hidden:
    the total is shown alone.
    """

    shown: Mapping[str, int]
    rest_parts: int | None = None
    rest: int | None = None
    hidden: bool = False


def publish(parts: Mapping[str, int], small: int) -> Published:
    """The parts of a total, zeros among them, of which none below `small` can be found out.

    A reader who knows this rule learns of each part of the rest no more than that it may be
    anything from 0 to `small` - 1.
    """
    rest = {name: count for name, count in parts.items() if count < small}
    total = sum(rest.values())
    if total == 0:
        return Published(dict(parts))
    shown = {name: count for name, count in parts.items() if count >= small}
    if shown and small <= total <= (len(rest) - 1) * (small - 1):
        return Published(shown, len(rest), total)
    return Published({}, hidden=True)


def public_loss(total: CaseTotal, small: int) -> float | None:
    """The loss of a county's week as the public may see it, in 万元 to one decimal; None: it is not
    shown, since too few cases make it up or one case makes up more than four fifths of it.
    """
    if total.cases < small or total.largest_case_yuan * 5 > total.loss_yuan * 4:
        return None
    return (total.loss_yuan + 500) // 1000 / 10


def corrected_loss(before: tuple[int, float | None], total: CaseTotal, small: int) -> float | None:
    """The loss in a corrected release; None: beside the one before it would tell that of few cases.

    before: the cases and the loss of the release before.
    """
    loss = public_loss(total, small)
    cases, shown = before
    if loss == shown and cases == total.cases:
        return loss
    return loss if abs(total.cases - cases) >= small else None


class CaseSight(StrEnum):
    """What of the exact figures somebody may see."""

    ALL = "all"
    TOWN = "town"
    TOTALS = "totals"


def sight_of(kind: str, *, sees_all: bool) -> CaseSight:
    """What a user of a department of this kind may see. sees_all: an inspector, or an auditor of
    the county.
    """
    if kind in CASE_KINDS or sees_all:
        return CaseSight.ALL
    return CaseSight.TOWN if kind == "town" else CaseSight.TOTALS
