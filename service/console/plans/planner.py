"""The planner: one page on which a campaign is planned, and what it would come to beside it.

What was typed is counted as it stands, by pressing the button or, with the script, a moment after
the last change; it is kept when it is saved.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from multidict import MultiDict, MultiDictProxy

from service.accounts.people.model import Right
from service.api.campaigns import campaigns
from service.api.campaigns.campaigns import CampaignBody, CampaignPatch
from service.api.campaigns.details import CampaignDetail
from service.api.http.problems import Stale, status_of
from service.console.asking import SEEN, Desk
from service.console.carried import CARRIED, carried, carry
from service.console.plans import figures, joint, words
from service.console.plans import form as forms
from service.console.plans.areas import AreasByName, read_area_names
from service.console.plans.choices import PlanChoices, read_choices, resolved
from service.console.plans.side import read_side
from service.console.plans.texts import FIND, FOUND, PLACES, own_texts
from service.console.render import Gone, Shown
from service.errors import Invalid, TocsinError
from service.words.phrase import phrase

COUNT, GROUP, SAVE, SUBMIT = "count", "group", "save", "submit"
PAGE = "plans/edit.html"
NEW_GROUP = "/people/groups/new"
SEGMENT = "segment_id"


async def show_new(desk: Desk) -> Shown:
    """The planner with nothing in it, or with what was typed."""
    _bring_back(desk)
    fresh = {"when": "once", "time": forms.DEFAULT_TIME, "schedule.late": "hold",
             "schedule.validity_minutes": "1440", "priority": "normal", "over_cap": "defer",
             "schedule.holidays": "send", joint.AUDIENCE: joint.GROUP}  # fmt: skip
    for name in ("template_id", SEGMENT, "name"):
        if name in desk.request.query:
            fresh[name] = desk.request.query[name]
    return await _shown(desk, None, forms.typed_values(desk.form) if desk.form else fresh)


async def show_edit(desk: Desk) -> Shown:
    """The planner with a campaign's plan, or with what was typed over it."""
    return await _show_edit(desk, desk.uuid("campaign_id"))


async def _show_edit(desk: Desk, campaign_id: UUID) -> Shown:
    _bring_back(desk)
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    return await _shown(desk, plan, forms.typed_values(desk.form) if desk.form else None)


async def show_side(desk: Desk) -> Shown:
    """What was typed would come to so much: the right side alone."""
    return await _show_part(desk, "plans/_side.html")


async def show_missing(desk: Desk) -> Shown:
    """What is missing of what was typed, and what its texts say; nobody is counted for it."""
    return await _show_part(desk, "plans/_missing.html")


async def _show_part(desk: Desk, template: str) -> Shown:
    known = None
    if "campaign_id" in desk.request.match_info:
        campaign_id = desk.uuid("campaign_id")
        known = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    return await _shown(desk, known, forms.typed_values(desk.form), template)


def _bring_back(desk: Desk) -> None:
    """Take the form that was left to make a group, with the group chosen in it."""
    left = None if desk.form else carried(desk)
    if left is None or left.path != desk.request.path:
        return
    form = MultiDict(left.form)
    if made := desk.request.query.get(SEGMENT):
        form[SEGMENT] = made
        form[joint.AUDIENCE] = joint.GROUP
    desk.form = MultiDictProxy(form)


async def create(desk: Desk) -> Gone | Shown:
    """Keep a new campaign as a draft, count what was typed, or put the draft before an approver."""
    if desk.typed("act") == GROUP:
        return _to_group(desk)
    if desk.typed("act") == COUNT:
        async with desk.reading(heavy=True):
            return await show_new(desk)
    form, areas = await _ready(desk)
    body = forms.body_from(CampaignBody, form, desk.zone, areas)
    with at_fields(form):
        made = await desk.act(campaigns.create_campaign, body=body)
    return await _kept(desk, made.id)


async def edit(desk: Desk) -> Gone | Shown:
    """Keep what was changed, count what was typed, or put the draft before an approver."""
    campaign_id = desk.uuid("campaign_id")
    if desk.typed("act") == GROUP:
        return _to_group(desk)
    if desk.typed("act") == COUNT:
        async with desk.reading(heavy=True):
            return await show_edit(desk)
    form, areas = await _ready(desk)
    async with desk.reading():
        known = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    body = forms.body_from(CampaignPatch, form, desk.zone, areas, known)
    with at_fields(form):
        await desk.act(campaigns.edit_campaign, campaign_id=campaign_id, body=body)
    return await _kept(desk, campaign_id)


