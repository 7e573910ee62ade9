"""The part of the planner's form that makes a joint plan: which departments send it, and where.

Each department that can be asked has a tick, `legs`, and a field for its areas, `areas.` and its
id. A refusal of the operation is put to these fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from multidict import MultiDictProxy

from service.api.accounts import department_names
from service.api.accounts.department_names import DepartmentNameOut, DepartmentNamesQuery
from service.api.campaigns import leg_preview
from service.api.campaigns.details import CampaignDetail
from service.api.campaigns.leg_preview import LegsPreviewBody, LegsPreviewOut
from service.console.asking import Desk
from service.console.plans.areas import AreasByName
from service.errors import Invalid
from service.words.phrase import phrase

AUDIENCE: Final = "audience"
GROUP, JOINT = "group", "joint"
LEGS = "legs"
AREAS = "areas."
_FIRST_KINDS = ("carrier", "police", "county", "education", "finance", "town")
"""The kinds that joint plans ask most, first on the page."""


async def read_partners(desk: Desk, known: CampaignDetail | None) -> Sequence[DepartmentNameOut]:
    """The departments that a joint plan may ask, those of carriers first; none where the plan's
    department makes no joint plans.
    """
    whose = known.department_id if known else desk.user.department_id
    if whose != desk.user.department_id and not (known and known.legs):
        return []
    query = DepartmentNamesQuery()
    found = (await desk.get(department_names.list_department_names, query=query)).items
    kinds = {kind: number for number, kind in enumerate(_FIRST_KINDS)}
    others = [one for one in found if one.id != whose]
    return sorted(others, key=lambda one: (kinds.get(one.kind, len(kinds)), one.name))


def values_of_legs(
    plan: CampaignDetail, partners: Sequence[DepartmentNameOut], areas: AreasByName
) -> dict[str, Any]:
    """What a campaign asks of whom, as the fields of the form, in which partners have an order."""
    found: dict[str, Any] = {AUDIENCE: JOINT if plan.legs else GROUP}
    asked = {leg.department_id for leg in plan.legs}
    found[LEGS] = [str(one.id) for one in partners if one.id in asked]
    for leg in plan.legs:
        found[f"{AREAS}{leg.department_id}"] = areas.said(leg.areas)
    return found


def legs_from(form: MultiDictProxy[str], areas: AreasByName) -> list[dict[str, Any]] | None:
    """The legs that the form asks for; None: it is for a group.

    Raises:
        Invalid: no department is ticked, or an area cannot be understood.
    """
    if form.get(AUDIENCE) != JOINT:
        return None
    chosen = form.getall(LEGS, [])
    if not chosen:
        raise Invalid.at(LEGS, phrase("tick at least one department that sends it"))
    return [
        {"department_id": one, "areas": areas.codes(form.get(AREAS + one, ""), AREAS + one)}
        for one in chosen
    ]


def at_its_fields(error: Invalid, form: MultiDictProxy[str]) -> Invalid:
    """The same refusal with what it says of legs and further texts at the fields of the form."""
    chosen = form.getall(LEGS, [])
    fields = {_field_of(name, chosen): said for name, said in error.fields.items()}
    return Invalid(error.message, fields=fields, code=error.code)


def _field_of(name: str, chosen: Sequence[str]) -> str:
    if name == "more_texts":
        return "more_texts.1"
    head, *rest = name.split(".")
    if head not in {"legs", "more_texts"} or not rest or not rest[0].isdecimal():
        return name
    number = int(rest[0])
    if head == "legs":
        return f"{AREAS}{chosen[number]}" if number < len(chosen) else LEGS
    if rest[1:2] == ["values"] and len(rest) > 2:
        return f"more_values.{number + 1}.{'.'.join(rest[2:])}"
    own = {"figures_from": "more_figures", "after_days": "after_days"}
    return f"{own.get('.'.join(rest[1:]), 'more_texts')}.{number + 1}"


async def count_joint(
    desk: Desk, legs: Sequence[Mapping[str, Any]], message_class: str | None
) -> LegsPreviewOut:
    """How many people legs would reach now.

    Raises:
        TocsinError: they cannot be counted.
    """
    body = LegsPreviewBody.model_validate({"legs": legs, "class": message_class})
    return await desk.get(leg_preview.preview_legs, body=body)
