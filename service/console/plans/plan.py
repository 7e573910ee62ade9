"""A campaign: what it says, how it stands, what may be done with it, what happened to it."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import departments
from service.api.acts import ActOut
from service.api.audience import segments
from service.api.calendar import schedules
from service.api.calendar.schedules import FireQuery
from service.api.campaigns import campaigns, legs, milestones
from service.api.campaigns.details import CampaignDetail
from service.api.campaigns.legs import LegOut
from service.api.channels import channels
from service.api.content import templates
from service.api.http.paging import PageQuery
from service.api.sending import runs
from service.console.asking import Desk
from service.console.names import names_of
from service.console.plans import words
from service.console.plans.areas import read_area_names
from service.console.render import Shown
from service.errors import NotFound
from service.words.phrase import listing

SHOWN = 20


async def show_plan(desk: Desk) -> Shown:
    """A campaign."""
    campaign_id = desk.uuid("campaign_id")
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    page = PageQuery(limit=SHOWN)
    told: dict[str, Any] = {
        **await about(desk, plan),
        "acts": acts_of(plan),
        "runs": (await desk.get(runs.list_runs, campaign_id=campaign_id, query=page)).items,
        "past": (
            await desk.get(
                schedules.list_fires, campaign_id=campaign_id, query=FireQuery(limit=SHOWN)
            )
        ).items,
        "steps": [],
        "milestones": [],
        "legs": None,
        "tab": "plan",
    }
    if any(text.after_days for text in plan.more_texts):
        steps = await desk.get(schedules.list_steps, campaign_id=campaign_id, query=page)
        told["steps"] = steps.items
    if desk.may(Right.READ):
        found = await desk.get(milestones.list_milestones, campaign_id=campaign_id)
        told["milestones"] = found.items
    if plan.legs:
        told |= await asked_of(desk, plan)
    told["own_leg"] = await _own_leg(desk, plan)
    return Shown("plans/plan.html", told)


async def asked_of(desk: Desk, plan: CampaignDetail) -> dict[str, Any]:
    """What a joint plan asks of whom, with the names of the areas of each leg."""
    found = await desk.get(legs.list_plan_legs, campaign_id=plan.id)
    areas = await read_area_names(desk)
    return {
        "legs": found,
        "leg_areas": {leg.id: areas.said(leg.areas) for leg in found.items},
        "leg_departments": {leg.id: leg.department for leg in found.items},
    }


async def _own_leg(desk: Desk, plan: CampaignDetail) -> LegOut | None:
    """Which part of a joint plan a campaign is; None: it is none."""
    if plan.leg_of is None:
        return None
    whole = await desk.get(legs.list_plan_legs, campaign_id=plan.leg_of)
    return next((one for one in whole.items if one.own_campaign_id == plan.id), None)


async def about(desk: Desk, plan: CampaignDetail) -> dict[str, Any]:
    """What the pages of a campaign are told alike: its plan, and the names of what it has."""
    found = await named(desk, plan)
    return {
        **words.lines(desk.language),
        "values": words.values_said(plan, desk.language),
        "plan": plan,
        "words": words,
        "names": await names_of(desk, _hands(plan)),
        "may_read": desk.may(Right.READ),
        "may_plan": desk.may(Right.PLAN),
        "may_audit": desk.may(Right.AUDIT),
        **found,
    }


def _hands(plan: CampaignDetail) -> Iterator[UUID | None]:
    """Whoever had a hand in it, and whose seat an approver has."""
    yield from (plan.created_by, plan.submitted_by)
    yield from (move.user_id for move in plan.moves)
    yield from (approver.stands_in_for for approver in plan.approvers)


async def named(desk: Desk, plan: CampaignDetail) -> Mapping[str, Any]:
    """The names of a campaign's text, group, channels and department, as far as one sees them."""
    told: dict[str, Any] = {
        "text_name": "",
        "group_name": "",
        "channel_names_said": "",
        "whose": "",
    }
    if desk.may(Right.REPORTS):
        try:
            found = await desk.get(departments.get_department, department_id=plan.department_id)
            told["whose"] = found.name
        except NotFound:
            told["whose"] = ""
    if not desk.may(Right.READ):
        return told
    try:
        text = await desk.get(templates.get_template, template_id=plan.template_id)
        told["text_name"] = text.name
    except NotFound:  # of a part of a joint plan, whose text is the plan's
        told["text_name"] = ""
    if plan.segment_id is not None:
        group = await desk.get(segments.get_segment, segment_id=plan.segment_id)
        told["group_name"] = group.name
    if plan.channels != "auto":
        every = (await desk.get(channels.list_channels)).items
        known = {one.id: one.name for one in every}
        chosen = [known.get(one, str(one)) for one in plan.channels]
        told["channel_names_said"] = desk.language.say(listing(chosen))
    return told


def acts_of(plan: CampaignDetail) -> Mapping[str, ActOut]:
    """Each act of a person by its name."""
    return {act.act: act for act in plan.acts}
