"""The area tree: what the program knows, and the towns, villages and groups that users keep."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, Out, Page, Text
from service.audience.areas import area_renames
from service.audience.areas import area_store as store
from service.audience.areas.area_edits import check_name, new_area
from service.audience.areas.area_renames import RenameState
from service.audience.areas.area_store import read_area_tree
from service.errors import Invalid, NotFound
from service.messages.lint.lint_store import policy_get
from service.messages.lint.lint_values import value_findings
from service.storage.locks import lock_areas
from service.words.phrase import listing, phrase

AnyAreaCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}([0-9]{3})?$")]


class AreaQuery(PageQuery):
    """Which areas: all, or those within one."""

    parent: Text | None = Field(default=None, description="The code of the area they lie in.")


class AreaBody(Body):
    """An area that the tree does not have."""

    parent: AnyAreaCode = Field(description="The code of the county, town or village it lies in.")
    name: Line
    level: Literal["town", "village", "community", "group"] | None = Field(
        default=None, description="Left out: the usual level below the parent."
    )
    code: AnyAreaCode | None = Field(default=None, description="Left out: the next free one.")
    population: Annotated[Int, Field(ge=0)] | None = None


class AreaPatch(Body):
    """What is to change; the rest stays."""

    name: Line | None = Field(
        default=None,
        description="Waits until somebody else confirms it; see `renaming` of the answer.",
    )
    population: Annotated[Int, Field(ge=0)] | None = None


class AreaOut(Out):
    """An area."""

    code: str
    name: str
    level: str
    parent: str
    population: int | None


class RenamingOut(Out):
    """A name that somebody proposed for an area, and that somebody else has to confirm."""

    id: UUID
    name: str
    state: RenameState
    proposed_by: UUID
    proposed_at: Instant


class EditedAreaOut(AreaOut):
    """An area, who edited it last (null: it is as the program knew it), and the name that waits."""

    edited_at: Instant | None
    edited_by: UUID | None
    renaming: RenamingOut | None


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
        raise NotFound(phrase("there is no area of this code"))
    waits = await store.get_waiting(call.conn, code)
    renaming = waits and waits._asdict() | {"state": area_renames.state_of(waits, call.now)}
    return EditedAreaOut.model_validate(found._asdict() | {"renaming": renaming})


async def create_area(call: Call, body: AreaBody) -> EditedAreaOut:
    """Add a town, village or group to the tree."""
    await lock_areas(call.conn)
    tree = await read_area_tree(call.conn)
    made = new_area(
        tree.areas,
        parent=body.parent,
        name=body.name,
        level=body.level,
        code=body.code,
        population=body.population,
    )
    await _check_asks_nothing(call, made.name)
    await store.insert_area(call.conn, made, call.user.id, call.now)
    call.note("areas", made.code)
    return await get_area(call, made.code)


async def edit_area(call: Call, code: str, body: AreaPatch) -> EditedAreaOut:
    """Say how many live in an area, or propose another name for it; its code stays."""
    await lock_areas(call.conn)
    area = (await read_area_tree(call.conn)).areas.get(code)
    if area is None:
        raise NotFound(phrase("there is no area of this code"))
    if body.name is not None:
        if body.name != area.name:
            check_name(body.name, area.level)
            await _check_asks_nothing(call, body.name)
        await area_renames.propose(call.conn, call.user, code, body.name, call.now)
    if body.population is not None:
        counted = area._replace(population=body.population)
        await store.update_area(call.conn, counted, call.user.id, call.now)
    call.note("areas", code)
    return await get_area(call, code)


async def confirm_rename(call: Call, code: str, rename_id: UUID) -> EditedAreaOut:
    """Give an area the name that somebody else proposed."""
    await lock_areas(call.conn)
    found = await area_renames.confirm(call.conn, call.user, code, rename_id, call.now)
    await _check_asks_nothing(call, found.name)
    call.note("areas", code, rename=str(rename_id))
    return await get_area(call, code)


async def _check_asks_nothing(call: Call, name: str) -> None:
    """Refuse a name in which lint finds something: it stands in texts that are approved already."""
    if found := value_findings(name, await policy_get(call.conn)):
        problem = listing((listing((f["rule"], f["message"]), ": ") for f in found), "; ")
        raise Invalid(phrase("this is no name of an area"), fields={"name": problem})
