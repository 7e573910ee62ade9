"""The legs of joint plans: what each department is asked, taken or returned by its own people."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.acts import ActOut, judge
from service.api.calendar.schedules import HourSpans, ScheduleOut
from service.api.campaigns.safety_forms import PeriodOut
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, OptionalLine, Out, Page
from service.campaigns.approval import legs
from service.campaigns.approval.legs import Narrower
from service.campaigns.core import leg_store
from service.campaigns.core.legs import MOST_LEGS, Leg, LegAsk, LegState, TakenAs, leg_rule
from service.campaigns.core.model import Campaign, State
from service.campaigns.plans.planning import load

AreaCodes = Annotated[list[Line], Field(max_length=500)]


class LegBody(Body):
    """What a joint plan asks of a department."""

    department_id: UUID
    areas: AreaCodes = Field(
        default=[], description="Codes of areas; empty: all people whom its lists hold."
    )

    def ask(self) -> LegAsk:
        """What the rules know."""
        return LegAsk(self.department_id, tuple(dict.fromkeys(self.areas)))


Legs = Annotated[list[LegBody], Field(min_length=1, max_length=MOST_LEGS)]


class LegAskOut(Out):
    """What a joint plan asks of a department."""

    department_id: UUID
    areas: list[str]


class TakeBody(Body):
    """How you take your leg: as the plan has it, or narrower."""

    areas: AreaCodes | None = Field(
        default=None, description="Fewer of the areas that are asked for, or areas within them."
    )
    send_hours: HourSpans | None = Field(default=None, description="Within those of the plan.")
    channels: Literal["auto"] | Annotated[list[Int], Field(min_length=1, max_length=100)] = "auto"
    max_tps: Annotated[Int, Field(ge=1)] | None = None
    reason: OptionalLine = ""
    missed: Literal["run", "hold", "skip"] | None = Field(
        default=None,
        description="What becomes of fires of the plan that are more than 15 minutes late by now;"
        " of several, the last stands for all. Needed if there are such and the plan says"
        " `late: hold`; else they follow the plan.",
    )


class LegReturnBody(Body):
    """Why your department does not send it as it is; whoever planned it is told."""

    reason: Line


class AskBody(Body):
    """What to say, and for which areas you ask; without them, the same."""

    reason: OptionalLine = ""
    areas: AreaCodes | None = Field(default=None, description="Within those that were approved.")


class TakenAsOut(Out):
    """How a department has taken its leg: as it was asked, or narrower."""

    people: int = Field(description="How many it is for, as its campaign stands.")
    areas: list[str] = Field(description="Empty: all people whom its lists hold.")
    send_hours: list[tuple[str, str]]
    channels: list[int] | None = Field(
        description="Those that it chose, for its own side; null: for others, or the router's"
        " choice."
    )
    channel_count: int | None = Field(description="How many it chose; null: the router's choice.")
    max_tps: int | None


class LegOut(LegAskOut):
    """A leg: what is asked of whom, and what was answered."""

    id: UUID
    campaign_id: UUID = Field(description="The joint plan.")
    plan_name: str
    planned_by: str = Field(description="The department whose plan it is.")
    department: str
    carrier: str | None
    state: LegState
    taken_by: UUID | None
    taken_at: Instant | None
    own_campaign_id: UUID | None = Field(
        description="The campaign that it is in its own department; null: nobody has taken it."
    )
    own_state: State | None = Field(description="How that campaign stands.")
    taken_as: TakenAsOut | None = Field(
        description="How it was taken; `areas` are those that are asked for."
    )
    paused_by_its_own: bool = Field(
        description="Its own department has paused it; a resume of the whole plan leaves it so."
    )


class LegMoveOut(Out):
    """One line of a leg's record."""

    leg_id: UUID
    from_state: str
    to_state: str
    user_id: UUID | None
    reason: str
    at: Instant


class LegLeftOutOut(Out):
    """A fire of the plan that went without a leg."""

    leg_id: UUID
    planned_at: Instant
    state: str
    made_up_at: Instant | None = Field(description="When the leg was sent after all.")


class LegsOut(Out):
    """All legs of a joint plan, and their record."""

    items: list[LegOut]
    moves: list[LegMoveOut]
    left_out: list[LegLeftOutOut]


class LegPlanOut(Out):
    """What the plan of a leg sends, and when, for whoever is to take it."""

    id: UUID
    department_id: UUID
    name: str
    message_class: str = Field(alias="class")
    texts: list[str]
    rule: str = Field(description="Whom all legs mean together.")
    schedule: ScheduleOut
    period: PeriodOut
    state: State
    next_fire_at: Instant | None
    content_hash: str | None


class LegDetail(LegOut):
    """A leg with what its plan sends."""

    BY_THE_CLOCK = frozenset({"acts"})

    approved_areas: list[str] = Field(
        description="What was approved; `areas` may be fewer since it was asked for again."
    )
    rule: str = Field(description="Whom this leg means, as it is asked for.")
    plan: LegPlanOut
    acts: list[ActOut] = Field(
        description="`take`, `return` and `ask`: whether you could do it now, and why not. What"
        " takes a count, or a look at its people and channels, is found by the act itself."
    )


class LegQuery(PageQuery):
    """Which legs: all, or those in one state."""

    state: LegState | None = None


