"""Staggered rollouts: the worked example, lots, exact intervals, and what one can find."""

import random
from itertools import permutations
from math import inf

import pytest

from service.cases.exact import ratio_interval
from service.reports.rollouts.stagger import (
    DRAWN,
    Power,
    Study,
    StudyVillage,
    StudyWeek,
    at_most,
    power_of,
    ratio_bounds,
)


def village(wave: int, *cases: int, people: int = 1_000, stratum: str = "s") -> StudyVillage:
    return StudyVillage(stratum, wave, people, cases)


def test_the_worked_example() -> None:
    study = Study([village(0, 0), village(0, 1), village(1, 3), village(1, 2)], [0, 1])
    found = study.finding()
    assert study.weeks == [StudyWeek(1, 2_000, 5, 2_000)]
    assert (found.observed, found.expected) == (1, 3.0)
    assert found.ratio == pytest.approx(0.2)
    assert found.low is not None
    assert found.high is not None
    assert (round(found.low, 3), round(found.high, 2)) == (0.004, 1.79)
    assert found.chance == pytest.approx(1 / 6)
    assert (found.lots, found.drawn) == (6, False)
    assert found.least_chance > 0.05, "four villages can prove nothing"


@pytest.mark.parametrize("seed", range(12))
def test_the_chance_is_the_share_of_all_lots(seed: int) -> None:
    """Against a plain count over all permutations within strata, with O and E worked out anew."""
    chances = random.Random(seed)
    waves = [0, 1, 2, 0, 1]
    villages = [
        village(
            wave,
            *(chances.randrange(4) for _ in range(3)),
            people=chances.randrange(200, 2_000),
            stratum="a" if at < 3 else "b",
        )
        for at, wave in enumerate(waves)
    ]
    starts = [0, 1, 3]
    seen = _gap(villages, starts)
    gaps = [
        _gap(
            [one._replace(wave=wave) for one, wave in zip(villages, [*a, *b], strict=True)], starts
        )
        for a in permutations(waves[:3])
        for b in permutations(waves[3:])
    ]
    expected = sum(gap <= seen + 1e-9 for gap in gaps) / len(gaps)
    found = Study(villages, starts).finding()
    assert found.chance == pytest.approx(expected)
    assert found.lots == 12


def _gap(villages: list[StudyVillage], starts: list[int]) -> float:
    found = Study(villages, starts).finding()
    return found.observed - found.expected


def test_many_lots_are_drawn_by_a_fixed_seed() -> None:
    chances = random.Random(7)
    villages = [village(n % 4, *(chances.randrange(2) for _ in range(3))) for n in range(40)]
    one, other = (Study(villages, [0, 1, 2, 3]).finding() for _ in range(2))
    assert one == other
    assert (one.lots, one.drawn) == (DRAWN + 1, True)
    assert one.chance >= 1 / (DRAWN + 1), "the lot that was drawn is one of them"


@pytest.mark.parametrize(("treated", "other"), [(0, 3), (1, 5), (7, 7), (30, 12), (4, 0)])
def test_with_equal_people_the_interval_is_that_of_two_counts(treated: int, other: int) -> None:
    weeks = [StudyWeek(treated, 2_000, other, 2_000)]
    found, exact = ratio_bounds(weeks), ratio_interval(treated, other)
    assert found is not None
    assert exact is not None
    for mine, known in zip(found, exact, strict=True):
        assert mine == known if known in {0.0, inf} else mine == pytest.approx(known, rel=1e-9)


def test_weeks_of_other_shares_are_a_sum_of_binomials() -> None:
    weeks = [StudyWeek(1, 1_000, 1, 3_000), StudyWeek(0, 2_000, 1, 2_000)]
    # Of 2 cases with 1/4 and 1 case with 1/2: none is treated.
    assert at_most(0, weeks, 1.0) == pytest.approx(0.75**2 * 0.5)
    assert at_most(1, weeks, 1.0) == pytest.approx(0.75**2 + 2 * 0.25 * 0.75 * 0.5)
    assert at_most(3, weeks, 1.0) == pytest.approx(1.0)
    assert ratio_bounds([StudyWeek(0, 1_000, 0, 1_000)]) is None


def test_a_week_of_one_kind_is_none_that_counts() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        Study([village(0, 1), village(1, 1)], [0, 0]).finding()


def test_what_a_county_and_a_city_can_find() -> None:
    """Ten weeks, a wave every three. Without an effect it finds one in at most 5 of 100 tries."""
    people = [25_000] * 4
    assert power_of(4.5, people, [3, 3, 3], (0.0, 0.3, 0.5)) == [
        Power(0.0, 4),
        Power(0.3, 18),
        Power(0.5, 45),
    ]
    assert power_of(4.5, people, [1, 1, 1], (0.3, 0.5)) == [Power(0.3, 8), Power(0.5, 15)]
    assert power_of(100.0, people, [3, 3, 3], (0.3,))[0].found_pct >= 99
