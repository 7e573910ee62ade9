"""Areas: what lies in what, how many people live where, new ones, and names by two persons."""

from service.accounts.people.model import Right
from service.api.audience import areas, segment_terms
from service.api.audience.areas import AreaBody, AreaPatch, AreaQuery
from service.api.audience.segment_terms import TermValueOut
from service.api.http.paging import MAX_LIMIT
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.people import words
from service.console.render import Gone, Shown
from service.words.phrase import phrase

AREAS = "/people/areas"


async def show_areas(desk: Desk) -> Shown:
    """The county where most people live, and what lies in it."""
    people = await _people(desk)
    counties = [area for area in people.values() if area.level == "county"]
    most = max(counties, key=lambda area: area.people or 0, default=None)
    if most is not None:
        return await _shown(desk, most.value, people)
    first = (await desk.get(areas.list_areas, query=AreaQuery(limit=1))).items
    if not first:
        return Shown("people/areas_none.html")
    return await _shown(desk, first[0].code, people)


async def show_area(desk: Desk) -> Shown:
    """An area, what lies in it, and the name that waits for a second person."""
    return await _shown(desk, desk.path("code"), await _people(desk))


async def _people(desk: Desk) -> dict[str, TermValueOut]:
    """The areas where people of the department's lists live, by code."""
    terms = await desk.get(segment_terms.list_terms)
    return {
        value.value: value for item in terms.items if item.field == "area" for value in item.values
    }


async def _shown(desk: Desk, code: str, people: dict[str, TermValueOut]) -> Shown:
    area = await desk.get(areas.get_area, code=code)
    within = await desk.get(areas.list_areas, query=AreaQuery(parent=code, limit=MAX_LIMIT))
    outer = await desk.get(areas.get_area, code=area.parent) if area.parent else None
    may_keep = desk.may(Right.AREAS)
    mine = area.renaming is not None and area.renaming.proposed_by == desk.user.id
    return Shown(
        "people/areas.html",
        {
            "area": area,
            "outer": outer,
            "within": within.items,
            "people": {code: one.people for code, one in people.items()},
            "levels": words.LEVELS,
            "may_keep": may_keep,
            "may_confirm": may_keep and area.renaming is not None and not mine,
        },
    )


async def show_new_area(desk: Desk) -> Shown:
    """The form for an area that the tree does not have."""
    area = await desk.get(areas.get_area, code=desk.path("code"))
    return Shown("people/area_new.html", {"area": area})


async def add_area(desk: Desk) -> Gone:
    """Add an area."""
    code = desk.path("code")
    made = await desk.act(
        areas.create_area, body=body_of(AreaBody, desk.form, given={"parent": code})
    )
    return Gone(f"{AREAS}/{code}", phrase("{name} is in the tree.", name=made.name))


async def show_area_form(desk: Desk) -> Shown:
    """The form for another name, or for how many live there."""
    area = await desk.get(areas.get_area, code=desk.path("code"))
    return Shown("people/area_edit.html", {"area": area, "seen": desk.version_of(area)})


async def edit_area(desk: Desk) -> Gone:
    """Propose another name, and say how many live there."""
    code = desk.path("code")
    made = await desk.act(areas.edit_area, code=code, body=body_of(AreaPatch, desk.form))
    waits = phrase("The name waits until somebody else confirms it.")
    done = waits if made.renaming is not None else phrase("The area is changed.")
    return Gone(f"{AREAS}/{code}", done)


async def confirm_name(desk: Desk) -> Gone:
    """Give an area the name that somebody else proposed."""
    code = desk.path("code")
    made = await desk.act(areas.confirm_rename, code=code, rename_id=desk.uuid("rename_id"))
    return Gone(f"{AREAS}/{code}", phrase("The area is called {name} now.", name=made.name))
