"""Making and editing campaigns. An edit makes a draft of the campaign and voids its approval."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from service.accounts.departments.department import JOINT_KINDS
from service.accounts.departments.department_store import get_permits
from service.accounts.keys.key import Mode
from service.accounts.people.model import By, User
from service.audience.areas.area_store import read_area_tree
from service.campaigns.audience.leg_counts import unknown_areas
from service.campaigns.audience.recipients import correction_problems, rule_text
from service.campaigns.calendar import schedule
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Fire, Why, next_look, opens, upcoming
from service.campaigns.calendar.hours import HORIZON, County, HourTerms
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import fire_store, leg_store, store
from service.campaigns.core.legs import LEG_MOVES, LegState
from service.campaigns.core.model import ENDED, Act, Campaign, Plan, State, check_move
from service.campaigns.core.texts import step_instants, text_problems
from service.campaigns.plans import sequence_store
from service.campaigns.plans.sequence import has_fired_for_good, step_note
from service.channels.config.store import existing_channels
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.messages.plan_values import value_problems
from service.messages.store import Template, template_get
from service.messages.template import unfilled_problem
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase
from service.words.terms import term

MOST_DRAFTS = 500
"""Drafts of one department, those that were returned to it included."""


async def load(
    conn: Connection, campaign_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Campaign:
    """One campaign, as its department sees it; `lock` keeps all others from moving it.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    campaign = await store.get_campaign(conn, campaign_id, scope, lock=lock)
    if campaign is None:
        raise NotFound(phrase("there is no campaign {campaign_id}", campaign_id=campaign_id))
    return campaign


async def create(
    conn: Connection,
    actor: User,
    plan: Plan,
    now: datetime,
    mode: Mode = Mode.LIVE,
    *,
    department_id: UUID | None = None,
) -> Campaign:
    """Make a draft for a department, the actor's if none is given; `mode` is that of the key.

    Raises:
        Invalid: the plan names something that is not there, or its schedule is wrong.
        Forbidden: only an administrator of the county may let it go beyond the county's hours.
        Conflict: code `too_many_drafts`.
    """
    whose = department_id or actor.department_id
    await _check_plan(conn, actor, whose, plan, now)
    await need_room(conn, whose)
    campaign_id = await store.insert_campaign(conn, whose, plan, actor.id, now, mode)
    return await load(conn, campaign_id, None)


async def need_room(conn: Connection, department_id: UUID, *, lock: bool = True) -> None:
    """Refuse one more draft if the department has too many; raises Conflict.

    lock: until the end of the transaction nobody else adds one.
    """
    if await store.count_drafts(conn, department_id, lock=lock) >= MOST_DRAFTS:
        raise Conflict(
            phrase(
                "the department has {most_drafts} drafts, the most that are kept; cancel those"
                " that nobody needs (POST /campaigns/{{campaign_id}}/cancel), and try again",
                most_drafts=MOST_DRAFTS,
            ),
            code="too_many_drafts",
        )


async def check_mode(conn: Connection, campaign_id: UUID, mode: Mode) -> None:
    """Refuse a key that is not live whatever was planned with a key of another kind.

    Raises:
        Forbidden: the campaign is not one of those that the key may touch.
    """
    if mode is Mode.LIVE:
        return
    campaign = await store.get_campaign(conn, campaign_id, None)
    if campaign is not None and campaign.key_mode != mode:
        raise Forbidden(
            phrase(
                "a {mode} key may only change campaigns that were planned with a {mode} key",
                mode=term(mode),
            ),
            code="out_of_scope",
        )


async def clone(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    name: str | None,
    now: datetime,
    mode: Mode = Mode.LIVE,
) -> Campaign:
    """Make a draft of the same plan, under another name if one is given, for the same department;
    `mode` is that of the key.

    Nothing of the first one's life goes along: it is submitted and approved by itself.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Invalid: the plan names something that is not there any more.
        Conflict: code `too_many_drafts`.
    """
    campaign = await load(conn, campaign_id, actor.scope)
    plan = replace(campaign.plan, name=name or campaign.plan.name)
    await _check_plan(conn, actor, campaign.department_id, plan, now)
    await need_room(conn, campaign.department_id)
    made = await store.insert_campaign(
        conn, campaign.department_id, plan, actor.id, now, mode, campaign_id
    )
    return await load(conn, made, None)


