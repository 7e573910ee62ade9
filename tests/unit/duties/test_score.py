"""The score sheet: the worked example by hand, what is left out, cases by chance, deductions."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from service.duties.assessment.score import (
    CasesBeside,
    PartOf,
    ScoreGap,
    ScoreItem,
    ScoreRules,
    UnitFacts,
    score_of,
)

EXAMPLE = UnitFacts(
    reports=PartOf(12, 13),
    coverage=PartOf(760, 1_000),
    relays=PartOf(90, 120),
    households=ScoreGap.NO_ROUND,
    cases=CasesBeside(6, 6, Fraction(-20)),
    own_staff=ScoreGap.NOT_STATED,
)
NOTHING = UnitFacts(
    ScoreGap.NONE_DUE,
    ScoreGap.NO_AREA_OR_LIST,
    ScoreGap.NO_RELAYS,
    ScoreGap.NO_ROUND,
    ScoreGap.NO_TOWN,
    ScoreGap.NOT_STATED,
)


def points(facts: UnitFacts) -> dict[str, float | None]:
    return {
        one.item.value: None if one.points is None else round(float(one.points), 1)
        for one in score_of(facts, ScoreRules()).items
    }


def test_the_worked_example() -> None:
    found = score_of(EXAMPLE, ScoreRules())
    assert points(EXAMPLE) == {
        "reports": 18.5,
        "coverage": 20.0,
        "relays": 15.0,
        "households": None,
        "cases": 10.0,
        "own_staff": None,
    }
    cases = found.items[4]
    assert (cases.part, cases.whole) == (6, Fraction(24, 5))
    assert cases.chance is not None
    assert round(cases.chance, 3) == 0.349
    assert found.weight == 85
    assert round(float(found.points), 1) == 63.5
    assert found.score == Decimal("74.7")


def test_only_the_score_is_rounded() -> None:
    thirds = replace(NOTHING, reports=PartOf(1, 3), relays=PartOf(1, 3))
    found = score_of(thirds, ScoreRules())
    assert found.points == Fraction(40, 3)
    assert found.score == Decimal("33.3")


def test_a_unit_to_which_nothing_applies_has_no_score() -> None:
    assert score_of(NOTHING, ScoreRules()).score is None
    only_lost = replace(NOTHING, own_staff=1)
    assert score_of(only_lost, ScoreRules()).score is None, "a deduction alone is no score"


@pytest.mark.parametrize(
    ("cases", "last_year", "target", "expected"),
    [(4, 6, -20, 20), (6, 6, -20, 10), (10, 6, -20, 0), (0, 6, -100, 20), (1, 6, -100, 0)],
)
def test_cases_bring_all_half_or_no_points(
    cases: int, last_year: int, target: int, expected: int
) -> None:
    facts = replace(NOTHING, cases=CasesBeside(cases, last_year, Fraction(target)))
    assert points(facts)["cases"] == expected


def test_coverage_above_the_full_one_brings_no_more_than_all_points() -> None:
    assert points(replace(NOTHING, coverage=PartOf(990, 1_000)))["coverage"] == 25.0
    assert points(replace(NOTHING, coverage=PartOf(855, 1_000)))["coverage"] == 22.5


@pytest.mark.parametrize(("cases", "lost"), [(0, 0), (1, -5), (2, -10), (7, -10)])
def test_cases_of_own_staff_take_points_away_up_to_a_bound(cases: int, lost: int) -> None:
    found = score_of(replace(EXAMPLE, own_staff=cases), ScoreRules())
    assert found.items[5].points == lost
    assert found.weight == 85, "they weigh nothing"
    assert found.points == score_of(EXAMPLE, ScoreRules()).points + lost


def test_an_item_that_weighs_nothing_is_off() -> None:
    weights = {**ScoreRules().weights, ScoreItem.RELAYS: 0}
    found = score_of(EXAMPLE, ScoreRules(weights, own_staff_most=0))
    assert found.items[2].gap is ScoreGap.OFF
    assert found.weight == 65
