"""The rules of the score sheet over HTTP, and what units state of cases of their own staff."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from service.accounts.departments.department import COUNTY
from service.accounts.departments.department_store import get_department
from service.accounts.people.model import Right
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Line, Out, QueryString
from service.cases.week import Period, quarter_of, week_of
from service.duties.assessment import rules_store
from service.duties.assessment.assessment import span_of
from service.duties.assessment.rules_store import OwnStaffStatement, RulesVersion
from service.duties.assessment.score import WEIGHED, ScoreItem, ScoreRules
from service.errors import Forbidden, Invalid, NotFound
from service.words.phrase import phrase

MOST_VERSIONS = 50
MOST_STATEMENTS = 500
MOST_WEIGHT = 1_000


class AssessmentQuery(QueryString):
    """Of which quarter."""

    period: Line | None = Field(
        default=None, description="A quarter, as 2027-Q1; default: this quarter."
    )


class ScoreRulesOut(Out):
    """The rules of the sheet. version 0: as shipped."""

    version: int
    weights: dict[ScoreItem, int]
    full_coverage_pct: Decimal
    own_staff_each: int
    own_staff_most: int
    reason: str
    set_by: UUID | None
    set_at: Instant | None
    from_period: str | None = Field(description="The first quarter that follows them.")


class ScoreRulesBody(Body):
    """The rules for the quarters that begin from now on, and why they change."""

    weights: dict[ScoreItem, Annotated[Int, Field(ge=0, le=MOST_WEIGHT)]] = Field(
        description="Of reports, coverage, relays, households and cases; 0: the item is off."
    )
    full_coverage_pct: float = Field(
        default=95, ge=1, le=100, description="From this coverage on all points are given."
    )
    own_staff_each: Annotated[Int, Field(ge=0, le=100)] = 5
    own_staff_most: Annotated[Int, Field(ge=0, le=100)] = 10
    reason: Line

    @model_validator(mode="after")
    def _complete(self) -> "ScoreRulesBody":
        if set(self.weights) != set(WEIGHED):
            raise ValueError(
                phrase("give the weights of reports, coverage, relays, households and cases")
            )
        if not any(self.weights.values()):
            raise ValueError(phrase("one item at least must weigh something"))
        return self


class ScoreRulesListOut(Out):
    """The rules in force for the present quarter, and all versions, the last one first."""

    present: ScoreRulesOut
    items: list[ScoreRulesOut]


class OwnStaffBody(Body):
    """How many cases of a quarter had a victim among the staff of a department."""

    department_id: UUID | None = Field(
        default=None, description="Default: your own. The county states for any department."
    )
    period: Line
    cases: Annotated[Int, Field(ge=0, le=100_000)]
    source: Line = Field(
        description="How that is known, such as a notice of the police; no names or numbers."
    )


class OwnStaffQuery(AssessmentQuery):
    """Of which quarter, and of which department."""

    department: UUID | None = None


class OwnStaffOut(Out):
    """What somebody said; of a department and quarter the last one counts."""

    id: UUID
    department_id: UUID
    department: str
    period: str
    cases: int
    source: str
    stated_by: UUID
    stated_at: Instant


class OwnStaffListOut(Out):
    """All that was said of a quarter, the latest first."""

    items: list[OwnStaffOut]


async def get_assessment_rules(call: Call) -> ScoreRulesListOut:
    """Show the rules of the score sheet, and those that were."""
    first, _ = span_of(present_quarter(call), call.runtime.settings.zone)
    present = await rules_store.rules_at(call.conn, first)
    versions = await rules_store.list_rules(call.conn, MOST_VERSIONS)
    return ScoreRulesListOut(
        present=rules_out(call, present), items=[rules_out(call, one) for one in versions]
    )


async def set_assessment_rules(call: Call, body: ScoreRulesBody) -> ScoreRulesListOut:
    """Set the rules for the quarters that begin from now on; the present one keeps its own."""
    rules = ScoreRules(
        {item: body.weights[item] for item in WEIGHED},
        Decimal(str(body.full_coverage_pct)).quantize(Decimal("0.1")),
        body.own_staff_each,
        body.own_staff_most,
    )
    version = await rules_store.add_rules(call.conn, rules, body.reason, call.user.id, call.now)
    call.note("assessment_rules", version)
    return await get_assessment_rules(call)


async def list_own_staff_cases(call: Call, query: OwnStaffQuery) -> OwnStaffListOut:
    """List what was said of cases of departments' own staff in a quarter, the latest first."""
    sees = units_seen(call)
    if query.department is not None:
        if sees is not None and query.department not in sees:
            raise NotFound(
                phrase("there is no department {department_id}", department_id=query.department)
            )
        sees = [query.department]
    found = await rules_store.list_statements(
        call.conn, str(quarter_asked(call, query)), sees, MOST_STATEMENTS
    )
    return OwnStaffListOut(items=[_said_out(one) for one in found])


