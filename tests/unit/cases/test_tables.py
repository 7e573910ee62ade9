"""No count below the county's least can be found out from what is published."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest

from service.cases.figures import CaseTotal
from service.cases.tables import (
    CaseSight,
    Published,
    corrected_loss,
    public_loss,
    publish,
    sight_of,
)
from service.cases.week import Period, weeks_between
from tests.harness.case_data import TOWNS, TYPES, book, week


def table(counts: Sequence[int]) -> dict[str, int]:
    return {str(number): count for number, count in enumerate(counts)}


def seen(counts: Sequence[int], small: int) -> tuple[object, ...]:
    """All that a reader is told: the total, and what is published of its parts."""
    found = publish(table(counts), small)
    return sum(counts), tuple(sorted(found.shown.items())), found[1:]


@pytest.mark.parametrize(
    ("cells", "most", "small"), [(2, 9, 3), (3, 8, 3), (3, 8, 5), (4, 7, 5), (5, 7, 5)]
)
def test_of_each_small_part_at_least_two_values_remain(cells: int, most: int, small: int) -> None:
    """By enumeration of all tables, for a reader who knows the rule: a small part that is not shown
    may always have another value as well.
    """
    alike: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
    for counts in itertools.product(range(most + 1), repeat=cells):
        alike.setdefault(seen(counts, small), []).append(counts)
    given_away = [
        counts
        for said, tables in alike.items()
        for counts in tables
        for cell in range(cells)
        if 0 < counts[cell] < small and len({other[cell] for other in tables}) == 1
    ]
    # A total below `small` says what each of its parts can be at most; no part is given away by it
    # alone. Where the total itself is shown, whoever reads it knows it.
    assert not given_away


def test_the_cases_of_the_rule() -> None:
    assert publish({"a": 7, "b": 0}, 5) == Published({"a": 7, "b": 0})
    assert publish({"a": 7, "b": 3, "c": 4}, 5) == Published({}, hidden=True)
    assert publish({"a": 7, "b": 3, "c": 2, "d": 1}, 5) == Published({"a": 7}, 3, 6)
    assert publish({"a": 7, "b": 1}, 5).hidden  # one part would be found by subtraction
    assert publish({"a": 3, "b": 3}, 5).hidden  # no part is left to show


@pytest.mark.parametrize(("cells", "most", "small"), [(4, 7, 5), (4, 6, 3), (5, 5, 3)])
def test_each_part_of_a_rest_may_be_anything_below(cells: int, most: int, small: int) -> None:
    alike: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
    for counts in itertools.product(range(most + 1), repeat=cells):
        if publish(table(counts), small).rest_parts is not None:
            alike.setdefault(seen(counts, small), []).append(counts)
    assert alike
    for tables in alike.values():
        rest = [cell for cell in range(cells) if tables[0][cell] < small]
        for cell in rest:
            assert {other[cell] for other in tables} == set(range(small))


def by_town(first: str, last: str) -> dict[str, int]:
    weeks = set(weeks_between(week(first), week(last)))
    counts = Counter(dict.fromkeys(TOWNS, 0))
    for figure in book().figures:
        if figure.week in weeks:
            counts[figure.area[:9] + "000"] += figure.cases
    return dict(counts)


def by_type(period: Period) -> dict[str, int]:
    counts = Counter(dict.fromkeys(TYPES, 0))
    for figure in book().figures:
        if figure.week in period.weeks:
            counts[figure.fraud_type] += figure.cases
    return dict(counts)


def test_the_quarters_of_the_worked_example() -> None:
    found = publish(by_town("2027-W01", "2027-W13"), 5)
    assert found == Published({"341825100000": 14, "341825102000": 6}, 8, 22)
    found = publish(by_town("2026-W01", "2026-W13"), 5)
    assert (sorted(found.shown.values()), found.rest_parts, found.rest) == ([5, 5, 6, 8, 21], 5, 13)
    found = publish(by_type(Period(2027, "Q1")), 5)
    assert found == Published({"T01": 12, "T02": 7, "T04": 8, "T07": 5}, 14, 10)


@pytest.mark.parametrize("counts", [(4, 1, 1), (9, 5, 1), (9, 4, 4, 4), (1, 1)])
def test_tables_of_the_worked_example_without_a_breakdown(counts: Sequence[int]) -> None:
    assert publish(table(counts), 5).hidden


def test_no_week_of_the_file_lets_a_town_through() -> None:
    weeks = weeks_between(week("2026-W01"), week("2027-W13"))
    shown = [w for w in weeks if not publish(by_town(str(w), str(w)), 5).hidden]
    assert [w for w in shown if sum(by_town(str(w), str(w)).values())] == []
    at_three = [w for w in weeks if not publish(by_town(str(w), str(w)), 3).hidden]
    assert len([w for w in at_three if sum(by_town(str(w), str(w)).values())]) == 8


def test_the_loss_of_weeks() -> None:
    def loss_of(text: str) -> float | None:
        total = book().total([week(text)])
        assert total is not None
        return public_loss(total, 5)

    assert loss_of("2026-W38") == 22.5
    assert loss_of("2027-W03") is None  # two cases


def test_a_loss_of_which_one_case_is_more_than_four_fifths_is_not_shown() -> None:
    assert public_loss(CaseTotal(5, 100_000, 80_000, 80_000), 5) == 10.0
    assert public_loss(CaseTotal(5, 100_000, 80_001, 80_001), 5) is None
    assert public_loss(CaseTotal(5, 100_000, 90_000, 0), 5) == 10.0  # a row of several cases


def test_a_correction_does_not_tell_the_loss_of_few_cases() -> None:
    total = CaseTotal(7, 260_000, 40_000, 40_000)
    assert corrected_loss((6, 22.5), total, 5) is None  # one case more, whose loss would show
    assert corrected_loss((7, 26.0), total, 5) == 26.0
    assert corrected_loss((2, None), total, 5) == 26.0
    assert corrected_loss((7, 30.0), total, 5) is None


def test_who_sees_what() -> None:
    assert sight_of("police", sees_all=False) is CaseSight.ALL
    assert sight_of("county", sees_all=False) is CaseSight.ALL
    assert sight_of("finance", sees_all=True) is CaseSight.ALL
    assert sight_of("town", sees_all=False) is CaseSight.TOWN
    assert sight_of("school", sees_all=False) is CaseSight.TOTALS
