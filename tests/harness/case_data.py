"""The case figures of `tests/data/cases/`, 66 weeks of a county, with their truth."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from service.cases.figures import CaseBook, CaseFigure
from service.cases.goals import MEASURES, Goal
from service.cases.week import IsoWeek, parse_cover, parse_week

FOLDER = Path(__file__).parents[1] / "data" / "cases"
WEEKLY = FOLDER / "weekly-cases.csv"
COVER = "2026-W01..2027-W13"
COUNTY = "341825000000"
FOUR_TYPES = ("T01", "T02", "T04", "T05")
TYPES = tuple(f"T{number:02}" for number in range(1, 19))
TOWNS = tuple(f"3418251{number:02}000" for number in range(10))


def week(text: str) -> IsoWeek:
    """A week that is one."""
    found = parse_week(text)
    assert found is not None
    return found


@cache
def truth() -> dict[str, Any]:
    """The truth file."""
    found: dict[str, Any] = json.loads((FOLDER / "truth.json").read_text("utf-8"))
    return found


@cache
def book() -> CaseBook:
    """All figures of the file."""
    return CaseBook(parse_cover(COVER), figures())


def figures() -> Iterator[CaseFigure]:
    """The rows of the file; each is a case or a few."""
    with WEEKLY.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            cases, loss = int(row["cases"]), int(row["loss_yuan"])
            yield CaseFigure(
                week(row["week"]),
                row["village_code"],
                row["fraud_type"],
                cases,
                loss,
                loss if cases == 1 else None,
            )


def villages_of(town: str) -> list[str]:
    """The areas with cases that belong to a town."""
    return [figure.area for figure in book().figures if figure.area[:9] == town[:9]]


def goals() -> list[Goal]:
    """The goals of the file."""
    with (FOLDER / "goals.csv").open(encoding="utf-8") as lines:
        return [
            Goal(
                row["goal"],
                row["title"],
                None if row["fraud_types"] == "ALL" else tuple(row["fraud_types"].split(";")),
                "YEAR" if row["period"] == "YEAR" else "Q1",
                int(row["year"]),
                tuple(measure for measure in MEASURES if measure in row["measures"].split(";")),
                float(row["target_change_pct"]),
            )
            for row in csv.DictReader(lines)
        ]
