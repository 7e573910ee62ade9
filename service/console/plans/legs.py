"""The parts of joint plans: what is asked of a department, taken, returned or asked for again."""

from typing import Any

from service.accounts.people.model import Right
from service.api.audience import segments
from service.api.audience.segments import PreviewBody, RuleBody
from service.api.campaigns import legs
from service.api.campaigns.legs import (
    AskBody,
    LegDetail,
    LegQuery,
    LegReturnBody,
    TakeBody,
)
from service.api.channels import channels
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.names import names_of
from service.console.plans import words
from service.console.plans.areas import read_area_names
from service.console.plans.form import spans_of
from service.console.render import Gone, Shown
from service.errors import TocsinError
from service.words.phrase import phrase

FILTERS = ("", "asked", "taken", "returned", "left_out", "cancelled")
SHOWN = 50
LATE_FIRES = "fires_were_missed"


async def show_legs(desk: Desk) -> Shown:
    """What joint plans ask of the reader's department, newest first."""
    state = desk.request.query.get("state", "")
    asked = {"state": state} if state in FILTERS and state else {}
    cursor = desk.request.query.get("cursor")
    query = made_of(LegQuery, {**asked, "limit": SHOWN, "cursor": cursor})
    page = await desk.get(legs.list_legs, query=query)
    told = {
        "legs": page.items,
        "next_cursor": page.next_cursor,
        "cursor": cursor,
        "state": state,
        "filters": FILTERS,
        "words": words,
    }
    return Shown("plans/legs.html", told)


async def show_leg(desk: Desk) -> Shown:
    """A part of a joint plan: what is sent when to whom, how it stands, and what was answered."""
    leg = await desk.get(legs.get_leg, leg_id=desk.uuid("leg_id"))
    whole = await desk.get(legs.list_plan_legs, campaign_id=leg.campaign_id)
    moves = [move for move in whole.moves if move.leg_id == leg.id]
    told = {
        **await _about(desk, leg),
        "moves": moves,
        "left_out": [one for one in whole.left_out if one.leg_id == leg.id],
        "names": await names_of(desk, [move.user_id for move in moves]),
    }
    return Shown("plans/leg.html", told)


async def show_take(desk: Desk) -> Shown | Gone:
    """Asks how the department sends its part: as it is asked, or narrower."""
    leg = await desk.get(legs.get_leg, leg_id=desk.uuid("leg_id"))
    if (elsewhere := _elsewhere(desk, leg, "take")) is not None:
        return elsewhere
    every = (await desk.get(channels.list_channels)).items if desk.may(Right.READ) else []
    told: dict[str, Any] = {
        **await _about(desk, leg),
        "channels": [(str(one.id), one.name) for one in every if one.enabled],
        "late": [("", "–"), *((code, desk.language.say(one)) for code, one in words.LATE.items())],
        "decides_late": desk.refusal is not None and desk.refusal.code == LATE_FIRES,
        "counted": None,
    }
    if desk.may(Right.READ):
        body = PreviewBody.model_validate({"rule": leg.rule, "class": leg.plan.message_class})
        told["counted"] = await desk.get(segments.preview_segment, body=body)
    return Shown("plans/leg_take.html", told)


async def show_return(desk: Desk) -> Shown | Gone:
    """Asks why the department does not send its part."""
    return await _confirm(desk, "return", "plans/leg_return.html")


async def show_ask(desk: Desk) -> Shown | Gone:
    """Asks what to say to a department that has returned its part."""
    return await _confirm(desk, "ask", "plans/leg_ask.html")


async def _confirm(desk: Desk, act: str, template: str) -> Shown | Gone:
    leg = await desk.get(legs.get_leg, leg_id=desk.uuid("leg_id"))
    elsewhere = _elsewhere(desk, leg, act)
    return Shown(template, await _about(desk, leg)) if elsewhere is None else elsewhere


async def take(desk: Desk) -> Gone:
    """Agree to send it."""
    leg_id = desk.uuid("leg_id")
    given: dict[str, Any] = {"areas": await _areas(desk)}
    if spans := desk.typed("send_hours"):
        given["send_hours"] = spans_of(spans, "send_hours")
    chosen = desk.form.getall("channels", [])
    given["channels"] = [int(one) for one in chosen if one.isdecimal()] or "auto"
    body = body_of(TakeBody, desk.form, but=("areas", "send_hours", "channels"), given=given)
    made = await desk.act(legs.take_leg, leg_id=leg_id, body=body)
    people = made.taken_as.people if made.taken_as else 0
    done = phrase("It is taken: {people:,} people get it with the plan.", people=people)
    return Gone(f"/plans/legs/{leg_id}", done)


async def give_back(desk: Desk) -> Gone:
    """Return it to whoever planned it."""
    leg_id = desk.uuid("leg_id")
    await desk.act(legs.return_leg, leg_id=leg_id, body=body_of(LegReturnBody, desk.form))
    return Gone(f"/plans/legs/{leg_id}", phrase("It is returned. Whoever planned it sees why."))


async def ask_again(desk: Desk) -> Gone:
    """Ask for it once more."""
    leg_id = desk.uuid("leg_id")
    given = {"areas": await _areas(desk)}
    body = body_of(AskBody, desk.form, but=("areas",), given=given)
    await desk.act(legs.ask_again, leg_id=leg_id, body=body)
    return Gone(f"/plans/legs/{leg_id}", phrase("The department is asked again."))


async def _areas(desk: Desk) -> list[str] | None:
    """The areas that were typed; None: none, so it is as it is asked."""
    typed = desk.typed("areas")
    if not typed:
        return None
    async with desk.reading():
        names = await read_area_names(desk)
    return names.codes(typed, "areas")


def _elsewhere(desk: Desk, leg: LegDetail, act: str) -> Gone | None:
    """Where one goes who could not do an act now: to the leg's page, which says why."""
    found = next(one for one in leg.acts if one.act == act)
    if found.plain is None or desk.refusal is not None:
        return None
    return Gone(f"/plans/legs/{leg.id}", desk.language.plain(found.plain))


async def _about(desk: Desk, leg: LegDetail) -> dict[str, Any]:
    """What the pages of a leg are told alike."""
    areas = await read_area_names(desk)
    return {
        **words.lines(desk.language),
        "leg": leg,
        "acts": {act.act: act for act in leg.acts},
        "areas": areas,
        "words": words,
        "when": words.when_said(leg.plan.schedule, desk.language),
        "rule": await _rule(desk, leg),
        "sees_plan": desk.user.scope in {None, leg.plan.department_id},
        "sees_own": desk.user.scope in {None, leg.department_id},
        "is_ours": desk.user.department_id == leg.department_id,
    }


async def _rule(desk: Desk, leg: LegDetail) -> str:
    """Whom a leg means, in words; "" for whoever may not read, or where it has none."""
    if not desk.may(Right.READ):
        return ""
    try:
        said = await desk.get(segments.explain_segment, body=RuleBody(rule=leg.rule))
    except TocsinError:  # its department was renamed since
        return ""
    return said.chinese if desk.language.code == "zh" else said.english
