"""How many people there should be in each area, as somebody has said."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import AreaName, Body, Day, Instant, Int, Line, Out, Page
from service.audience.areas.area_store import read_area_tree
from service.audience.rosters import roster_store
from service.clock import day_in_china
from service.errors import Invalid
from service.reports.coverage import denominator_store
from service.reports.coverage.denominators import KINDS, Entry, list_of
from service.words.phrase import Phrase, listing, phrase

MOST_ENTRIES = 2_000


class DenominatorBody(Body):
    """How many people of a kind there are in an area, who says so, and from which day on."""

    area: Line = Field(description="The code of the area.")
    kind: Line = Field(
        max_length=65,
        description="residents, phones, households, the key of a role, or list: and a list's name.",
    )
    people: Annotated[Int, Field(ge=0)]
    source: Line = Field(description="Whose number it is, such as a census or a list.")
    as_of: Day = Field(description="The day from which it counts; today or before.")


class DenominatorsBody(Body):
    """What is entered together; one that is wrong keeps all of them out."""

    items: Annotated[list[DenominatorBody], Field(min_length=1, max_length=MOST_ENTRIES)]


class DenominatorOut(Out):
    """What somebody entered."""

    id: UUID
    area: str
    area_name: AreaName
    kind: str
    people: int
    source: str
    as_of: Day
    entered_at: Instant
    entered_by: UUID


class EnteredOut(Out):
    """How many were written down."""

    entered: int


class DenominatorQuery(PageQuery):
    """Which: all, or those of one kind."""

    kind: Line | None = None


async def kind_problem(call: Call, kind: str) -> Phrase | None:
    """Why there is no such kind; None: there is."""
    if kind in KINDS:
        return None
    name = list_of(kind)
    if name is None:
        return phrase("one of {kinds}, or list: and the name of a list", kinds=listing(KINDS))
    today = day_in_china(call.now)
    if await roster_store.list_rosters(call.conn, None, None, 1, today, name=name):
        return None
    return phrase("there is no list {name}", name=name)


async def list_denominators(call: Call, query: DenominatorQuery) -> Page[DenominatorOut]:
    """List what was entered, the latest first; of one day of an area and a kind it counts."""
    found = await denominator_store.list_entries(call.conn, query.kind, query.before, query.wanted)
    return cut(Page[DenominatorOut], found, query)


async def set_denominators(call: Call, body: DenominatorsBody) -> EnteredOut:
    """Say how many people there are in areas; what was said before stays in the record."""
    areas = (await read_area_tree(call.conn)).areas
    today = day_in_china(call.now)
    wrong: dict[str, str] = {}
    for n, item in enumerate(body.items):
        if item.area not in areas:
            wrong[f"items.{n}.area"] = phrase("there is no area of this code")
        if (problem := await kind_problem(call, item.kind)) is not None:
            wrong[f"items.{n}.kind"] = problem
        if item.as_of > today:
            wrong[f"items.{n}.as_of"] = phrase("today or before")
    if wrong:
        raise Invalid(phrase("nothing was entered, since some of it is wrong"), fields=wrong)
    entries = [Entry(i.area, i.kind, i.people, i.source, i.as_of) for i in body.items]
    await denominator_store.add_entries(call.conn, entries, call.user.id, call.now)
    call.note("denominators", entered=len(entries), kinds=sorted({e.kind for e in entries}))
    return EnteredOut(entered=len(entries))