async def list_legs(call: Call, query: LegQuery) -> Page[LegOut]:
    """List what joint plans ask of your department, from new to old."""
    found = await leg_store.legs_asked(
        call.conn, call.user.scope, query.before, query.wanted, query.state
    )
    return cut(Page[LegOut], [_out(leg, call.user.scope) for leg in found], query)


async def get_leg(call: Call, leg_id: UUID) -> LegDetail:
    """Show a leg with what its plan sends, to either side."""
    plan, leg = await legs.load_leg(call.conn, call.user, leg_id)
    shown = _out(leg, call.user.scope)
    return LegDetail(
        **shown.model_dump(),
        approved_areas=list(leg.approved_areas),
        rule=leg_rule(leg.department, leg.areas),
        plan=_plan_out(plan),
        acts=await _acts(call, plan, leg),
    )


async def _acts(call: Call, plan: Campaign, leg: Leg) -> list[ActOut]:
    """Each act of a person on a leg, and whether the caller could do it now."""

    async def take() -> None:
        await legs.check_take(call.conn, call.user, plan, leg, call.now)

    async def give_back() -> None:
        legs.check_return(call.user, leg)

    async def ask() -> None:
        legs.check_ask(call.user, plan, leg)

    found = {"leg_id": leg.id}
    return [
        await judge(call, act, operation, found, check)
        for act, operation, check in (
            ("take", "take_leg", take),
            ("return", "return_leg", give_back),
            ("ask", "ask_again", ask),
        )
    ]


async def list_plan_legs(call: Call, campaign_id: UUID) -> LegsOut:
    """Show the legs of a joint plan.

    Who has taken, returned or not answered, and which fires went without them; none of another
    campaign. Each side sees it, and nobody the other's people.
    """
    found = await leg_store.list_legs(call.conn, campaign_id)
    scope = call.user.scope
    if all(scope != leg.department_id or leg.state is LegState.PLANNED for leg in found):
        await load(call.conn, campaign_id, scope)
    moves = await leg_store.list_leg_moves(call.conn, campaign_id)
    left_out = await leg_store.list_left_out(call.conn, campaign_id)
    return LegsOut(
        items=[_out(leg, scope) for leg in found],
        moves=[LegMoveOut.model_validate(move) for move in moves],
        left_out=[LegLeftOutOut.model_validate(one) for one in left_out],
    )


async def take_leg(call: Call, leg_id: UUID, body: TakeBody) -> LegDetail:
    """Agree to send a leg to the people of your department, over its channels.

    Nobody who planned or approved the whole can do it.
    """
    channels = None if body.channels == "auto" else tuple(dict.fromkeys(body.channels))
    narrower = Narrower(
        areas=None if body.areas is None else tuple(dict.fromkeys(body.areas)),
        send_hours=None if body.send_hours is None else tuple(body.send_hours),
        channels=channels,
        max_tps=body.max_tps,
    )
    await legs.take(
        call.conn,
        call.user,
        leg_id,
        narrower,
        call.by(body.reason or "taken"),
        missed=body.missed,
        keyring=call.runtime.keyring,
    )
    return await get_leg(call, leg_id)


async def return_leg(call: Call, leg_id: UUID, body: LegReturnBody) -> LegDetail:
    """Return a leg to whoever planned it, with a reason."""
    await legs.give_back(call.conn, call.user, leg_id, call.by(body.reason))
    return await get_leg(call, leg_id)


async def ask_again(call: Call, leg_id: UUID, body: AskBody) -> LegDetail:
    """Ask once more for a leg that was returned, as it was or for fewer areas."""
    by = call.by(body.reason or "asked again")
    areas = None if body.areas is None else tuple(dict.fromkeys(body.areas))
    await legs.ask_again(call.conn, call.user, leg_id, areas, by)
    return await get_leg(call, leg_id)


def _out(leg: Leg, scope: UUID | None) -> LegOut:
    return LegOut(
        id=leg.id,
        campaign_id=leg.campaign_id,
        plan_name=leg.plan,
        planned_by=leg.planned_by,
        department_id=leg.department_id,
        department=leg.department,
        carrier=leg.carrier,
        areas=list(leg.areas),
        state=leg.state,
        taken_by=leg.taken_by,
        taken_at=leg.taken_at,
        own_campaign_id=leg.own_campaign_id,
        own_state=None if leg.own_state is None else State(leg.own_state),
        taken_as=_taken_as_out(leg.taken_as, own_side=scope in {None, leg.department_id}),
        paused_by_its_own=leg.paused_by is not None,
    )


def _taken_as_out(taken: TakenAs | None, *, own_side: bool) -> TakenAsOut | None:
    if taken is None:
        return None
    chosen = taken.channels
    return TakenAsOut(
        people=taken.people,
        areas=list(taken.areas),
        send_hours=list(taken.send_hours),
        channels=list(chosen) if chosen is not None and own_side else None,
        channel_count=None if chosen is None else len(chosen),
        max_tps=taken.max_tps,
    )


def _plan_out(plan: Campaign) -> LegPlanOut:
    return LegPlanOut.model_validate(
        {
            "id": plan.id,
            "department_id": plan.department_id,
            "name": plan.plan.name,
            "class": plan.message_class,
            "texts": [plan.text, *(text.text for text in plan.further)],
            "rule": plan.frozen_rule or "",
            "schedule": plan.plan.schedule,
            "period": {"start": plan.plan.period_start, "end": plan.plan.period_end},
            "state": plan.state,
            "next_fire_at": plan.next_fire_at,
            "content_hash": plan.content_hash.hex() if plan.content_hash else None,
        }
    )
