"""What a plan would come to, beside the planner: people, parts, fires; what is missing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multidict import MultiDict, MultiDictProxy
from pydantic import ValidationError

from service.api.audience import segments
from service.api.audience.segments import PreviewBody, PreviewOut, SegmentOut
from service.api.calendar import schedules
from service.api.calendar.schedules import (
    FireOut,
    ScheduleBody,
    SchedulePreviewBody,
    SchedulePreviewOut,
)
from service.api.campaigns import campaign_preview
from service.api.campaigns.campaign_preview import CampaignPreviewOut
from service.api.campaigns.details import CampaignDetail
from service.api.campaigns.leg_preview import LegsPreviewOut
from service.api.content.templates import TemplateOut
from service.console.asking import Desk
from service.console.plans import form as forms
from service.console.plans import joint
from service.console.plans.choices import PlanChoices, resolved
from service.console.plans.figures import field_of, read_figures
from service.console.plans.texts import PLACES, ShownText, read_words
from service.errors import Invalid, TocsinError
from service.ledger.message_class import PUBLICITY
from service.messages.plan_values import OF_A_PART, of_a_part
from service.messages.value_sources import POLICE_VARIABLES
from service.words.phrase import phrase

COUNTED = "_counted"
"""The field in which the page says what it has counted."""
FIRST_FIRES, MOST_FIRES = 5, 30
"""Fires that are shown at once, and those that are listed at all."""
NOBODY = phrase("Nobody would get it.")


@dataclass(slots=True)
class PlanSide:
    """What was typed would come to this.

    texts: what is chosen, by the fields of the form. wants: the values that each text wants from
    the plan, by the fields of the form, with their variables. figures: the fields with the week
    of the bulletin that a text takes figures on cases from, with the text's number; weeks: those
    that may be chosen. legs: of a joint plan, how many
    people its departments would reach. missing: what keeps it from being submitted, each with the
    field that mends it. saved: what the campaign as it was saved would come to, while nothing else
    was typed. counted: whether anybody was counted.
    audience: of whom it is a count, as one word. reached: how many the page has counted of these
    before; None: it has not.
    """

    texts: Mapping[str, ShownText] = field(default_factory=dict)
    group: SegmentOut | None = None
    people: PreviewOut | None = None
    fires: SchedulePreviewOut | None = None
    saved: CampaignPreviewOut | None = None
    counted: bool = False
    legs: LegsPreviewOut | None = None
    wants: dict[str, str] = field(default_factory=dict)
    weeks: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    audience: str = ""
    reached: int | None = None

    @property
    def text(self) -> ShownText | None:
        """The first text."""
        return self.texts.get("template_id")

    @property
    def first_fires(self) -> list[FireOut]:
        """The next five that take place, with those left out among them."""
        found: list[FireOut] = []
        for fire in self.fires.fires if self.fires else ():
            if sum(not one.skipped for one in found) == FIRST_FIRES:
                break
            found.append(fire)
        return found

    @property
    def counts(self) -> str:
        """What was counted and of whom, for the page to say when it asks again."""
        known = self.people.target if self.people else self.legs.people if self.legs else None
        reached = self.reached if known is None else known
        return "" if reached is None else f"{reached} {self.audience}"

    @property
    def is_counted(self) -> bool:
        """Whether it is known how many people these are."""
        return bool(self.people or self.legs or self.reached is not None)


async def read_side(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any],
    choices: PlanChoices,
    *,
    counts: bool,
) -> PlanSide:
    """What was typed would come to. counts: whether to count the people, too."""
    figures = await read_figures(desk, values)
    words = await read_words(desk, choices.texts, values, figures)
    side = PlanSide(words, counted=counts, weeks=figures.weeks)
    side.group = choices.group(str(values.get("segment_id", "")))
    side.audience = _audience(values, side)
    reached, _, audience = str(values.get(COUNTED, "")).partition(" ")
    if reached.isdecimal() and audience == side.audience and not counts:
        side.reached = int(reached)
    if not str(values.get("name", "")).strip():
        side.missing.append(("name", phrase("Give it a name.")))
    if side.text is None:
        side.missing.append(("template_id", phrase("Choose the text.")))
    for name, text in side.texts.items():
        _look_at_text(side, name, text, values)
    if values.get(joint.AUDIENCE) == joint.JOINT:
        if not values.get(joint.LEGS):
            side.missing.append((joint.LEGS, phrase("Tick which departments send it.")))
    elif side.group is None and (known is None or known.segment_id is not None):
        side.missing.append(("segment_id", phrase("Choose to whom it goes.")))
    await _try_schedule(desk, known, values, side)
    if counts and values.get(joint.AUDIENCE) == joint.JOINT:
        await _count_legs(desk, known, values, choices, side)
    elif counts:
        await _count(desk, known, values, choices, side)
    elif side.reached == 0:
        chosen_by = joint.LEGS if values.get(joint.AUDIENCE) == joint.JOINT else "segment_id"
        side.missing.append((chosen_by, NOBODY))
    return side


def _audience(values: Mapping[str, Any], side: PlanSide) -> str:
    """Whom the form means, and for which class of text, as one word."""
    legs = values.get(joint.LEGS) or []
    areas = [str(values.get(f"{joint.AREAS}{one}", "")) for one in legs]
    message_class = side.text.text.message_class if side.text else ""
    people = [values.get(joint.AUDIENCE, ""), values.get("segment_id", ""), legs, areas]
    said = json.dumps([*people, message_class], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _look_at_text(
    side: PlanSide, chosen_by: str, shown: ShownText, values: Mapping[str, Any]
) -> None:
    """Whether a text may be sent, and what fills it. chosen_by: the field that chooses it."""
    text, place = shown.text, PLACES[chosen_by]
    found = text.lint if isinstance(text, TemplateOut) else shown.counted and shown.counted.lint
    side.missing += [(chosen_by, one.message) for one in found or () if one.level == "block"]
    if isinstance(text, TemplateOut) and text.withdrawn:
        side.missing.append((chosen_by, phrase("This text was withdrawn.")))
    for name, source in text.fills.items():
        field_name = place + name
        if source == "plan" and name in POLICE_VARIABLES:
            _look_at_figure(side, chosen_by, shown, name)
        elif source == "plan":
            side.wants[field_name] = name
            if not str(values.get(field_name, "")).strip():
                said = phrase("Say what {{{name}}} is in the text.", name=name)
                side.missing.append((field_name, said))
        elif source is None:
            said = phrase("Nothing fills {{{name}}} in the text.", name=name)
            side.missing.append((chosen_by, said))


def _look_at_figure(side: PlanSide, chosen_by: str, shown: ShownText, name: str) -> None:
    """Whether a figure on cases is taken from a bulletin, which gives it."""
    field_name = field_of(chosen_by)
    is_new = field_name not in side.figures
    side.figures[field_name] = list(PLACES).index(chosen_by) + 1
    if of_a_part(shown.text.text):
        if is_new:
            side.missing.append((chosen_by, OF_A_PART))
    elif not shown.week:
        if is_new:
            said = phrase("Choose the bulletin that the figures of the text are from.")
            side.missing.append((field_name, said))
    elif name not in shown.figures:
        said = phrase("{{{name}}} of this week may not be public: take a text without.", name=name)
        side.missing.append((chosen_by, said))


async def _try_schedule(
    desk: Desk, known: CampaignDetail | None, values: Mapping[str, Any], side: PlanSide
) -> None:
    form = await resolved(desk, _as_form(values))
    try:
        body = SchedulePreviewBody.model_validate(
            {
                "schedule": ScheduleBody.model_validate(
                    forms.schedule_body(form, desk.zone, known)
                ),
                "class": _class_of(side) or PUBLICITY,
                "rule": side.group.rule if side.group else None,
                "count": MOST_FIRES,
            }
        )
        side.fires = await desk.get(schedules.preview_schedule, body=body)
    except Invalid as error:
        told = error.fields or {"when": error.message}
        side.missing += [(name, str_of(said)) for name, said in told.items()]
        return
    except ValidationError:  # of a member: its words are for programs
        side.missing.append(("schedule.send_hours", phrase("The times cannot be understood.")))
        return
    if not [fire for fire in side.fires.fires if not fire.skipped]:
        passed = phrase("The time has passed: choose a later one.")
        side.missing.append(("schedule.start_at", passed))


def str_of(said: object) -> str:
    """A sentence of a refusal, which keeps its languages."""
    return said if isinstance(said, str) else str(said)


async def _count_legs(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any],
    choices: PlanChoices,
    side: PlanSide,
) -> None:
    """Count the people of the departments that are ticked."""
    if not values.get(joint.LEGS):
        return
    form = _as_form(values)
    message_class = _class_of(side)
    try:
        asked = joint.legs_from(form, choices.areas) or []
        side.legs = await joint.count_joint(desk, asked, message_class)
    except Invalid as error:
        told = joint.at_its_fields(error, form).fields or {joint.LEGS: error.message}
        side.missing += told.items()
        return
    if side.legs.people == 0:
        side.missing.append((joint.LEGS, NOBODY))
    if known is not None and known.legs and _is_saved(desk, known, values, choices):
        side.saved = await desk.get(campaign_preview.preview_campaign, campaign_id=known.id)


async def _count(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any],
    choices: PlanChoices,
    side: PlanSide,
) -> None:
    if known is not None and (side.group is None or _is_saved(desk, known, values, choices)):
        side.saved = await desk.get(campaign_preview.preview_campaign, campaign_id=known.id)
        side.people = side.saved
    elif side.group is not None:
        message_class = _class_of(side)
        body = PreviewBody.model_validate({"rule": side.group.rule, "class": message_class})
        try:
            side.people = await desk.get(segments.preview_segment, body=body)
        except TocsinError as error:
            side.missing.append(("segment_id", error.message))
    if side.people is not None and not side.people.target:
        side.missing.append(("segment_id", NOBODY))


def _is_saved(
    desk: Desk, known: CampaignDetail, values: Mapping[str, Any], choices: PlanChoices
) -> bool:
    """Whether what was typed is what was saved."""
    own = choices.values_of(known, desk.zone)
    return all((values.get(name) or "") == (value or "") for name, value in own.items())


def _class_of(side: PlanSide) -> str | None:
    """The class of the first text; None: none is chosen."""
    return side.text.text.message_class if side.text else None


def _as_form(values: Mapping[str, Any]) -> MultiDictProxy[str]:
    form: MultiDict[str] = MultiDict()
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if one != "":
                form.add(name, str(one))
    return MultiDictProxy(form)