def _to_group(desk: Desk) -> Gone:
    """To the page on which a group is made, which brings the form back."""
    return Gone(f"{NEW_GROUP}?{urlencode({CARRIED: carry(desk)})}")


async def _kept(desk: Desk, campaign_id: UUID) -> Gone | Shown:
    """Where one goes after a plan was kept; a submission that is refused is told on its page."""
    if desk.typed("act") != SUBMIT:
        return Gone(f"/plans/{campaign_id}/edit", phrase("The draft is saved."))
    try:
        await desk.act(campaigns.submit_campaign, campaign_id=campaign_id)
    except TocsinError as error:
        desk.refusal = error
        desk.form = _without(desk.form, SEEN)
        async with desk.reading(heavy=True):
            shown = await _show_edit(desk, campaign_id)
        return Shown(shown.template, shown.told, status_of(error))
    return Gone(f"/plans/{campaign_id}", phrase("It was put before an approver."))


@contextmanager
def at_fields(form: MultiDictProxy[str]) -> Iterator[None]:
    """A refusal of what is done within is put to the fields of the form."""
    try:
        yield
    except Invalid as error:
        raise joint.at_its_fields(error, form) from error


async def _ready(desk: Desk) -> tuple[MultiDictProxy[str], AreasByName]:
    """The form with a festival as days, and texts of the department in place of those that come
    with the program; and the areas that it may name.
    """
    async with desk.reading():
        form = MultiDict(await resolved(desk, desk.form))
        areas = await read_area_names(desk)
    await own_texts(desk, form)
    return MultiDictProxy(form), areas


async def _shown(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any] | None,
    template: str = PAGE,
) -> Shown:
    """The planner. It counts at once where somebody pressed for it, and else leaves that to the
    part that is asked for when the page is there. values: None: those of the campaign.
    """
    choices = await read_choices(desk, known, values)
    if values is None:
        values = choices.values_of(known, desk.zone) if known else {}
    counts = template == "plans/_side.html" or (template == PAGE and bool(desk.form))
    side = await read_side(desk, known, values, choices, counts=counts)
    told = {
        **words.lines(desk.language),
        "plan": known,
        "values": values,
        "choices": choices,
        "side": side,
        "action": f"/plans/{known.id}/edit" if known else "/plans/new",
        "seen": _seen(desk, known),
        "changed": _changed(desk, known, values, choices),
        "forms": forms,
        "plan_words": words,
        "texts": {"places": list(PLACES), "find": FIND, "found": FOUND},
        "may_submit": desk.may(Right.SUBMIT),
        "may_group": desk.may(Right.WRITE),
        "is_typed": bool(desk.form),
        "partner_names": {one.id: one.name for one in choices.partners},
        "is_part": template != PAGE,
        "renews": template != PAGE
        and _fields_of_values(values) != side.wants.keys() | side.figures.keys(),
        "narrows": values.get(FIND, "") != values.get(FOUND, ""),
    }
    return Shown(template, told)


def _fields_of_values(values: Mapping[str, Any]) -> set[str]:
    """The fields of values that the page has."""
    return {
        name
        for name in values
        if name.startswith(("values.", forms.MORE_VALUES)) or figures.is_field(name)
    }


def _seen(desk: Desk, known: CampaignDetail | None) -> str:
    """The version of the plan that the form is about: as it was shown first, until the reader has
    seen beside it what somebody else has changed.
    """
    if known is None:
        return ""
    if desk.form.get(SEEN) and not isinstance(desk.refusal, Stale):
        return desk.form[SEEN]
    return desk.version_of(known)


def _changed(
    desk: Desk, known: CampaignDetail | None, values: Mapping[str, Any], choices: PlanChoices
) -> list[tuple[str, str, str, str, list[str]]]:
    """Where what was typed differs from what somebody else has made of it: field, its label, own
    and now in words, and now as the form has it.
    """
    if known is None or not isinstance(desk.refusal, Stale):
        return []
    now, labels = choices.values_of(known, desk.zone), choices.labels_in(desk.language)
    found = []
    for name in labels.keys() & (now.keys() | values.keys()):
        mine, theirs = values.get(name) or "", now.get(name) or ""
        if mine != theirs:
            kept = theirs if isinstance(theirs, list) else [theirs] if theirs else []
            said = choices.said(name, mine), choices.said(name, theirs)
            found.append((name, labels[name], *said, [str(one) for one in kept]))
    return sorted(found, key=lambda one: one[1])


def _without(form: MultiDictProxy[str], name: str) -> MultiDictProxy[str]:
    return MultiDictProxy(MultiDict((key, value) for key, value in form.items() if key != name))
