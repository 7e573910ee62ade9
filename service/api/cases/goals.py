"""Goals for cases and loss, and how they stand."""

from math import isinf
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Line, Out, QueryString, Text
from service.cases import bulletin_store, store
from service.cases.goals import (
    MEASURES,
    Goal,
    GoalColour,
    GoalGap,
    GoalMeasure,
    GoalStanding,
    goal_weeks,
    stand,
)
from service.cases.sight import look_at
from service.cases.tables import CaseSight
from service.cases.week import IsoWeek, PeriodName, need_week, week_of
from service.errors import Invalid
from service.words.phrase import phrase

MOST_GOALS = 50


class GoalBody(Body):
    """A change, year on year, that is aimed at."""

    key: Text = Field(pattern="^[A-Z][A-Z0-9]{0,9}$")
    title: Line
    fraud_types: list[Text] | None = Field(
        default=None, min_length=1, max_length=100, description="Keys of kinds; null: all."
    )
    period: PeriodName
    year: Annotated[Int, Field(ge=2000, le=2199)]
    measures: list[GoalMeasure] = Field(default=list(MEASURES), min_length=1)
    target_change_pct: float = Field(
        ge=-100, le=1000, description="-20: at least a fifth less than the year before."
    )


class GoalsBody(Body):
    """All goals, and why they change; those that were are kept as versions."""

    items: list[GoalBody] = Field(max_length=MOST_GOALS)
    reason: Line

    @model_validator(mode="after")
    def _distinct(self) -> "GoalsBody":
        if len({goal.key for goal in self.items}) < len(self.items):
            raise ValueError(phrase("two goals have the same key"))
        return self


class GoalsQuery(QueryString):
    """As of which week."""

    as_of: Text | None = Field(
        default=None, description="As 2027-W06; default: the last covered week."
    )


class GoalOut(Out):
    """A goal and how it stands. What is null is unknown; `gap` says why."""

    key: str
    title: str
    fraud_types: list[str] | None
    period: PeriodName
    year: int
    measures: list[GoalMeasure]
    target_change_pct: float
    cases: int | None
    cases_last_year: int | None
    cases_change_pct: float | None
    loss_yuan: int | None
    loss_last_year: int | None
    loss_change_pct: float | None
    cases_met: bool | None
    loss_met: bool | None
    met: bool | None
    final: bool = Field(description="The last week of the period is covered.")
    cases_interval_pct: list[float | None] | None = Field(
        description="The exact 95 % interval of the change of cases; its upper end may be null:"
        " without bound."
    )
    chance: float | None = Field(
        description="How often such a change of cases comes about by itself; one sided."
    )
    loss_without_largest_pct: float | None = Field(
        description="The change of the loss without the largest row of each year."
    )
    colour: GoalColour = Field(description="grey: met, but chance cannot be ruled out.")
    gap: GoalGap | None
    missing: list[str] = Field(description="Weeks that nothing covers.")


class GoalsOut(Out):
    """The goals of the county as of a week."""

    as_of: str | None = Field(description="Null: nothing is covered yet.")
    version: int
    reason: str
    set_by: UUID | None
    set_at: Instant | None
    items: list[GoalOut]


class GoalsSetOut(Out):
    """The goals that are in force."""

    version: int


async def get_goals(call: Call, query: GoalsQuery) -> GoalsOut:
    """Show how the goals stand as of a week; losses to the county, the police and inspectors."""
    sees_loss = look_at(call.user) is CaseSight.ALL
    found = await bulletin_store.read_goals(call.conn)
    as_of = await _as_of(call, query)
    standings = await standing_of(call, found.goals, as_of)
    return GoalsOut(
        as_of=str(as_of) if as_of else None,
        version=found.id,
        reason=found.reason,
        set_by=found.set_by,
        set_at=found.set_at,
        items=[_out(s) if sees_loss else _without_loss(s) for s in standings],
    )


async def set_goals(call: Call, body: GoalsBody) -> GoalsSetOut:
    """Set the goals, all of them; the earlier ones are kept."""
    types = await store.read_fraud_types(call.conn)
    for at, goal in enumerate(body.items):
        unknown = [key for key in goal.fraud_types or () if key not in types.keys]
        if unknown:
            raise Invalid.at(
                f"items.{at}.fraud_types", phrase("there is no kind of fraud {key}", key=unknown[0])
            )
    goals = [
        Goal(
            goal.key,
            goal.title,
            tuple(goal.fraud_types) if goal.fraud_types is not None else None,
            goal.period,
            goal.year,
            tuple(measure for measure in MEASURES if measure in goal.measures),
            goal.target_change_pct,
        )
        for goal in body.items
    ]
    await bulletin_store.write_goals(call.conn, goals, body.reason, call.user.id, call.now)
    version = (await bulletin_store.read_goals(call.conn)).id
    call.note("goals", version, goals=len(goals))
    return GoalsSetOut(version=version)


async def standing_of(
    call: Call, goals: tuple[Goal, ...], as_of: IsoWeek | None
) -> list[GoalStanding]:
    """How goals stand; of each the figures are read once."""
    if as_of is None:
        as_of = week_of(call.now.astimezone(call.runtime.settings.zone).date())
    weeks = {week for goal in goals for week in goal_weeks(goal, as_of)}
    before = {found for week in weeks if (found := week.year_before)}
    book = await store.read_book(call.conn, weeks | before)
    return [stand(goal, book, as_of) for goal in goals]


async def _as_of(call: Call, query: GoalsQuery) -> IsoWeek | None:
    if query.as_of is not None:
        return need_week(query.as_of, "as_of")
    covered = await store.covered_weeks(call.conn)
    return covered[-1] if covered else None


def _without_loss(standing: GoalStanding) -> GoalOut:
    """A standing for other departments: what rests on losses is not for them."""
    hidden = dict.fromkeys(
        ("loss_yuan", "loss_last_year", "loss_change_pct", "loss_met", "loss_without_largest_pct")
    )
    if "loss_yuan" in standing.goal.measures:
        hidden |= {"met": None, "colour": "unknown"}
    return _out(standing).model_copy(update=hidden)


def _out(standing: GoalStanding) -> GoalOut:
    now, before = standing.figures
    held = standing.cases_interval_pct
    goal = standing.goal
    return GoalOut(
        **{**goal.as_json(), "measures": list(goal.measures)},
        cases=now.cases if now else None,
        cases_last_year=before.cases if before else None,
        cases_change_pct=standing.figures.cases_change_pct,
        loss_yuan=now.loss_yuan if now else None,
        loss_last_year=before.loss_yuan if before else None,
        loss_change_pct=standing.figures.loss_change_pct,
        cases_met=standing.cases_met,
        loss_met=standing.loss_met,
        met=standing.met,
        final=standing.final,
        cases_interval_pct=held and [None if isinf(end) else round(end, 1) for end in held],
        chance=None if standing.chance is None else round(standing.chance, 3),
        loss_without_largest_pct=standing.loss_without_largest_pct,
        colour=standing.colour,
        gap=standing.gap,
        missing=list(map(str, standing.missing)),
    )
