"""Places on pages: the register, and what was put up at each."""

from service.accounts.people.model import Right
from service.api.content import places
from service.api.content.places import PlaceBody, PlaceQuery, TickBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.messages.places.place_store import PLACE_KINDS
from service.messages.wordings.wording import KIND_WORDS
from service.words.phrase import phrase

PLACES = "/places"


async def show_places(desk: Desk) -> Shown:
    """The places that the reader sees, and a form to add one."""
    query = body_of(PlaceQuery, desk.request.query, given={"limit": 100})
    found = await desk.get(places.list_places, query=query)
    return Shown("texts/places.html", {
        "items": found.items,
        "next": found.next_cursor,
        "kind": query.kind or "",
        "kinds": _kinds(desk),
        "may_add": desk.may(Right.REPORT),
        "may_read": desk.may(Right.READ),
    })  # fmt: skip


async def add_place(desk: Desk) -> Gone:
    """Add a place."""
    made = await desk.act(places.add_place, body=body_of(PlaceBody, desk.form))
    return Gone(f"{PLACES}/{made.id}", phrase("The place is added."))


async def show_place(desk: Desk) -> Shown:
    """A place with all that was put up there, and a form to tick."""
    found = await desk.get(places.get_place, place_id=desk.uuid("place_id"))
    return Shown("texts/place.html", {
        "place": found,
        "kinds": dict(_kinds(desk)),
        "today": desk.now.date(),
        "may_tick": found.may_tick and desk.may(Right.REPORT),
    })  # fmt: skip


async def tick_place(desk: Desk) -> Gone:
    """Say what was put up, or that it was taken down."""
    place_id = desk.uuid("place_id")
    await desk.act(places.tick_place, place_id=place_id, body=body_of(TickBody, desk.form))
    return Gone(f"{PLACES}/{place_id}", phrase("Written down."))


async def end_place(desk: Desk) -> Gone:
    """Say that it is no place any more."""
    place_id = desk.uuid("place_id")
    await desk.act(places.end_place, place_id=place_id)
    return Gone(f"{PLACES}/{place_id}", phrase("It is no place any more, from tomorrow on."))


def _kinds(desk: Desk) -> list[tuple[str, str]]:
    return [(kind, desk.language.say(KIND_WORDS[kind])) for kind in PLACE_KINDS]
