"""Places over HTTP: the register, what was put up where, and how many places of an area had it."""

import re
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import AreaName, Body, Day, Instant, Line, Out, Page, QueryString
from service.audience.areas.area_store import area_names, read_area_tree
from service.cases.week import quarter_of, week_of
from service.errors import Conflict, Invalid, NotFound
from service.messages.places import place_store
from service.messages.places.place_store import PlaceCount, PlaceKind, WordingPlace
from service.words.phrase import phrase

MOST_PUT_UP = 200
_MARK = re.compile(r"[Tt]([1-9][0-9]{0,8})-([1-9][0-9]{0,5})")
_LEVELS = frozenset({"village", "community", "group"})


class PlaceQuery(PageQuery):
    """Which places."""

    kind: PlaceKind | None = None
    area: Line | None = Field(default=None, description="Of this area and those in it.")


class PlaceBody(Body):
    """A place of your department where words may be put up."""

    kind: PlaceKind = Field(description="Of the wordings that it takes.")
    name: Line = Field(description="So that somebody finds it, as 村委会公告栏.")
    area: Line = Field(description="The code of the village, town or county that it stands in.")


class TickBody(Body):
    """What was put up there, or that it was taken down."""

    mark: Line | None = Field(
        default=None,
        description="Of template and version, as T7-3, which stands below the words; null: what"
        " stood there was taken down.",
    )
    on: Day | None = Field(default=None, description="Default: today.")


class PlaceOut(Out):
    """A place, and what stands there now."""

    id: UUID
    department_id: UUID
    department: str
    kind: PlaceKind
    name: str
    area: str
    area_name: AreaName
    from_on: date
    until_on: date | None
    mark: str | None = Field(description="Of what stands there; null: nothing.")
    since: date | None


class PutUpOut(Out):
    """What somebody ticked; mark null: it was taken down."""

    id: UUID
    mark: str | None
    template: str | None
    on_day: date
    ticked_by: UUID
    ticked_at: Instant


class PlaceDetail(PlaceOut):
    """A place with all that was put up there, the latest first."""

    BY_THE_CLOCK = frozenset({"may_tick"})

    put_up: list[PutUpOut]
    may_tick: bool = Field(description="It is your department's, and still a place.")


class PlaceCountQuery(QueryString):
    """Of which days; default: this quarter."""

    first: Day | None = Field(default=None, alias="from")
    last: Day | None = Field(default=None, alias="to")


class PlaceCountOut(Out):
    """Places of a town and a kind, and at how many of them something stood."""

    area: str
    area_name: AreaName
    kind: PlaceKind
    places: int
    shown: int


class PlaceCountsOut(Out):
    """How many places of each town had something on any of these days.

    It stands beside the coverage of texts, and in none of its numbers: nobody knows who has read
    a poster.
    """

    first: date
    last: date
    places: int
    shown: int
    items: list[PlaceCountOut]


async def list_places(call: Call, query: PlaceQuery) -> Page[PlaceOut]:
    """List places, the latest first: your department's and those below it.

    Administrators of the county and inspectors see all.
    """
    areas = None
    if query.area is not None:
        tree = await read_area_tree(call.conn)
        if query.area not in tree.areas:
            raise Invalid.at("area", phrase("there is no area of this code"))
        areas = tree.subtree(query.area)
    found = await place_store.list_places(
        call.conn, call.user.count_scope, query.kind, areas, query.before, query.wanted
    )
    page = cut(Page[WordingPlace], found, query, key=lambda one: one.id)
    names = await area_names(call.conn, [one.area_code for one in page.items])
    return Page[PlaceOut](
        items=[PlaceOut.model_validate(_out(one, names)) for one in page.items],
        next_cursor=page.next_cursor,
    )


async def add_place(call: Call, body: PlaceBody) -> PlaceDetail:
    """Add a place of your department."""
    by = (call.user.id, call.now, _today(call))
    made = await place_store.add_place(
        call.conn, call.user.department_id, body.kind, body.name, body.area, by
    )
    call.note("places", made, kind=body.kind)
    return await get_place(call, made)


