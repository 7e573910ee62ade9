"""What is ticked for a group, as conditions and back, and what there is to tick (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multidict import MultiDictProxy

from service.api.audience.segment_terms import ComposeBody, TermsOut, TermValueOut
from service.api.audience.segments import TermOut
from service.errors import Invalid
from service.words.phrase import phrase

LISTED = ("area", "role", "roster", "carrier", "gender", "org", "school", "segment")
"""Fields of which several values are ticked, or left out as `not_…`, in the order of the form."""
AGES = {"age_from": ">=", "age_to": "<="}

Chosen = Mapping[str, Sequence[str]]
"""The ticked values by the name of the form's field."""


def chosen_of_form(form: MultiDictProxy[str]) -> dict[str, list[str]]:
    """What was ticked."""
    names = (*LISTED, *(f"not_{field}" for field in LISTED), *AGES)
    found = {name: [v.strip() for v in form.getall(name, []) if v.strip()] for name in names}
    return {name: values for name, values in found.items() if values}


def chosen_of_terms(terms: Iterable[TermOut]) -> dict[str, list[str]] | None:
    """What to tick for these conditions; None: the form has no place for one of them."""
    chosen: dict[str, list[str]] = {}
    for term in terms:
        name = _place_of(term)
        if name is None or name in chosen:
            return None
        chosen[name] = [str(value) for value in term.values]
    return chosen


def _place_of(term: TermOut) -> str | None:
    if term.field == "age":
        return next((name for name, sign in AGES.items() if sign == term.operator), None)
    if term.field not in LISTED:
        return None
    if term.operator in {"=", "in"}:
        return term.field
    return f"not_{term.field}" if term.operator in {"!=", "not in"} else None


def can_tick(terms: TermsOut, chosen: Chosen) -> bool:
    """Whether the form offers all of these values; saved without one, a group would be another."""
    offered = {item.field: {value.value for value in item.values} for item in terms.items}
    return all(
        set(values) <= offered.get(name.removeprefix("not_"), set())
        for name, values in chosen.items()
        if name not in AGES
    )


def compose_body(chosen: Chosen) -> ComposeBody:
    """The conditions of what was ticked.

    Raises:
        Invalid: nothing was.
    """
    terms: list[dict[str, object]] = []
    for field in LISTED:
        for name, operator in ((field, "in"), (f"not_{field}", "not in")):
            if values := chosen.get(name):
                terms.append({"field": field, "operator": operator, "values": list(values)})
    for name, operator in AGES.items():
        if values := chosen.get(name):
            terms.append({"field": "age", "operator": operator, "values": [values[0]]})
    if not terms:
        raise Invalid(phrase("nothing is chosen yet: tick at least one place, role or list"))
    return ComposeBody.model_validate({"terms": terms})


@dataclass(frozen=True, slots=True)
class TownChoice:
    """A town or county, and what lies in it."""

    area: TermValueOut
    within: Sequence[TermValueOut]


def places_of(terms: TermsOut) -> list[TownChoice]:
    """The counties and towns where people of the lists live, each with its villages."""
    areas = next((item.values for item in terms.items if item.field == "area"), [])
    inner = [area for area in areas if area.level in {"village", "community"}]
    return [
        TownChoice(area, [one for one in inner if one.parent == area.value])
        for area in sorted(areas, key=lambda area: area.level != "county")
        if area.level in {"county", "town"}
    ]


def values_of(terms: TermsOut, chosen: Chosen) -> dict[str, list[TermValueOut]]:
    """What there is to tick by field: what somebody has, and what is ticked already."""
    return {
        item.field: [
            value
            for value in item.values
            if value.people != 0
            or value.value in {*chosen.get(item.field, ()), *chosen.get(f"not_{item.field}", ())}
        ]
        for item in terms.items
        if item.field in LISTED and item.field != "area"
    }
