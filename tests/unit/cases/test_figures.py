"""Every period of the truth file, and what is unknown stays unknown."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cases.figures import CaseBook, base_weeks, change_pct, year_on_year
from service.cases.week import weeks_between
from tests.harness.case_data import FOUR_TYPES, TOWNS, book, truth, villages_of, week

PERIODS = truth()["periods"]


def in_the_form_of_the_truth(
    span: Sequence[str], types: Sequence[str] | None = None, areas: Sequence[str] | None = None
) -> dict[str, Any]:
    found = year_on_year(book(), weeks_between(week(span[0]), week(span[1])), types, areas)
    now, before = found
    assert now is not None
    return {
        "cases": now.cases,
        "loss_yuan": now.loss_yuan,
        "cases_last_year": before.cases if before else None,
        "loss_last_year": before.loss_yuan if before else None,
        "cases_change_pct": found.cases_change_pct,
        "loss_change_pct": found.loss_change_pct,
    }


@pytest.mark.parametrize("period", PERIODS, ids=[period["period"] for period in PERIODS])
def test_period(period: dict[str, Any]) -> None:
    span = period["weeks"]
    assert in_the_form_of_the_truth(span) == period["county"]
    assert in_the_form_of_the_truth(span, FOUR_TYPES) == period["four_types"]
    assert {
        town: in_the_form_of_the_truth(span, None, villages_of(town)) for town in TOWNS
    } == period["by_town"]
    for kind, told in period["by_type"].items():
        assert in_the_form_of_the_truth(span, (kind,)) == told
    base = base_weeks(weeks_between(week(span[0]), week(span[1])))
    known = base is not None and not book().missing(base)
    told = [str(base[0]), str(base[-1])] if base and known else None
    assert told == period["base_weeks"]


@pytest.mark.parametrize("bulletin", truth()["bulletins"], ids=lambda found: str(found["week"]))
def test_bulletin(bulletin: dict[str, Any]) -> None:
    weeks = [week(bulletin["week"])]
    county = book().total(weeks)
    assert county is not None
    assert (county.cases, county.loss_yuan) == (bulletin["cases"], bulletin["loss_yuan"])
    for place, told in [*bulletin["villages"].items(), *bulletin["towns"].items()]:
        areas = villages_of(place) if place in TOWNS else [place]
        found = book().total(weeks, None, areas)
        assert found is not None
        assert (found.cases, found.loss_yuan) == (told["cases"], told["loss_yuan"])


def test_a_covered_week_without_a_row_has_none_and_any_other_is_unknown() -> None:
    empty = book().total([week("2026-W08")])
    assert empty is not None
    assert empty.cases == 0
    assert book().total([week("2027-W13"), week("2027-W14")]) is None
    assert CaseBook([], []).total([]) is None


@given(st.integers(0, 10_000_000), st.integers(1, 10_000_000))
def test_a_change_is_rounded_half_away_from_zero(now: int, before: int) -> None:
    change = change_pct(now, before)
    assert change is not None
    exact = (now - before) * 1000 / before
    assert abs(change * 10 - exact) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [(1, 2000, -100.0), (2001, 2000, 0.1), (1999, 2000, -0.1), (3, 0, None), (None, 1, None)],
)
def test_halves(now: int | None, before: int, change: float | None) -> None:
    found = change_pct(now, before)
    assert found == change if change is None else found == pytest.approx(change)
