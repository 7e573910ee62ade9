"""What a plan would come to, beside the planner: people, parts, fires; what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multidict import MultiDict, MultiDictProxy
from pydantic import ValidationError

from service.api.audience import segments
from service.api.audience.segments import PreviewBody, PreviewOut, SegmentOut
from service.api.calendar import schedules
from service.api.calendar.schedules import ScheduleBody, SchedulePreviewBody, SchedulePreviewOut
from service.api.campaigns import campaign_preview
from service.api.campaigns.campaign_preview import CampaignPreviewOut
from service.api.campaigns.details import CampaignDetail
from service.api.campaigns.leg_preview import LegsPreviewOut
from service.api.content.library import StarterOut
from service.api.content.templates import TemplateOut
from service.console.asking import Desk
from service.console.plans import form as forms
from service.console.plans import joint
from service.console.plans.choices import PlanChoices, resolved
from service.errors import Invalid, TocsinError
from service.words.phrase import phrase


@dataclass(slots=True)
class PlanSide:
    """What was typed would come to this.

    wants: the values that each text wants from the plan, by the fields of the form, with their
    variables. legs: of a joint plan, how many people its departments would reach. missing: what
    keeps it from being submitted, each with the field that mends it. saved: what the campaign as it
    was saved would come to, while nothing else was typed. counted: whether anybody was counted.
    """

    text: TemplateOut | StarterOut | None = None
    group: SegmentOut | None = None
    people: PreviewOut | None = None
    fires: SchedulePreviewOut | None = None
    saved: CampaignPreviewOut | None = None
    counted: bool = False
    legs: LegsPreviewOut | None = None
    wants: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)


async def read_side(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any],
    choices: PlanChoices,
    *,
    counts: bool,
) -> PlanSide:
    """What was typed would come to. counts: whether to count the people, too."""
    side = PlanSide(choices.text(str(values.get("template_id", ""))), counted=counts)
    side.group = choices.group(str(values.get("segment_id", "")))
    if not str(values.get("name", "")).strip():
        side.missing.append(("name", phrase("Give it a name.")))
    _look_at_text(side, values)
    for number in range(1, forms.MORE_TEXTS + 1):
        further = choices.text(str(values.get(f"more_texts.{number}", "")))
        if further is not None:
            _look_at_values(side, further, values, f"{forms.MORE_VALUES}{number}.")
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
    return side


def _look_at_text(side: PlanSide, values: Mapping[str, Any]) -> None:
    text = side.text
    if text is None:
        side.missing.append(("template_id", phrase("Choose the text.")))
        return
    _look_at_values(side, text, values, "values.")
    if isinstance(text, TemplateOut):
        blocked = [one.message for one in text.lint if one.level == "block"]
        side.missing += [("template_id", message) for message in blocked]
        if text.withdrawn:
            side.missing.append(("template_id", phrase("This text was withdrawn.")))


def _look_at_values(
    side: PlanSide, text: TemplateOut | StarterOut, values: Mapping[str, Any], place: str
) -> None:
    """What fills a text. place: what the fields of its values begin with."""
    for name, source in text.fills.items():
        field_name = place + name
        if source == "plan":
            side.wants[field_name] = name
            if not str(values.get(field_name, "")).strip():
                said = phrase("Say what {{{name}}} is in the text.", name=name)
                side.missing.append((field_name, said))
        elif source is None:
            said = phrase("Nothing fills {{{name}}} in the text.", name=name)
            side.missing.append(("template_id", said))


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
                "class": side.text.message_class if side.text else "public_interest",
                "rule": side.group.rule if side.group else None,
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
    message_class = side.text.message_class if side.text else None
    try:
        asked = joint.legs_from(form, choices.areas) or []
        side.legs = await joint.count_joint(desk, asked, message_class)
    except Invalid as error:
        told = joint.at_its_fields(error, form).fields or {joint.LEGS: error.message}
        side.missing += told.items()
        return
    if side.legs.people == 0:
        side.missing.append((joint.LEGS, phrase("Nobody would get it.")))
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
        message_class = side.text.message_class if side.text else None
        body = PreviewBody.model_validate({"rule": side.group.rule, "class": message_class})
        try:
            side.people = await desk.get(segments.preview_segment, body=body)
        except TocsinError as error:
            side.missing.append(("segment_id", error.message))
    if side.people is not None and not side.people.target:
        side.missing.append(("segment_id", phrase("Nobody would get it.")))


def _is_saved(
    desk: Desk, known: CampaignDetail, values: Mapping[str, Any], choices: PlanChoices
) -> bool:
    """Whether what was typed is what was saved."""
    own = choices.values_of(known, desk.zone)
    return all((values.get(name) or "") == (value or "") for name, value in own.items())


def _as_form(values: Mapping[str, Any]) -> MultiDictProxy[str]:
    form: MultiDict[str] = MultiDict()
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if one != "":
                form.add(name, str(one))
    return MultiDictProxy(form)
