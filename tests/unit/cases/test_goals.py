"""Every goal of the truth file, and the table of the worked example."""

from typing import Any

import pytest

from service.cases.figures import CaseBook
from service.cases.goals import Goal, GoalStanding, stand
from tests.harness.case_data import book, goals, truth, week

STANDINGS = truth()["goals"]


def standing(key: str, as_of: str) -> GoalStanding:
    goal = next(goal for goal in goals() if goal.key == key)
    return stand(goal, book(), week(as_of))


@pytest.mark.parametrize("told", STANDINGS, ids=[f"{g['goal']} {g['as_of']}" for g in STANDINGS])
def test_goal(told: dict[str, Any]) -> None:
    found = standing(told["goal"], told["as_of"])
    now, before = found.figures
    assert now is not None
    assert before is not None
    assert {
        "goal": found.goal.key,
        "as_of": str(found.as_of),
        "final": found.final,
        "cases": now.cases,
        "loss_yuan": now.loss_yuan,
        "cases_last_year": before.cases,
        "loss_last_year": before.loss_yuan,
        "cases_change_pct": found.figures.cases_change_pct,
        "loss_change_pct": found.figures.loss_change_pct,
        "cases_met": found.cases_met,
        "loss_met": found.loss_met,
        "met": found.met,
    } == told


@pytest.mark.parametrize(
    ("key", "as_of", "interval", "by_itself", "without_largest", "colour"),
    [
        ("G1", "2027-W13", (-56.7, 19.9), 0.114, -24.7, "red"),
        ("G2", "2027-W13", (-52.5, 9.6), 0.067, -40.9, "grey"),
        ("G3", "2027-W13", (-52.5, 9.6), 0.067, -40.9, "red"),
        ("G2", "2027-W06", (-61.9, 31.4), 0.156, None, "red"),
    ],
)
def test_the_table_of_the_worked_example(
    key: str,
    as_of: str,
    interval: tuple[float, float],
    by_itself: float,
    without_largest: float | None,
    colour: str,
) -> None:
    found = standing(key, as_of)
    assert found.cases_interval_pct is not None
    assert found.chance is not None
    assert tuple(round(end, 1) for end in found.cases_interval_pct) == interval
    assert round(found.chance, 3) == by_itself
    assert found.colour == colour
    if without_largest is not None:
        assert found.loss_without_largest_pct == without_largest


def test_a_goal_whose_interval_holds_no_change_is_green() -> None:
    week_now, week_before = week("2027-W01"), week("2026-W01")
    row = book().figures[0]
    figures = [row._replace(week=week_now, cases=10), row._replace(week=week_before, cases=100)]
    goal = Goal("G", "t", None, "Q1", 2027, ("cases",), -20)
    found = stand(goal, CaseBook([week_now, week_before], figures), week_now)
    assert (found.met, found.colour) == (True, "green")


@pytest.mark.parametrize(
    ("as_of", "gap", "missing"),
    [
        ("2026-W53", "not_begun", []),
        ("2027-W14", "weeks_missing", ["2027-W14"]),
    ],
)
def test_what_is_unknown_says_why(as_of: str, gap: str, missing: list[str]) -> None:
    found = standing("G3", as_of)
    assert (found.met, found.colour, found.gap) == (None, "unknown", gap)
    assert [str(week) for week in found.missing] == missing


def test_a_base_that_is_unknown_or_zero() -> None:
    goal = Goal("G", "t", None, "Q1", 2026, ("cases", "loss_yuan"), -20)
    assert stand(goal, book(), week("2026-W13")).gap == "base_missing"
    goal = Goal("G", "t", ("T18",), "Q1", 2027, ("cases",), -20)
    assert stand(goal, book(), week("2027-W01")).gap == "base_zero"


def test_a_goal_comes_back_as_it_was_stored() -> None:
    for goal in goals():
        assert Goal.from_json(goal.as_json()) == goal
