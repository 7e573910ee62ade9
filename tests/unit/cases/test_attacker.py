"""Nobody names a cell below k from what is public: random trees, quarters and corrections (E4)."""

import random
from typing import Any

import pytest

from service.cases.figures import CaseBook, CaseFigure
from service.cases.fraud_types import FraudType, FraudTypes
from service.cases.releases import PublicRules, named_kinds, quarter_cells, week_cells
from service.cases.tables import publish
from service.cases.week import IsoWeek, Period, quarter_of
from tests.harness.attacker import named, possible

QUARTERS = [Period(2027, "Q1"), Period(2027, "Q2")]
KINDS = FraudTypes(
    FraudType(f"T{n:02}", f"k{n}", f"kind {n}", f"kind {n}", "刷单", n < 5) for n in range(1, 7)
)


def figures(chance: random.Random, week: IsoWeek, towns: list[str]) -> list[CaseFigure]:
    """A week of a county: towns differ by how much happens in them."""
    found: dict[tuple[str, str], CaseFigure] = {}
    for _ in range(chance.choice([0, 1, 2, 4, 8, 20])):
        town = towns[min(int(chance.expovariate(0.7)), len(towns) - 1)]
        kind = f"T{1 + min(int(chance.expovariate(0.6)), 5):02}"
        known = found.get((town, kind))
        cases = 1 + (known.cases if known else 0)
        found[town, kind] = CaseFigure(week, town, kind, cases, 1000 * cases, 1000)
    return list(found.values())


def published(
    chance: random.Random, towns: list[str], rules: PublicRules, by_week: bool
) -> list[dict[str, Any]]:
    """Two quarters of public answers with weeks that are corrected, as bulletins are made."""
    weeks = [week for quarter in QUARTERS for week in quarter.weeks]
    rows = {week: figures(chance, week, towns) for week in weeks}
    released: dict[Period, dict[str, Any]] = {}
    answers: list[dict[str, Any]] = []
    earlier: dict[IsoWeek, list[dict[str, Any]]] = {week: [] for week in weeks}
    for last in weeks:
        again = [week for week in weeks if week < last and chance.random() < 0.1]
        for week in [last, *again]:
            if earlier[week]:
                rows[week] = figures(chance, week, towns)
            seen = [w for w in weeks if w <= last]
            book = CaseBook(seen, [row for w in seen for row in rows[w]])
            over = [q for q in QUARTERS if q.last <= last]
            for quarter in over:
                if quarter not in released:
                    released[quarter] = quarter_cells(
                        quarter, book, rules, KINDS, shows_towns=not by_week
                    )
            before = earlier[week]
            cells = week_cells(
                week,
                book,
                rules,
                shows_towns=by_week,
                first=before[0] if before else None,
                latest=before[-1] if before else None,
            )
            before.append(cells)
            of_quarter = None
            if over:
                quarter = over[-1]
                total = book.total(quarter.weeks)
                assert total is not None
                since = total.cases - released[quarter]["cases"]
                of_quarter = {**released[quarter], "period": str(quarter), "corrected_by": since}
            kinds = named_kinds(of_quarter, KINDS)
            answers.append({**cells, "week": str(week), "quarter": of_quarter, "kinds": kinds})
    return answers


@pytest.mark.attack
@pytest.mark.parametrize("by_week", [False, True])
@pytest.mark.parametrize("small", [3, 5, 8])
def test_nobody_names_a_small_cell(small: int, by_week: bool) -> None:
    shown = 0
    for seed in range(40):
        chance = random.Random(f"{small} {by_week} {seed}")
        towns = [f"town {n}" for n in range(chance.randint(2, 9))]
        rules = PublicRules(small, towns, lambda area: area)
        answers = published(chance, towns, rules, by_week)
        assert named(answers, towns, KINDS.keys, small) == set()
        shown += sum(bool(a["towns"] and a["towns"]["shown"]) for a in answers)
        shown += sum(bool(a["quarter"] and a["quarter"]["kinds"]["shown"]) for a in answers)
    assert shown > 40, "something was published that could have given a cell away"


def test_the_attacker_finds_what_a_worse_rule_gives_away() -> None:
    towns = ["a", "b", "c"]
    small_ones_hidden = {"hidden": False, "shown": {"a": 9}, "rest_parts": 2, "rest": 8}
    assert possible(small_ones_hidden, towns, 17, 5)["b"] == {4}
    both: list[dict[str, Any]] = [
        {
            "week": f"2027-W{n:02}",
            "cases": 9,
            "towns": {"hidden": n == 4, "shown": {"a": 9}, "rest_parts": None, "rest": None},
            "quarter": None,
        }
        for n in range(1, 14)
    ]
    quarter = {
        "period": "2027-Q1",
        "cases": 200,
        "corrected_by": 0,
        "towns": {"hidden": False, "shown": {"a": 111}, "rest_parts": None, "rest": None},
        "kinds": {"hidden": True, "shown": {}, "rest_parts": None, "rest": None},
    }
    both[-1]["quarter"] = quarter
    assert ("2027-W04", "a", 3) in named(both, towns, ["T01"], 5)
    anew = {
        **quarter,
        "corrected_by": 1,
        "towns": {"hidden": False, "shown": {"a": 111, "b": 5}, "rest_parts": 1, "rest": 0},
    }
    again = [{**both[0], "quarter": quarter}, {**both[1], "quarter": anew}]
    assert ("2027-Q1", "b", 4) in named(again, towns, ["T01"], 5)


@pytest.mark.parametrize("small", [3, 5])
def test_the_attackers_sets_hold_what_is_true(small: int) -> None:
    chance = random.Random(small)
    for _ in range(300):
        parts = {f"t{n}": chance.choice([0, 0, 1, 2, 4, 5, 9]) for n in range(chance.randint(2, 7))}
        found = publish(parts, small)
        table = {**found._asdict()}
        values = possible(table, list(parts), sum(parts.values()), small)
        for part, count in parts.items():
            assert count in values[part]


def test_quarters_are_those_of_the_weeks() -> None:
    assert quarter_of(IsoWeek(2027, 14)) == QUARTERS[1]
