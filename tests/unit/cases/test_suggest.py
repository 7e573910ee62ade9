"""What case figures suggest: the county's file against the worked example, and the rule's edges."""

import random
from collections.abc import Iterable

import pytest

from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.segments.segment import canonical, parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import check_areas
from service.cases.figures import CaseBook, CaseFigure
from service.cases.suggest import (
    COUNTY,
    CaseHistory,
    Suggested,
    chance_rises_a_year,
    usual_rates,
)
from service.cases.suggested_audiences import AUDIENCES, SHIPPED, audiences_of, rule_of
from service.cases.week import IsoWeek, weeks_between
from tests.harness.case_data import COVER, TYPES, book, week

SANXI = "341825102000"
VILLAGE = "341825102201"


def town_of(area: str) -> str:
    return area[:9] + "000"


def history(figures: Iterable[CaseFigure] | None = None) -> CaseHistory:
    known = book()
    return CaseHistory(known if figures is None else CaseBook(known.covered, figures), town_of)


def rises(found: Iterable[Suggested]) -> list[tuple[str, str]]:
    return [(one.area, one.fraud_type) for one in found if one.kind == "rise"]


def test_the_countys_file_has_two_rises_and_no_other() -> None:
    known = history()
    found = {str(at): said for at in known.weeks if (said := rises(known.suggested(at)))}
    assert found == {"2026-W29": [(SANXI, "T01")], "2026-W50": [(COUNTY, "T04")]}
    assert COVER == "2026-W01..2027-W13"


def test_the_reasons_of_a_rise_can_be_checked_by_hand() -> None:
    (sanxi,) = [one for one in history().suggested(week("2026-W29")) if one.kind == "rise"]
    assert (str(sanxi.reasons.first), str(sanxi.reasons.last)) == ("2026-W26", "2026-W29")
    assert (sanxi.reasons.cases, sanxi.reasons.expected) == (3, 0.25)
    assert sanxi.reasons.chance == pytest.approx(0.0022, abs=5e-5)
    (county,) = [one for one in history().suggested(week("2026-W50")) if one.kind == "rise"]
    assert county.reasons.cases == 5
    assert county.reasons.expected == pytest.approx(8 * 4 / 26)
    assert county.reasons.chance == pytest.approx(0.0086, abs=5e-5)


def test_the_week_after_a_rise_has_it_still_and_says_nothing_new() -> None:
    """W51 has 6 of 1.38, with a chance of 0.0030; without W50 to say it first it would say it."""
    assert rises(history().suggested(week("2026-W51"))) == []
    earlier = week("2026-W50")
    later = [
        figure._replace(week=week("2026-W51")) if figure.week == earlier else figure
        for figure in book().figures
    ]
    (found,) = [one for one in history(later).suggested(week("2026-W51")) if one.kind == "rise"]
    assert (found.fraud_type, found.reasons.cases) == ("T04", 6)
    assert found.reasons.expected == pytest.approx(1.38, abs=0.005)
    assert found.reasons.chance == pytest.approx(0.0030, abs=5e-5)


def test_the_usual_kinds_are_the_four_most_frequent_of_thirteen_weeks() -> None:
    usual = [one for one in history().suggested(week("2027-W13")) if one.kind == "usual"]
    assert [(one.fraud_type, one.reasons.cases) for one in usual] == [
        ("T01", 12), ("T04", 8), ("T02", 7), ("T07", 5),
    ]  # fmt: skip
    assert {one.area for one in usual} == {COUNTY}


def test_the_order_of_the_rows_changes_nothing() -> None:
    mixed = list(book().figures)
    random.Random(7).shuffle(mixed)
    for at in (week("2026-W29"), week("2026-W50"), week("2027-W13")):
        assert history(mixed).suggested(at) == history().suggested(at)


WEEKS = weeks_between(IsoWeek(2026, 1), IsoWeek(2026, 53))


def made_up(cases: dict[int, int], weeks: list[IsoWeek] | None = None) -> CaseHistory:
    """A county where one village has these cases of one kind, by the number of the week."""
    covered = WEEKS if weeks is None else weeks
    figures = [
        CaseFigure(WEEKS[at - 1], VILLAGE, "T01", count, count * 1_000)
        for at, count in cases.items()
        if WEEKS[at - 1] in covered
    ]
    return CaseHistory(CaseBook(covered, figures), town_of)


