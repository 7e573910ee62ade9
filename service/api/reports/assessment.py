"""The score sheet of a quarter over HTTP: units with their points, and the funnel of towns."""

from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Out
from service.api.reports.assessment_rules import (
    AssessmentQuery,
    ScoreRulesOut,
    present_quarter,
    quarter_asked,
    rules_out,
    units_seen,
)
from service.api.reports.effect import QUARTERS
from service.cases.week import quarter_before
from service.duties.assessment.assessment import ScoreSheet, UnitScore, score_sheet
from service.duties.assessment.fact_store import Unit
from service.duties.assessment.score import (
    ScoredItem,
    ScoreGap,
    ScoreItem,
    rounded,
)
from service.ledger.message_class import PUBLICITY
from service.reports.effect.effect import FunnelPlace


class ScoredItemOut(Out):
    """An item of a unit."""

    item: ScoreItem
    weight: int
    points: Decimal | None = Field(
        description="Of its weight, to one decimal; below 0: a deduction; null: it does not apply."
    )
    gap: ScoreGap | None = Field(description="Why it does not apply.")
    part: int | None = Field(
        description="On time, reached, confirmed, told, or cases; of the own staff: cases."
    )
    whole: Decimal | None = Field(
        description="Of how many; of cases: how many the goal expects, to one decimal."
    )
    chance: float | None = Field(
        description="Of cases: how often so many or more come about by themselves."
    )
    rows: str | None = Field(
        description="The address of the rows that it is counted from; you see of them what you may."
    )


class UnitScoreOut(Out):
    """A unit, its items and its score."""

    department_id: UUID
    department: str
    kind: str
    area: str | None
    rank: int | None = Field(description="By score among all units; equal ones share it.")
    score: Decimal | None = Field(
        description="The points scaled to 100 ÷ the weights of the items that apply; null: no item"
        " that brings points applies."
    )
    points: Decimal = Field(description="Of all items, deductions among them.")
    weight: int = Field(description="Of the items that apply.")
    missed_twice: int = Field(
        description="Reports that were missed after the one before was missed, too."
    )
    items: list[ScoredItemOut]


class FunnelTownOut(Out):
    """A town's cases beside its share of the county's by population."""

    area: str
    name: str
    cases: int
    expected: float
    limits: list[int] = Field(description="Between these 95 in 100 lie by chance.")
    outer_limits: list[int] = Field(description="Between these 998 in 1,000.")
    outside: str = Field(description='"inner", "outer": outside these limits; "": within both.')


class AssessmentOut(Out):
    """The score sheet of a quarter. Units are ranked by points, never by their cases."""

    period: str
    periods: list[str]
    as_of: str | None = Field(description="The last covered week of it; null: there is none.")
    final: bool = Field(description="The quarter is over, and its last week is covered.")
    goal: str | None = Field(description="The key of the goal that cases are measured by.")
    target_change_pct: float | None
    rules: ScoreRulesOut
    units: list[UnitScoreOut]
    ranked: int = Field(description="Units with a score, those among them that you do not see.")
    funnel: list[FunnelTownOut]


async def get_assessment(call: Call, query: AssessmentQuery) -> AssessmentOut:
    """Show the score sheet of a quarter: each unit's items, its score and rank, and the funnel.

    The county and inspectors see all units, others their own and those below it.
    """
    quarter = quarter_asked(call, query)
    sheet = await score_sheet(call.conn, quarter, call.now, call.runtime.settings.zone)
    sees, goal = units_seen(call), sheet.goal
    units = [one for one in sheet.units if sees is None or one.unit.id in sees]
    return AssessmentOut(
        period=str(quarter),
        periods=_periods(call),
        as_of=None if sheet.as_of is None else str(sheet.as_of),
        final=sheet.final,
        goal=None if goal is None else goal.key,
        target_change_pct=None if goal is None else goal.target_change_pct,
        rules=rules_out(call, sheet.rules),
        units=[_unit_out(one, sheet) for one in units],
        ranked=sum(one.rank is not None for one in sheet.units),
        funnel=[_town_out(place, sheet) for place in sheet.funnel],
    )


def _periods(call: Call) -> list[str]:
    found = [present_quarter(call)]
    while len(found) < QUARTERS:
        found.append(quarter_before(found[-1]))
    return [str(one) for one in found]


def _unit_out(one: UnitScore, sheet: ScoreSheet) -> UnitScoreOut:
    return UnitScoreOut(
        department_id=one.unit.id,
        department=one.unit.name,
        kind=one.unit.kind,
        area=one.unit.area_code,
        rank=one.rank,
        score=one.score.score,
        points=rounded(one.score.points),
        weight=one.score.weight,
        missed_twice=one.missed_twice,
        items=[_item_out(item, one.unit, sheet) for item in one.score.items],
    )


def _item_out(item: ScoredItem, unit: Unit, sheet: ScoreSheet) -> ScoredItemOut:
    return ScoredItemOut(
        item=item.item,
        weight=item.weight,
        points=None if item.points is None else rounded(item.points),
        gap=item.gap,
        part=item.part,
        whole=None if item.whole is None else rounded(item.whole),
        chance=None if item.chance is None else round(item.chance, 3),
        rows=None if item.points is None else _rows(item.item, unit, sheet),
    )


def _rows(item: ScoreItem, unit: Unit, sheet: ScoreSheet) -> str | None:
    """Where the rows are that an item is counted from."""
    quarter = sheet.quarter
    first, last = str(quarter.first.monday), str(quarter.last.sunday)
    area = {"area": unit.area_code} if unit.area_code else {}
    match item:
        case ScoreItem.REPORTS:
            path = "/duties"
            asked = {"department": str(unit.id), "reports": "true"}
            asked |= {"due_from": first, "due_until": last}
        case ScoreItem.COVERAGE:
            path = "/reports/coverage"
            asked = {"quarter": str(quarter), "class": PUBLICITY, **area}
        case ScoreItem.RELAYS:
            path, asked = "/relays", {"department": str(unit.id)}
            asked |= {"from": str(quarter.first), "to": str(quarter.last)}
        case ScoreItem.HOUSEHOLDS:
            path, asked = "/visit-rounds", {"due_from": first, "due_until": last}
        case ScoreItem.CASES:
            path, asked = "/cases", {"from": str(quarter.first), "to": str(sheet.as_of), **area}
        case ScoreItem.OWN_STAFF:
            path = "/assessment/own-staff"
            asked = {"period": str(quarter), "department": str(unit.id)}
        case _:
            return None
    return f"{path}?{urlencode(asked)}"


def _town_out(place: FunnelPlace, sheet: ScoreSheet) -> FunnelTownOut:
    return FunnelTownOut(
        area=place.area,
        name=sheet.tree.areas[place.area].name,
        cases=place.cases,
        expected=round(place.expected, 1),
        limits=list(place.inner),
        outer_limits=list(place.outer),
        outside=place.outside,
    )
