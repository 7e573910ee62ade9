"""What of the figures is released to the public, and when (pure).

A week's release has the county's total, its loss where many cases make it up, and kinds of fraud by
name. Towns come with the quarter, or with the week where a county has so many cases; never with
both. Kinds of fraud come with the quarter. What was released stays as it was: a correction changes
the county's total alone, and says by how much beside the parts (decision 0496).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from service.cases.figures import CaseBook, CaseTotal
from service.cases.fraud_types import FraudTypes
from service.cases.tables import Published, corrected_loss, public_loss, publish
from service.cases.week import IsoWeek, Period
from service.messages.template import MAX_VALUE

Cells = Mapping[str, Any]
"""A release as it is stored."""


class PublicRules(NamedTuple):
    """By which rules a release is made. small: the county's `small_count`. towns: all of them."""

    small: int
    towns: Collection[str]
    town_of: Callable[[str], str]


def week_cells(
    week: IsoWeek,
    book: CaseBook,
    rules: PublicRules,
    *,
    shows_towns: bool,
    first: Cells | None,
    latest: Cells | None,
) -> dict[str, Any]:
    """A week's release. first, latest: the earlier releases of this week, if it is a correction.

    Raises:
        ValueError: nothing covers the week.
    """
    total = _known(book.total([week]))
    if first is None or latest is None:
        towns = by_town(book, [week], rules) if shows_towns else None
        loss = public_loss(total, rules.small)
        return {"cases": total.cases, "loss_wan": loss, "towns": towns, "corrected_by": 0}
    return {
        "cases": total.cases,
        "loss_wan": corrected_loss((latest["cases"], latest["loss_wan"]), total, rules.small),
        "towns": first["towns"],
        "corrected_by": total.cases - first["cases"],
    }


def quarter_cells(
    quarter: Period, book: CaseBook, rules: PublicRules, types: FraudTypes, *, shows_towns: bool
) -> dict[str, Any]:
    """A quarter's release.

    Raises:
        ValueError: a week of it is not covered.
    """
    total = _known(book.total(quarter.weeks))
    return {
        "cases": total.cases,
        "towns": by_town(book, quarter.weeks, rules) if shows_towns else None,
        "kinds": as_cells(publish(_counts(book, quarter.weeks, types.keys, _kind), rules.small)),
    }


def by_town(book: CaseBook, weeks: Collection[IsoWeek], rules: PublicRules) -> dict[str, Any]:
    """The towns of some weeks, as far as `publish` lets them through."""
    counts = _counts(book, weeks, rules.towns, lambda figure: rules.town_of(figure.area))
    return as_cells(publish(counts, rules.small))


def named_kinds(quarter: Cells | None, types: FraudTypes) -> list[str]:
    """The kinds that a week's release names, by key: those that the last quarter shows, the most
    frequent first; else the four that plans warn of. Those of the week itself would tell of whom
    its few cases are.
    """
    shown = quarter["kinds"]["shown"] if quarter else {}
    if shown:
        return sorted(shown, key=lambda key: (-shown[key], key))
    return [kind.key for kind in types.kinds if kind.four_high]


def as_cells(found: Published) -> dict[str, Any]:
    """What is published of a table, as it is stored."""
    return {
        "hidden": found.hidden,
        "shown": dict(found.shown),
        "rest_parts": found.rest_parts,
        "rest": found.rest,
    }


def period_words(week: IsoWeek) -> str:
    """A week as texts write it: 1月18日至24日."""
    first, last = week.monday, week.sunday
    end = f"{last.day}日" if last.month == first.month else f"{last.month}月{last.day}日"
    return f"{first.month}月{first.day}日至{end}"


def text_values(week: IsoWeek, cells: Cells, kinds: Collection[str]) -> dict[str, str]:
    """What fills the variables of texts from a release; one whose value is hidden is missing.

    kinds: as texts call them. The amount is in 万元, without the unit.
    """
    values = {"周期": period_words(week), "起数": str(cells["cases"])}
    if cells["loss_wan"] is not None:
        values["金额"] = f"{cells['loss_wan']:g}"
    if kinds:
        values["类型"] = _joined(kinds)
    return values


def _joined(kinds: Iterable[str]) -> str:
    """As many kinds as a value of a text has room for, the first ones first."""
    joined = ""
    for kind in kinds:
        longer = f"{joined}、{kind}" if joined else kind
        if len(longer) > MAX_VALUE:
            break
        joined = longer
    return joined


def _kind(figure: Any) -> str:
    return str(figure.fraud_type)


def _counts(
    book: CaseBook,
    weeks: Collection[IsoWeek],
    parts: Collection[str],
    part_of: Callable[[Any], str],
) -> dict[str, int]:
    """Cases by part, zeros among them."""
    wanted = frozenset(weeks)
    counts: Counter[str] = Counter(dict.fromkeys(parts, 0))
    for figure in book.figures:
        if figure.week in wanted:
            counts[part_of(figure)] += figure.cases
    return dict(counts)


def _known(total: CaseTotal | None) -> CaseTotal:
    if total is None:
        raise ValueError("a week is not covered")
    return total