def said_in(known: CaseHistory) -> list[int]:
    return [at.number for at in known.weeks if rises(known.suggested(at))]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ({20: 2}, []),  # too few for a town
        ({20: 3}, [20]),  # once, not in the three weeks that have it still
        ({13: 3}, []),  # as long as it is among four weeks, twelve or fewer are before them
        ({14: 3}, [17]),  # thirteen
        ({20: 1, 22: 1, 23: 1}, [23]),
        ({20: 1, 22: 1, 24: 1}, []),  # never three in four weeks
        ({20: 3, 27: 4}, [20]),  # it held in weeks 20 to 23: three weeks without
        ({20: 3, 28: 4}, [20, 28]),  # four
    ],
)
def test_a_rise_is_said_once_and_again_after_four_weeks_without(
    cases: dict[int, int], said: list[int]
) -> None:
    assert said_in(made_up(cases)) == said


def test_what_is_usual_in_a_town_is_no_rise() -> None:
    often = dict.fromkeys(range(1, 54), 1)
    assert said_in(made_up(often)) == []
    assert said_in(made_up(often | {40: 8})) == [40]


def test_weeks_that_nothing_covers_are_passed_over() -> None:
    """The last four weeks are the last four that are known."""
    known = [at for at in WEEKS if at.number not in {21, 22, 23, 24, 25}]
    assert said_in(made_up({20: 1, 26: 1, 27: 1}, known)) == [27]
    assert said_in(made_up({20: 1, 26: 1, 27: 1})) == []


def test_chance_alone_brings_about_as_many_rises_a_year_as_the_plan_says() -> None:
    """Some six a year in this county, and twice as many at 0.05: worked out, from its own rates."""
    rates = usual_rates(book(), history().weeks, town_of)
    a_year = chance_rises_a_year(rates)
    assert 4 < a_year < 7
    assert 9 < chance_rises_a_year(rates, 0.05) < 14
    chance_rises_a_year.cache_clear()
    assert chance_rises_a_year(rates) == a_year


def test_chance_brings_nothing_where_there_are_no_cases_and_more_where_there_are_more() -> None:
    rates = usual_rates(book(), history().weeks, town_of)
    assert chance_rises_a_year(rates._replace(cases_a_week=0)) == 0
    assert chance_rises_a_year(rates._replace(cases_a_week=0.5)) < 1.5
    assert chance_rises_a_year(rates._replace(cases_a_week=40)) > chance_rises_a_year(rates)


def test_each_audience_has_a_rule_that_rules_can_read() -> None:
    areas = RuleAreas(AreaTree(packaged_areas()))
    for area in (COUNTY, SANXI):
        for name in AUDIENCES:
            check_areas(parse(rule_of([name], area)), areas)
        for names in SHIPPED.values():
            check_areas(parse(rule_of(names, area)), areas)


@pytest.mark.parametrize(
    ("names", "area", "rule"),
    [
        (["finance"], COUNTY, 'role = "finance"'),
        (["finance", "owner"], SANXI, f'area = "{SANXI}" and role in ("finance", "owner")'),
        (["women", "shop"], COUNTY, 'role = "shop" or gender = "f"'),
        (["elderly"], SANXI, f'area = "{SANXI}" and (role = "elderly" or age >= 60)'),
        (["student", "everyone"], SANXI, f'area = "{SANXI}"'),
    ],
)
def test_the_rule_of_audiences(names: list[str], area: str, rule: str) -> None:
    assert canonical(parse(rule_of(names, area))) == canonical(parse(rule))


def test_the_shipped_audiences_are_those_of_the_matrix_of_victims() -> None:
    matrix = {
        "student": "T01 T06 T10 T14",
        "parent": "T12 T10 T01",
        "finance": "T07 T08",
        "owner": "T07 T02",
        "shop": "T04",
        "women": "T09 T01 T04 T08",
        "elderly": "T13 T08 T07",
        "site_worker": "T05 T01 T17",
        "returnee": "T11 T17 T01",
        "everyone": "T01 T02 T04 T05",
    }
    found = {name: {kind for kind, names in SHIPPED.items() if name in names} for name in AUDIENCES}
    assert {name: kinds for name, kinds in found.items() if kinds} == {
        name: set(kinds.split()) for name, kinds in matrix.items()
    }
    assert all(audiences_of(kind, SHIPPED) for kind in TYPES)
    assert audiences_of("T03", SHIPPED) == ("everyone",)