async def get_place(call: Call, place_id: UUID) -> PlaceDetail:
    """Show a place with all that was put up there."""
    found = await _find(call, place_id, call.user.count_scope)
    put_up = await place_store.list_put_up(call.conn, place_id, MOST_PUT_UP)
    names = await area_names(call.conn, [found.area_code])
    return PlaceDetail.model_validate(
        _out(found, names)
        | {
            "put_up": [PutUpOut.model_validate(one) for one in put_up],
            "may_tick": found.department_id == call.user.department_id and found.until_on is None,
        }
    )


async def tick_place(call: Call, place_id: UUID, body: TickBody) -> PlaceDetail:
    """Say what was put up at a place of your department, by its mark, or that it was taken down."""
    found = await _own(call, place_id)
    day = body.on or _today(call)
    if not found.from_on <= day <= _today(call):
        raise Invalid.at("on", phrase("a day from the first one of the place up to today"))
    wording = None
    if body.mark is not None:
        numbers = _MARK.fullmatch(body.mark.strip())
        if numbers is not None:
            mark = int(numbers[1]), int(numbers[2])
            wording = await place_store.find_wording(call.conn, mark, found.kind)
        if wording is None:
            raise Invalid.at(
                "mark",
                phrase(
                    "there is no wording of this mark and kind that may be put up; the mark stands"
                    " below its words, as T7-3"
                ),
            )
    await place_store.tick(call.conn, place_id, wording, day, (call.user.id, call.now))
    call.note("places", place_id, wording=str(wording or ""))
    return await get_place(call, place_id)


async def end_place(call: Call, place_id: UUID) -> PlaceDetail:
    """Say that a place of your department is none any more, from tomorrow on."""
    await _own(call, place_id)
    await place_store.end_place(call.conn, place_id, _today(call))
    call.note("places", place_id)
    return await get_place(call, place_id)


async def count_places(call: Call, query: PlaceCountQuery) -> PlaceCountsOut:
    """Count by town at how many places something stood, beside the coverage of texts."""
    quarter = quarter_of(week_of(_today(call)))
    first = query.first or quarter.first.monday
    last = query.last or max(first, quarter.last.sunday)
    if last < first:
        raise Invalid.at("to", phrase("the last day is earlier than the first"))
    counts = await place_store.count_places(call.conn, call.user.count_scope, first, last)
    tree = await read_area_tree(call.conn)
    sums: dict[tuple[str, PlaceKind], tuple[int, int]] = {}
    for one in counts:
        town = next((a.code for a in tree.above(one.area_code) if a.level not in _LEVELS), "")
        places, shown = sums.get((town, one.kind), (0, 0))
        sums[town, one.kind] = places + one.places, shown + one.shown
    names = await area_names(call.conn, [town for town, _ in sums])
    return PlaceCountsOut(
        first=first,
        last=last,
        places=_sum(counts, "places"),
        shown=_sum(counts, "shown"),
        items=[
            PlaceCountOut(
                area=town, area_name=names.get(town), kind=kind, places=places, shown=shown
            )
            for (town, kind), (places, shown) in sorted(sums.items())
        ],
    )


def _sum(counts: Sequence[PlaceCount], name: str) -> int:
    return sum(getattr(one, name) for one in counts)


async def _find(call: Call, place_id: UUID, departments: Sequence[UUID] | None) -> WordingPlace:
    found = await place_store.get_place(call.conn, place_id, departments)
    if found is None:
        raise NotFound(phrase("there is no place {place_id}", place_id=place_id))
    return found


async def _own(call: Call, place_id: UUID) -> WordingPlace:
    """A place of the caller's department that is one still, locked."""
    await _find(call, place_id, [call.user.department_id])
    found = await place_store.get_place(call.conn, place_id, [call.user.department_id], lock=True)
    if found is None or found.until_on is not None:
        raise Conflict(phrase("it is no place any more"), code="place_over")
    return found


def _today(call: Call) -> date:
    return call.now.astimezone(call.runtime.settings.zone).date()


def _out(one: WordingPlace, names: dict[str, str]) -> dict[str, object]:
    return {**one._asdict(), "area": one.area_code, "area_name": names.get(one.area_code)}
