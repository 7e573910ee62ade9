"""The area tree: what the program knows, and the towns, villages and groups that users keep."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.api.call import Call
from service.api.paging import PageQuery, cut
from service.api.schema import Body, Instant, Int, Line, Out, Page, Text
from service.audience import area_store as store
from service.audience.area_edits import new_area
from service.audience.store import read_area_tree
from service.errors import Conflict, NotFound

Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}([0-9]{3})?$")]


class AreaQuery(PageQuery):
    """Which areas: all, or those within one."""

    parent: Text | None = Field(default=None, description="The code of the area they lie in.")


class AreaBody(Body):
    """An area that the tree does not have."""

    parent: Code = Field(description="The code of the county, town or village it lies in.")
    name: Line
    level: Literal["town", "village", "community", "group"] | None = Field(
        default=None, description="Left out: the usual level below the parent."
    )
    code: Code | None = Field(default=None, description="Left out: the next free one.")
    population: Annotated[Int, Field(ge=0)] | None = None


class AreaPatch(Body):
    """What is to change; the rest stays."""

    name: Line | None = None
    population: Annotated[Int, Field(ge=0)] | None = None


class AreaOut(Out):
    """An area."""

    code: str
    name: str
    level: str
    parent: str
    population: int | None


class EditedAreaOut(AreaOut):
    """An area, and who edited it last; null: it is as the program knew it."""

    edited_at: Instant | None
    edited_by: UUID | None


async def list_areas(call: Call, query: AreaQuery) -> Page[AreaOut]:
    """List the areas by code."""
    tree = await read_area_tree(call.conn)
    after = query.text or ""
    found = sorted(
        area
        for area in tree.areas.values()
        if area.code > after and query.parent in {None, area.parent}
    )
    return cut(Page[AreaOut], found[: query.wanted], query, key=lambda area: area.code)


async def get_area(call: Call, code: str) -> EditedAreaOut:
    """Show an area."""
    found = await store.get_area(call.conn, code)
    if found is None:
        raise NotFound("there is no area of this code")
    return EditedAreaOut.model_validate(found)


async def create_area(call: Call, body: AreaBody) -> EditedAreaOut:
    """Add a town, village or group to the tree."""
    await store.lock_areas(call.conn)
    tree = await read_area_tree(call.conn)
    made = new_area(
        tree.areas,
        parent=body.parent,
        name=body.name,
        level=body.level,
        code=body.code,
        population=body.population,
    )
    await store.insert_area(call.conn, made, call.user.id, call.now)
    call.note("areas", made.code)
    return await get_area(call, made.code)


async def edit_area(call: Call, code: str, body: AreaPatch) -> EditedAreaOut:
    """Rename an area, or say how many live there; its code stays."""
    await store.lock_areas(call.conn)
    areas = (await read_area_tree(call.conn)).areas
    area = areas.get(code)
    if area is None:
        raise NotFound("there is no area of this code")
    changes = body.model_dump(exclude_unset=True, exclude_none=True)
    changed = area._replace(**changes)
    if any(
        other.name == changed.name and other.parent == area.parent and other.code != code
        for other in areas.values()
    ):
        raise Conflict("there is another area of this name beside it", code="area_exists")
    await store.update_area(call.conn, changed, call.user.id, call.now)
    call.note("areas", code)
    return await get_area(call, code)
