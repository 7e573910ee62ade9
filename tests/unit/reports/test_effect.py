"""Did it help: the watch over weeks, towns beside chance, the worked example."""

import random
from decimal import Decimal
from math import exp
from statistics import mean

import pytest

from service.audience.areas.area import AreaTree, packaged_areas
from service.cases.exact import poisson_at_least
from service.cases.figures import CaseBook, CaseFigure
from service.cases.week import Period, weeks_before, weeks_between
from service.reports.effect.cusum import LEAST_RUN, CusumRule, cusum, cusum_rule
from service.reports.effect.effect import (
    INNER,
    OUTER,
    books_by,
    change_of,
    funnel_of,
    halves_of,
    poisson_limits,
    trend_of,
)
from tests.harness.case_data import book, week

QUARTER = Period(2027, "Q1")
JINGYANG, SANXI = "341825100000", "341825102000"


def test_the_rule_of_a_county_of_four_and_a_half_cases_a_week() -> None:
    rule = cusum_rule(4.5)
    assert rule is not None
    assert (rule.reference, rule.bound) == (5.5, 7.5)
    assert rule.weeks_without_change >= LEAST_RUN
    assert (round(rule.weeks_to_half_more, 1), round(rule.weeks_to_twice, 1)) == (6.3, 2.8)


@pytest.mark.parametrize("usual", [0.3, 1.3, 4.5, 10.0, 30.0])
def test_run_lengths_are_those_of_a_simulation(usual: float) -> None:
    rule = cusum_rule(usual)
    assert rule is not None
    chances = random.Random(341825)

    def drawn(rate: float) -> int:
        """A Poisson variable: arrivals within one."""
        count, product = 0, chances.random()
        while product > exp(-rate):
            count, product = count + 1, product * chances.random()
        return count

    def weeks_to_alarm(rate: float) -> int:
        total, weeks = 0.0, 0
        while total < rule.bound:
            total = max(0.0, total + drawn(rate) - rule.reference)
            weeks += 1
        return weeks

    for rate, length in ((usual, rule.weeks_without_change), (2 * usual, rule.weeks_to_twice)):
        seen = mean(weeks_to_alarm(rate) for _ in range(1_000))
        assert seen == pytest.approx(length, rel=0.12)


def test_a_lower_bound_would_alarm_too_often() -> None:
    for tenths in range(1, 120):
        rule = cusum_rule(tenths / 10)
        assert rule is not None
        assert rule.weeks_without_change >= LEAST_RUN
        assert rule.weeks_to_twice < rule.weeks_to_half_more < rule.weeks_without_change
    assert cusum_rule(0.0) is None


def test_after_an_alarm_the_watch_begins_again() -> None:
    rule = CusumRule(5.5, 7.5, 100.0, 6.3, 2.8)
    assert list(cusum([4, 9, 9, 4, 9], rule)) == [
        (0.0, False),
        (3.5, False),
        (7.0, False),
        (5.5, False),
        (9.0, True),
    ]
    assert list(cusum([13, 0], rule)) == [(7.5, True), (0.0, False)]


def test_the_funnel_of_the_worked_example() -> None:
    tree = AreaTree(packaged_areas())
    towns = [code for code, area in tree.areas.items() if area.level == "town"]
    weeks = weeks_between(QUARTER.first, QUARTER.last)
    cases = {code: change_of(book(), weeks, tree.subtree(code)).now or 0 for code in towns}
    people = {code: tree.areas[code].population or 0 for code in towns}
    assert sum(cases.values()) == 42
    places = {place.area: place for place in funnel_of(cases, people, 42)}
    jingyang, sanxi = places[JINGYANG], places[SANXI]
    assert (jingyang.cases, round(jingyang.expected, 1), jingyang.inner) == (14, 13.9, (7, 22))
    assert (sanxi.cases, round(sanxi.expected, 1), sanxi.inner) == (6, 3.8, (1, 8))
    assert not any(place.outside for place in places.values())


@pytest.mark.parametrize("expected", [0.01, 0.4, 3.8, 13.9, 250.0, 4_000.0])
@pytest.mark.parametrize("level", [INNER, OUTER])
def test_limits_are_the_quantiles_of_both_tails(expected: float, level: float) -> None:
    low, high = poisson_limits(expected, level)
    tail = (1 - level) / 2
    assert 1 - poisson_at_least(low + 1, expected) >= tail
    assert low == 0 or 1 - poisson_at_least(low, expected) < tail
    assert poisson_at_least(high + 1, expected) <= tail
    assert poisson_at_least(high, expected) > tail or high == low