async def state_own_staff_cases(call: Call, body: OwnStaffBody) -> OwnStaffOut:
    """State how many cases of a quarter had a victim among a department's own staff.

    Case figures name no victim, so nobody but the unit itself or the county can say it. What was
    said before stays in the record.
    """
    whose = body.department_id or call.user.department_id
    if whose != call.user.department_id:
        if call.user.department_kind != COUNTY or not call.user.may(Right.OBLIGATIONS):
            raise Forbidden(phrase("a unit states its own cases; the county those of any unit"))
        try:
            await get_department(call.conn, whose, None)
        except NotFound as error:
            raise Invalid.at("department_id", error.message) from error
    quarter = quarter_named(body.period)
    if quarter.first > week_of(_today(call)):
        raise Invalid.at("period", phrase("the quarter has not begun"))
    said = await rules_store.add_statement(
        call.conn, whose, str(quarter), body.cases, body.source, call.by(body.source)
    )
    call.note("own_staff_cases", said.id, department=str(whose), period=said.quarter)
    return _said_out(said)


def quarter_named(written: str) -> Period:
    """The quarter that is written as 2027-Q1.

    Raises:
        Invalid: it is written otherwise.
    """
    year, _, name = written.partition("-")
    if (
        name not in {"Q1", "Q2", "Q3", "Q4"}
        or len(year) != 4
        or not (year.isascii() and year.isdigit())
        or not 2000 <= int(year) < 2100
    ):
        raise Invalid.at("period", phrase("a quarter, such as 2027-Q1"))
    return Period(int(year), name)  # type: ignore[arg-type]  # one of four


def quarter_asked(call: Call, query: AssessmentQuery) -> Period:
    """The quarter of a question, this one if none is said; raises as `quarter_named`."""
    return present_quarter(call) if query.period is None else quarter_named(query.period)


def _today(call: Call) -> date:
    return call.now.astimezone(call.runtime.settings.zone).date()


def present_quarter(call: Call) -> Period:
    """This quarter, by the county's clock."""
    return quarter_of(week_of(_today(call)))


def units_seen(call: Call) -> Sequence[UUID] | None:
    """The units that the caller sees; None: all of them."""
    return None if call.user.department_kind == COUNTY else call.user.count_scope


def rules_out(call: Call, found: RulesVersion) -> ScoreRulesOut:
    """Rules as they are answered."""
    rules = found.rules
    since = None
    if found.set_at is not None:
        day = found.set_at.astimezone(call.runtime.settings.zone).date()
        since = str(_quarter_after(quarter_of(week_of(day))))
    return ScoreRulesOut(
        version=found.version,
        weights=dict(rules.weights),
        full_coverage_pct=rules.full_coverage_pct,
        own_staff_each=rules.own_staff_each,
        own_staff_most=rules.own_staff_most,
        reason=found.reason,
        set_by=found.set_by,
        set_at=found.set_at,
        from_period=since,
    )


def _quarter_after(quarter: Period) -> Period:
    return quarter_of(quarter.last.next)


def _said_out(said: OwnStaffStatement) -> OwnStaffOut:
    return OwnStaffOut(
        id=said.id,
        department_id=said.department_id,
        department=said.department,
        period=said.quarter,
        cases=said.cases,
        source=said.source,
        stated_by=said.stated_by,
        stated_at=said.stated_at,
    )
