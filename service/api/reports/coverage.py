"""Coverage over HTTP: of those who there should be, how many were reached, by area and role."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from service.api.documents import downloaded
from service.api.http.call import Call, Download
from service.api.http.schema import Body, Day, Instant, Line, Out, QueryString
from service.api.reports.denominators import kind_problem
from service.api.sending.runs import counted_run
from service.audience.vocabulary.roles import ROLES
from service.campaigns.plans import planning
from service.documents.document import DocumentFormat
from service.errors import Forbidden, Invalid, NotFound
from service.ledger.message_class import MessageClass
from service.reports.coverage import report, scope_store
from service.reports.coverage.coverage import AreaCoverage, AreaLevel, View
from service.reports.coverage.coverage_document import coverage_csv, coverage_document
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import CoverageReport
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.words.phrase import listing, phrase, translated

QUARTER = re.compile(r"(20\d\d)-Q([1-4])")
QuarterName = Annotated[str, StringConstraints(pattern=r"^20\d\d-Q[1-4]$")]


class Subject(BaseModel):
    """What is counted together: exactly one of a run, a campaign and a quarter."""

    run: UUID | None = Field(
        default=None, description="A run with what was sent again of it, each person once."
    )
    campaign: UUID | None = Field(default=None, description="All runs of a campaign.")
    quarter: QuarterName | None = Field(
        default=None,
        description="All campaigns of a quarter, such as 2027-Q1: of your department; of the county"
        " those of all departments.",
    )
    message_class: MessageClass = Field(
        default="public_interest", alias="class", description="Of the texts of a quarter."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(one is not None for one in (self.run, self.campaign, self.quarter)) != 1:
            raise ValueError(phrase("give exactly one of run, campaign and quarter"))
        return self


class RecountBody(Subject, Body):
    """What is to be counted anew: exactly one of a run, a campaign and a quarter."""


class ScopeQuery(Subject, QueryString):
    """What is counted together: exactly one of a run, a campaign and a quarter."""


class CoverageQuery(ScopeQuery):
    """What of a scope, and by what."""

    area: Line | None = Field(default=None, description="Only people of this area, by its code.")
    level: AreaLevel = Field(default="town", description="Of which areas each row is.")
    role: Line | None = Field(
        default=None, description="Only people of this role, by its key; of their denominator, too."
    )
    denominator: Line | None = Field(
        default=None,
        description="The kind of people there should be: residents, phones, households, a role, or"
        " list: and the name of a list, for texts that go to that list."
        " Default: that of `role`; else phones, if any number was entered of them; else residents.",
    )


class CoverageExportQuery(CoverageQuery):
    """The same, and in which form and language."""

    format: Literal["csv", DocumentFormat] = Field(
        default="csv",
        description="csv: one table for Excel; xlsx: each table a sheet, with a chart; html: a page"
        " of its own, to print or to save as PDF.",
    )
    gaps: bool = Field(
        default=False, description="The gap list alone: areas where somebody is missing."
    )
    language: Literal["zh", "en"] = Field(default="zh", description="Of the words in the file.")


class FiguresOut(Out):
    """People, and what they came to.

    on_file = reached + told + open + unknown + failed + stopped + excluded, and
    denominator + surplus = on_file + no_phone, always.
    """

    denominator: int | None = Field(
        description="How many people there should be; null: nobody has said."
    )
    source: str | None = Field(
        description="Whose number that is; null: it is added up from the areas below."
    )
    as_of: Day | None = Field(description="The day from which the number counts.")
    missing_children: int = Field(
        description="Areas below without a number; their people are not in the denominator."
    )
    on_file: int
    target: int = Field(description="on_file without those who were left out.")
    reached: int = Field(description="A receipt says delivered.")
    told: int = Field(
        description="No text arrived, and a visit told them; never in reached or coverage_pct."
    )
    open: int
    unknown: int = Field(description="No receipt for 72 hours, or a hand-off without an answer.")
    failed: int
    stopped: int
    excluded: int
    no_phone: int | None
    surplus: int | None
    coverage_pct: Decimal | None = Field(
        description="reached of the denominator. More than 100 is shown as it is, and flagged."
    )
    with_told_pct: Decimal | None = Field(description="reached and told of the denominator.")
    of_target_pct: Decimal | None = Field(description="reached of the target.")
    reasons: dict[str, int] = Field(description="Of all who were neither reached nor told.")
    flags: list[str] = Field(
        description="denominator_suspect: more are on file; denominator_old: older than 400 days;"
        " denominator_jump: a tenth off the one before; children_missing."
    )


class AreaFiguresOut(FiguresOut):
    """People of an area."""

    area: str = Field(description='Its code; "none": nobody knows where they live.')
    name: str | None
    finer: bool = Field(
        description="false: of these people no area of the level is known; those of whom one is"
        " stand in its row."
    )


class ScopeOut(Out):
    """What was counted together."""

    kind: ScopeKind
    run_id: UUID | None
    campaign_id: UUID | None
    department_id: UUID | None
    quarter: str | None
    message_class: MessageClass | None = Field(alias="class")


class CoverageOut(Out):
    """Coverage in figures, as they were counted at an instant."""

    scope: ScopeOut
    as_of: Instant = Field(description="When the ledger was counted.")
    final: bool = Field(description="Nothing of it changes any more.")
    denominator: str = Field(description="The kind.")
    areas: list[AreaFiguresOut]
    total: FiguresOut
    by_role: dict[str, FiguresOut] = Field(
        description="Who has several roles counts under each, so they do not add up."
    )


class RecountOut(Out):
    """A count that has begun."""

    scope: ScopeOut


async def get_coverage(call: Call, query: CoverageQuery) -> CoverageOut:
    """Show whom texts have reached, of all who there should be, by area and role.

    Pages read what was counted in the background: while a run is open at most a minute before.
    Of a department below yours towns and reasons are shown, no villages.
    """
    scope, found = await _report(call, query)
    figures = found.coverage
    return CoverageOut(
        scope=_scope_out(scope),
        as_of=found.as_of,
        final=found.final,
        denominator=found.denominator,
        areas=[_area_out(row) for row in figures.areas],
        total=_figures_out(figures.total),
        by_role={role: _figures_out(row) for role, row in sorted(figures.by_role.items())},
    )


async def export_coverage(call: Call, query: CoverageExportQuery) -> Download:
    """Download the same in words: by area and reason, and the gap list.

    As CSV, workbook, Word file or a page to print.
    """
    scope, found = await _report(call, query)
    name = "gaps" if query.gaps else "coverage"
    if query.format == "csv":
        lines = coverage_csv(found, query.language, gaps_only=query.gaps)
        return Download("text/csv", f"{name}.csv", lines)
    subtitle = await _subtitle(call, scope, found, query.language)
    made = coverage_document(found, query.language, subtitle, gaps_only=query.gaps)
    return await downloaded(call, made, query.format, name)


async def _subtitle(call: Call, scope: CoverageScope, found: CoverageReport, language: str) -> str:
    """What was counted, and when."""
    what: str = _quarter_name(scope.quarter) or ""
    if scope.campaign_id is not None:
        what = (await planning.load(call.conn, scope.campaign_id, None)).plan.name
    elif scope.run_id is not None:
        run = await counted_run(call, scope.run_id)
        what = f"{run.fire_at.astimezone(call.runtime.settings.zone):%Y-%m-%d %H:%M}"
    at = found.as_of.astimezone(call.runtime.settings.zone).strftime("%Y-%m-%d %H:%M")
    counted = phrase("{what} · counted {at}", what=what, at=at)
    return translated(counted, language)


async def recount_coverage(call: Call, body: RecountBody) -> RecountOut:
    """Count a scope anew from the ledger, also one that is final or was never counted.

    Pages show the new count once it is whole.
    """
    scope = await _scope(call, body)
    call.note("coverage", str(await scope_store.begin(call.conn, scope, call.now)))
    return RecountOut(scope=_scope_out(scope))


async def _report(call: Call, query: CoverageQuery) -> tuple[CoverageScope, CoverageReport]:
    scope = await _scope(call, query)
    await _check(call, query)
    view = View(query.area, query.level, query.role or "")
    found = await report.coverage_report(call.conn, scope, view, query.denominator, call.now)
    if found is None:
        raise nothing_counted()
    return scope, found


def check_role(role: str | None) -> None:
    """Refuse a role that does not exist."""
    if role is not None and role not in ROLES:
        raise Invalid(
            phrase("there is no such role"),
            fields={"role": phrase("one of {kinds}", kinds=listing(ROLES))},
        )


async def _check(call: Call, query: CoverageQuery) -> None:
    check_role(query.role)
    if query.denominator is None:
        return
    if (problem := await kind_problem(call, query.denominator)) is not None:
        raise Invalid(phrase("there is no such denominator"), fields={"denominator": problem})


async def _scope(call: Call, query: Subject) -> CoverageScope:
    """The scope that is asked for, if the caller may see its counts."""
    finer = isinstance(query, CoverageQuery) and query.level in {"village", "group"}
    if query.run is not None:
        run = await counted_run(call, query.run)
        _check_finer(call, run.department_id, finer=finer)
        return CoverageScope(ScopeKind.RUN, run_id=await scope_store.root_run(call.conn, run.id))
    if query.campaign is not None:
        campaign = await planning.load(call.conn, query.campaign, None)
        if not call.user.sees_counts(campaign.department_id):
            raise NotFound(phrase("there is no campaign {campaign_id}", campaign_id=query.campaign))
        _check_finer(call, campaign.department_id, finer=finer)
        return CoverageScope(ScopeKind.CAMPAIGN, campaign_id=query.campaign)
    return CoverageScope(
        ScopeKind.QUARTER,
        department_id=call.user.scope,
        quarter=quarter_of(query.quarter or ""),
        message_class=query.message_class,
    )


def _check_finer(call: Call, department_id: UUID, *, finer: bool) -> None:
    """Refuse villages of a department of which the caller sees counts alone: a village's reasons
    may point at a person.
    """
    if finer and not call.user.sees(department_id):
        raise Forbidden(phrase("of a department below yours only towns are shown"))


def quarter_of(written: str) -> date:
    """The first day of a quarter that is written as 2027-Q1.

    Raises:
        ValueError: it is written otherwise.
    """
    if (found := QUARTER.fullmatch(written)) is None:
        raise ValueError(written)
    return date(int(found[1]), int(found[2]) * 3 - 2, 1)


def nothing_counted() -> NotFound:
    """Nobody has counted a scope yet."""
    return NotFound(
        phrase("nothing was counted of it yet; look again a minute after its ledger is written"),
        code="not_counted",
    )


def _scope_out(scope: CoverageScope) -> ScopeOut:
    return ScopeOut.model_validate(scope._asdict() | {"quarter": _quarter_name(scope.quarter)})


def _quarter_name(day: date | None) -> str | None:
    return None if day is None else f"{day.year}-Q{(day.month + 2) // 3}"


def _figures(row: AreaCoverage) -> dict[str, object]:
    outcomes = {outcome.value: row.outcomes[outcome] for outcome in PersonOutcome}
    told = row.denominator
    return {
        "denominator": told.people,
        "source": told.source,
        "as_of": told.as_of,
        "missing_children": told.missing_children,
        "on_file": row.on_file,
        "target": row.target,
        **outcomes,
        "no_phone": row.no_phone,
        "surplus": row.surplus,
        "coverage_pct": row.coverage_pct,
        "with_told_pct": row.with_told_pct,
        "of_target_pct": row.of_target_pct,
        "reasons": dict(row.reasons.most_common()),
        "flags": row.flags,
    }


def _figures_out(row: AreaCoverage) -> FiguresOut:
    return FiguresOut.model_validate(_figures(row))


def _area_out(row: AreaCoverage) -> AreaFiguresOut:
    return AreaFiguresOut.model_validate(
        _figures(row) | {"area": row.area, "name": row.name, "finer": row.finer}
    )