async def edit(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    change: Callable[[Plan], Plan],
    now: datetime,
) -> Campaign:
    """Change a campaign that has not begun to send.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it has begun to send, or has ended.
        Invalid: the new plan names something that is not there, or its schedule is wrong.
        Forbidden: as for `create`.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    await check_edit(conn, campaign)
    plan = change(campaign.plan)
    await _check_plan(conn, actor, campaign.department_id, plan, now, campaign.plan)
    if campaign.state is not State.DRAFT:
        by = By(actor.id, "edited", now, Why.EDITED)
        await store.move(conn, campaign_id, Act.EDIT, State.DRAFT, by)
        await fire_store.skip_held(conn, campaign_id, by.code, by.reason, now)
        await store.void_submission(conn, campaign_id)
        await _withdraw_legs(conn, campaign, by)
    await store.update_plan(conn, campaign_id, plan, actor.id)
    return await load(conn, campaign_id, None)


async def check_edit(conn: Connection, campaign: Campaign) -> None:
    """Refuse to change what has begun to send, has ended, or what another side has agreed to.

    Raises:
        WrongState, Conflict: as for `edit`.
    """
    check_move(Act.EDIT, campaign.state)
    if campaign.plan.leg_of is not None:
        raise Conflict(
            phrase(
                "this is your leg of a joint plan, whose words and times are the plan's:"
                " pause or cancel it, or ask whoever planned it for a change"
            ),
            code="leg_of_a_joint_plan",
        )
    if any(leg.state is LegState.TAKEN for leg in await leg_store.list_legs(conn, campaign.id)):
        raise Conflict(
            phrase(
                "legs of this joint plan have been taken as it is: cancel it, clone it, and"
                " change the copy"
            ),
            code="legs_were_taken",
        )


async def _withdraw_legs(conn: Connection, campaign: Campaign, by: By) -> None:
    """Nobody is asked any more for a leg of a plan that changes; the departments are told."""
    if not campaign.plan.is_joint:
        return
    for leg in await leg_store.list_legs(conn, campaign.id):
        if leg.state in LEG_MOVES[LegState.PLANNED]:
            await leg_store.move_leg(conn, leg, LegState.PLANNED, by)


async def _check_plan(
    conn: Connection,
    actor: User,
    department_id: UUID,
    plan: Plan,
    now: datetime,
    before: Plan | None = None,
) -> None:
    fields: dict[str, str] = {}
    template = rule = None
    try:
        template = await template_get(conn, plan.template_id, department_id)
    except NotFound as error:
        fields["template_id"] = error.message
    else:
        permits = await get_permits(conn, department_id)
        fields |= await _text_problems(conn, department_id, plan, template)
        fields |= permits.problems(template.info.message_class, plan.channels)
    try:
        rule = await _rule(conn, plan, department_id)
    except NotFound as error:
        fields["legs" if plan.is_joint else "segment_id"] = error.message
    fields |= correction_problems(plan)
    fields |= await _leg_problems(conn, department_id, plan)
    missing = set(plan.channels or ()) - await existing_channels(conn)
    if missing:
        fields["channels"] = phrase(
            "there is no channel {channels}", channels=listing(sorted(missing))
        )
    fields |= dict(_contradictions(plan))
    if fields or template is None or rule is None:
        raise Invalid(
            phrase("the plan is wrong, or names what is not there or not allowed"), fields=fields
        )
    schedule.check(plan.schedule)
    _check_right_to_go_beyond(actor, plan.schedule, before.schedule if before else None)
    terms = plan.schedule.terms(template.info.message_class, rule)
    if (await load_county(conn)).next_opening(now, terms) >= now + HORIZON:
        raise Invalid.at(
            "schedule.send_hours",
            phrase("nothing could leave: the plan's hours and the county's have none in common"),
        )


def _contradictions(plan: Plan) -> Iterator[tuple[str, str]]:
    start, end = plan.period
    if start is not None and end is not None and start >= end:
        yield "period.end", phrase("a period ends after it starts")
    if plan.safety.canary_first is not None and plan.safety.canary_share is not None:
        yield "safety.canary", phrase("give how many people go first, or which share, not both")


async def _text_problems(
    conn: Connection, department_id: UUID, plan: Plan, first: Template
) -> dict[str, str]:
    """What is wrong with the texts, which are of one class, and with what fills them."""
    message_class, kind = first.info.message_class, await store.department_kind(conn, department_id)
    problems = dict(text_problems(plan.more_texts, plan.schedule.kind))
    problems |= variable_problems(first.text, plan, 0, kind)
    for number, text in enumerate(plan.more_texts):
        field = f"more_texts.{number}.template_id"
        try:
            found = await template_get(conn, text.template_id, department_id)
        except NotFound as error:
            problems[field] = error.message
        else:
            if found.info.message_class != message_class:
                problems[field] = phrase(
                    "all texts of a campaign are of one class, here {message_class}",
                    message_class=message_class,
                )
            else:
                problems |= variable_problems(found.text, plan, number + 1, kind)
    return problems


async def _rule(conn: Connection, plan: Plan, department_id: UUID) -> str:
    if not plan.is_joint and plan.segment_id is None and plan.corrects is None:
        raise Invalid.at(
            "segment_id", phrase("say whom it is for: a segment, or the legs of a joint plan")
        )
    return await rule_text(conn, plan, department_id)


async def _leg_problems(conn: Connection, department_id: UUID, plan: Plan) -> dict[str, str]:
    """What is wrong with the legs of a joint plan, by field."""
    if not plan.is_joint:
        return {}
    fields: dict[str, str] = {}
    if (kind := await store.department_kind(conn, department_id)) not in JOINT_KINDS:
        fields["legs"] = phrase(
            "a joint plan is the county's or the police's, and a {kind} is neither:"
            " plan for the people of the own lists",
            kind=term(kind),
        )
    if plan.segment_id is not None:
        fields["segment_id"] = phrase("a joint plan has legs in place of a segment: leave it out")
    if len({leg.department_id for leg in plan.legs}) < len(plan.legs):
        fields["legs"] = phrase("each department has one leg; name all its areas there")
    if any(leg.department_id == department_id for leg in plan.legs):
        fields["legs"] = phrase(
            "a leg is another department's, whose own people take it: plan a campaign for your own"
        )
    if plan.schedule.kind == "joining":
        fields["schedule.kind"] = phrase(
            "a joint plan fires once or again and again, not for newcomers"
        )
    if plan.channels is not None:
        fields["channels"] = phrase(
            "each leg goes over the channels of its own department: leave it at auto"
        )
    return fields | unknown_areas(plan.legs, await read_area_tree(conn))


def variable_problems(text: str, plan: Plan, number: int, kind: str) -> dict[str, str]:
    """Why a text of a plan cannot be filled, by field: variables that nothing fills, and values of
    the plan that are missing or wrong.

    text: of the template, with its variables. number: 0 for the first text. kind: of the
    department.
    """
    place = f"more_texts.{number - 1}." if number else ""
    whose = plan.more_texts[number - 1] if number else plan
    if (problem := unfilled_problem(text)) is not None:
        return {f"{place}template_id": problem}
    found = value_problems(text, whose.values, kind, from_bulletin=whose.figures_from is not None)
    return {f"{place}values.{name}": problem for name, problem in found.items()}


def _check_right_to_go_beyond(actor: User, new: Schedule, before: Schedule | None) -> None:
    """An edit of something else leaves standing what an administrator allowed."""
    if not new.beyond_hours or actor.runs_the_county:
        return
    if before is None or not before.beyond_hours or _hours(new) != _hours(before):
        raise Forbidden(
            phrase(
                "only an administrator of the county may let texts leave beyond the county's hours"
            )
        )


def _hours(plan: Schedule) -> tuple[object, ...]:
    return plan.send_hours, plan.timezone, plan.quiet_days


async def fires_ahead(
    conn: Connection, campaign: Campaign, county: County, now: datetime, count: int
) -> list[Fire]:
    """The next fires and steps of a campaign, those among them that the calendar leaves out too;
    for one that is not approved, as if it were now.
    """
    if campaign.state in ENDED:
        return []
    steps = [
        Fire(step.planned_at, step.due_at, step_note(step.text_no))
        for step in await sequence_store.open_steps(conn, campaign.id, count)
    ]
    if campaign.plan.schedule.kind == "recurring":
        terms = await hour_terms(conn, campaign)
        waits = campaign.state not in {State.RUNNING, State.PAUSED} or campaign.next_fire_at
        begin, end = campaign.plan.period
        since = opens(campaign.plan.schedule, now, begin)
        ahead = upcoming(campaign.plan.schedule, terms, county, since, count) if waits else []
        return [fire for fire in ahead if end is None or fire.at < end]
    ahead = await _first_fire(conn, campaign, county, now)
    return sorted(ahead + steps, key=lambda fire: fire.at)[:count]


async def _first_fire(
    conn: Connection, campaign: Campaign, county: County, now: datetime
) -> list[Fire]:
    """The fire of a plan that has one to come, with what follows it; or the next look."""
    plan = campaign.plan.schedule
    if campaign.next_fire_at is None and (
        campaign.state in {State.RUNNING, State.PAUSED} or await has_fired_for_good(conn, campaign)
    ):
        return []
    if plan.kind == "joining":
        terms = await hour_terms(conn, campaign)
        at = campaign.next_fire_at or next_look(plan, terms, county, now)
        return [] if at is None else [Fire(at, at)]
    at = campaign.next_fire_at or plan.start_at or now
    days = [text.after_days for text in campaign.plan.more_texts]
    return [
        Fire(plan.start_at or at, at),
        *(Fire(on, on, step_note(no)) for no, on in step_instants(days, at, plan.zone).items()),
    ]


async def hour_terms(conn: Connection, campaign: Campaign) -> HourTerms:
    """What a campaign says of its hours, by its rule as frozen or as it stands."""
    rule = campaign.frozen_rule
    if rule is None:
        rule = await rule_text(conn, campaign.plan, None)
    return campaign.plan.schedule.terms(campaign.message_class, rule)