def test_a_town_far_from_its_share_lies_outside() -> None:
    found = funnel_of({"a": 30, "b": 2}, {"a": 1_000, "b": 1_000, "c": 0}, 32)
    assert [(place.area, place.expected, place.outside) for place in found] == [
        ("a", 16.0, "inner"),
        ("b", 16.0, "outer"),
    ]
    assert funnel_of({}, {"a": 1_000}, 0) == []


def test_figures_are_split_by_towns_and_those_of_no_town_are_left_out() -> None:
    weeks = [week("2027-W01"), week("2027-W02")]
    figures = [CaseFigure(weeks[at % 2], area, "T01", 1, 0) for at, area in enumerate("aabx")]
    found = books_by(["A", "B", "C"], CaseBook(weeks, figures), {"a": "A", "b": "B"}.get)
    assert {town: len(own.figures) for town, own in found.items()} == {"A": 2, "B": 1, "C": 0}
    assert {own.covered for own in found.values()} == {frozenset(weeks)}


def test_the_change_of_the_worked_example() -> None:
    change = change_of(book(), weeks_between(QUARTER.first, QUARTER.last))
    assert (change.now, change.before) == (42, 58)
    assert change.interval is not None
    assert [round((end - 1) * 100, 1) for end in change.interval] == [-52.5, 9.6]
    assert change.chance is not None
    assert round(change.chance, 3) == 0.067


def test_what_is_not_covered_is_unknown() -> None:
    change = change_of(book(), weeks_between(week("2027-W13"), week("2027-W14")))
    assert (change.now, change.before, change.ratio, change.interval, change.chance) == (
        None,
        change.before,
        None,
        None,
        None,
    )
    week_53 = change_of(book(), weeks_between(week("2026-W52"), week("2026-W53")))
    assert week_53.before is None, "of 2025 nothing is covered"


def test_the_trend_of_a_quarter() -> None:
    trend = trend_of(book(), QUARTER, week("2027-W13"))
    usual = book().total(weeks_before(week("2027-W01"), 52))
    assert usual is not None
    assert trend.usual == usual.cases / 52
    assert len(trend.weeks) == 13
    assert sum(one.cases or 0 for one in trend.weeks) == 42
    assert sum(one.last_year or 0 for one in trend.weeks) == 58
    assert not any(one.alarm for one in trend.weeks)
    assert [str(one.week) for one in trend_of(book(), QUARTER, week("2027-W02")).weeks] == [
        "2027-W01",
        "2027-W02",
    ]


def test_with_less_than_half_a_year_nobody_knows_what_is_usual() -> None:
    short = CaseBook(weeks_before(week("2027-W01"), 25), [])
    trend = trend_of(short, QUARTER, week("2027-W03"))
    assert (trend.usual, trend.rule) == (None, None)
    assert [(one.cases, one.total) for one in trend.weeks] == [(None, None)] * 3


def test_a_rise_is_an_alarm_and_a_week_without_figures_adds_nothing() -> None:
    earlier = weeks_before(week("2027-W01"), 52)
    weeks = [one for one in QUARTER.weeks if str(one) != "2027-W02"]
    figures = [CaseFigure(one, "a", "T01", 4, 0) for one in earlier]
    figures += [CaseFigure(one, "a", "T01", 10, 0) for one in weeks]
    trend = trend_of(CaseBook([*earlier, *weeks], figures), QUARTER, week("2027-W04"))
    assert trend.rule is not None
    assert trend.rule.reference == 4.9
    assert [(one.total, one.alarm) for one in trend.weeks] == [
        (5.1, False),
        (None, False),
        (10.2, True),
        (5.1, False),
    ]


def test_villages_are_split_at_the_median_of_coverage() -> None:
    weeks = QUARTER.weeks
    before = [one.year_before for one in weeks]
    covered = {"a": Decimal(40), "b": Decimal(60), "c": Decimal(80)}
    figures = [CaseFigure(weeks[0], "a", "T01", 3, 0), CaseFigure(weeks[1], "c", "T01", 1, 0)]
    known = CaseBook([*weeks, *(one for one in before if one)], figures)
    halves = halves_of(covered, known, weeks)
    assert halves is not None
    low, high = halves
    assert (low.villages, low.from_pct, low.to_pct, low.change.now) == (
        2,
        Decimal(40),
        Decimal(60),
        3,
    )
    assert (high.villages, high.from_pct, high.to_pct, high.change.now) == (
        1,
        Decimal(80),
        Decimal(80),
        1,
    )
    assert halves_of(dict.fromkeys("ab", Decimal(50)), known, weeks) is None
    assert halves_of({"a": Decimal(50)}, known, weeks) is None
