"""Somebody who reads only what is public, knows every rule, and tries to name a small cell.

What is said of a table is the total, the parts that are shown, and the number and sum of the rest;
or that there is no breakdown. From that each part has a set of values that are possible: those of
all tables of which the same would be said. A cell is named if one value of 1 … k−1 alone is left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple


class NamedCell(NamedTuple):
    """A cell that was found out."""

    period: str
    part: str
    cases: int


def possible(
    table: Mapping[str, Any], parts: Sequence[str], total: int, k: int
) -> dict[str, set[int]]:
    """The values that each part may have, for a reader who knows the rule."""
    if not table["hidden"] and table["rest_parts"] is None:
        return {part: {table["shown"].get(part, 0)} for part in parts}
    if not table["hidden"]:
        m, rest = table["rest_parts"], table["rest"]
        low, high = max(0, rest - (m - 1) * (k - 1)), min(k - 1, rest)
        shown = table["shown"]
        return {p: {shown[p]} if p in shown else set(range(low, high + 1)) for p in parts}
    values = {v for v in range(total + 1) if _hidden_with(v, len(parts), total, k)}
    return dict.fromkeys(parts, values)


def _hidden_with(value: int, parts: int, total: int, k: int) -> bool:
    """Whether there is a table with this value, of which no breakdown would be shown."""
    for small in range(parts):  # of the other parts so many are below k
        large = parts - 1 - small
        for rest in range(small * (k - 1) + 1):
            above = total - value - rest
            if above < 0 or (above > 0 and not large) or above < large * k:
                continue
            m, s = small + (value < k), rest + (value if value < k else 0)
            shows = large > 0 or value >= k
            if s and not (shows and k <= s <= (m - 1) * (k - 1)):
                return True
    return False


def named(
    answers: Iterable[Mapping[str, Any]], towns: Sequence[str], kinds: Sequence[str], k: int
) -> set[NamedCell]:
    """The cells that can be named from public answers, in the order in which they came."""
    found: set[NamedCell] = set()
    weeks: dict[str, Mapping[str, Any]] = {}
    quarters: dict[str, list[Mapping[str, Any]]] = {}
    for answer in answers:
        weeks.setdefault(answer["week"], answer)
        if answer["quarter"]:
            quarters.setdefault(answer["quarter"]["period"], []).append(answer["quarter"])
    exact: dict[tuple[str, str], int] = {}
    for period, told, of in _tables(weeks, quarters):
        parts = towns if of == "towns" else kinds
        table = told[of]
        for part, values in possible(table, parts, told["cases"], k).items():
            if len(values) == 1:
                (value,) = values
                exact[period, part] = value
                if 0 < value < k:
                    found.add(NamedCell(period, part, value))
    found |= _by_subtraction(exact, weeks, quarters, towns, k)
    for period, versions in quarters.items():
        for one, next_one in pairwise(versions):
            for of in ("towns", "kinds"):
                found |= _by_correction(period, one, next_one, of, k)
    return found


def _tables(
    weeks: Mapping[str, Mapping[str, Any]], quarters: Mapping[str, list[Mapping[str, Any]]]
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for period, told in weeks.items():
        if told["towns"]:
            yield period, told, "towns"
    for period, versions in quarters.items():
        for of in ("towns", "kinds"):
            if versions[0][of]:
                yield period, versions[0], of


def _by_subtraction(
    exact: Mapping[tuple[str, str], int],
    weeks: Mapping[str, Mapping[str, Any]],
    quarters: Mapping[str, list[Mapping[str, Any]]],
    towns: Sequence[str],
    k: int,
) -> set[NamedCell]:
    """A town's quarter less all its weeks but one is that week."""
    found = set()
    for period in quarters:
        inside = [week for week in weeks if quarter_of_text(week) == period]
        for town in towns:
            unknown = [week for week in inside if (week, town) not in exact]
            if (period, town) in exact and len(inside) == 13 and len(unknown) == 1:
                rest = exact[period, town] - sum(exact.get((w, town), 0) for w in inside)
                if 0 < rest < k:
                    found.add(NamedCell(unknown[0], town, rest))
    return found


def _by_correction(
    period: str, one: Mapping[str, Any], next_one: Mapping[str, Any], of: str, k: int
) -> set[NamedCell]:
    """Two versions of a table, for whoever supposes that a small correction touched one part."""
    if not one[of] or not next_one[of]:
        return set()
    change = (next_one["corrected_by"] or 0) - (one["corrected_by"] or 0)
    before, after = one[of]["shown"], next_one[of]["shown"]
    came = {part: after[part] - change for part in after.keys() - before.keys()}
    went = {part: before[part] + change for part in before.keys() - after.keys()}
    return {NamedCell(period, part, n) for part, n in {**came, **went}.items() if 0 < n < k}


def quarter_of_text(week: str) -> str:
    """The quarter of a week, both as they are written."""
    year, number = week.split("-W")
    return f"{year}-Q{min((int(number) - 1) // 13, 3) + 1}"
