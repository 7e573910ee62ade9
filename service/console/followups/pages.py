"""Follow-ups on pages: all of them, one with its ladder and villages, and what is decided of it."""

from typing import Any

from service.accounts.people.model import Right
from service.api.channels import channels
from service.api.followups import followups
from service.api.followups.followups import (
    EndBody,
    FollowupBody,
    FollowupDetail,
    FollowupQuery,
    OtherChannelsBody,
    SignOffBody,
)
from service.api.sending import runs
from service.audience.vocabulary.roles import ROLES
from service.console.asking import Desk
from service.console.followups import words
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.words import role_word
from service.words.phrase import phrase


async def show_followups(desk: Desk) -> Shown:
    """All of the department, and those that ask it to visit, the latest first."""
    query = body_of(FollowupQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(followups.list_followups, query=query)
    told = {"items": found.items, "next": found.next_cursor, "states": words.STATES}
    return Shown("followups/followups.html", told | {"may_read": desk.may(Right.READ)})


async def show_start(desk: Desk) -> Shown:
    """The form with which the follow-up of a run begins."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    every = (await desk.get(channels.list_channels)).items if desk.may(Right.READ) else []
    return Shown("followups/start.html", {
        "run": run,
        "steps": [(step, desk.language.say(word)) for step, word in words.STEPS.items()],
        "channels": [(one.id, one.name) for one in every],
        "roles": [(role, role_word(role, desk.language)) for role in ROLES],
    })  # fmt: skip


async def start(desk: Desk) -> Gone:
    """Begin the follow-up of a run."""
    body = body_of(FollowupBody, desk.form, given={"run": desk.uuid("run_id")})
    made = await desk.act(followups.start_followup, body=body)
    done = phrase("It has begun. Whom the run missed is being written down.")
    return Gone(f"/followups/{made.id}", done)


async def show_followup(desk: Desk) -> Shown:
    """One: its steps, and what became of whom, by village."""
    found = await desk.get(followups.get_followup, followup_id=desk.uuid("followup_id"))
    return Shown("followups/followup.html", await _told(desk, found))


async def _told(desk: Desk, found: FollowupDetail) -> dict[str, Any]:
    say = desk.language.say
    people = [found.started_by, *(village.signed_by for village in found.villages)]
    return {
        "found": found,
        "names": await names_of(desk, people),
        "states": words.STATES,
        "steps": words.STEPS,
        "step_states": words.STEP_STATES,
        "why": lambda code: say(words.why(code)),
        "people_words": {state: say(word) for state, word in words.PEOPLE.items()},
        "is_open": found.state in {"going", "visiting"},
        "may_control": desk.may(Right.CONTROL) and found.whole,
        "may_sign": desk.may(Right.CONTROL),
        "may_approve": desk.may(Right.APPROVE),
        "may_visit": desk.may(Right.VISIT),
    }


async def decide_channels(desk: Desk) -> Gone:
    """Let the text leave over channels that were not approved, or leave the step out."""
    followup_id = desk.uuid("followup_id")
    body = body_of(OtherChannelsBody, desk.form)
    await desk.act(followups.decide_other_channels, followup_id=followup_id, body=body)
    sent = body.decision == "send"
    return Gone(
        f"/followups/{followup_id}",
        phrase("It is sent over these channels.") if sent else phrase("The step is left out."),
    )


async def show_sign(desk: Desk) -> Shown:
    """Ask before somebody signs for a village."""
    found = await desk.get(followups.get_followup, followup_id=desk.uuid("followup_id"))
    area = desk.request.query.get("area", "") or desk.form.get("area", "")
    told = await _told(desk, found)
    told["village"] = next((one for one in found.villages if one.area == area), None)
    return Shown("followups/sign.html", told)


async def sign(desk: Desk) -> Gone:
    """Answer for a village in which nobody is to be visited any more."""
    followup_id = desk.uuid("followup_id")
    body = body_of(SignOffBody, desk.form)
    signed = await desk.act(followups.sign_off_followup, followup_id=followup_id, body=body)
    closed = phrase("Signed. That was the last village: the follow-up is closed.")
    return Gone(f"/followups/{followup_id}", closed if signed.closed else phrase("Signed."))


async def show_end(desk: Desk) -> Shown:
    """Ask before a follow-up ends before its end."""
    found = await desk.get(followups.get_followup, followup_id=desk.uuid("followup_id"))
    return Shown("followups/end.html", await _told(desk, found))


async def end(desk: Desk) -> Gone:
    """End a follow-up before its end."""
    followup_id = desk.uuid("followup_id")
    await desk.act(
        followups.cancel_followup, followup_id=followup_id, body=body_of(EndBody, desk.form)
    )
    return Gone(f"/followups/{followup_id}", phrase("The follow-up is ended."))
