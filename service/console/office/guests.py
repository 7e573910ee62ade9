"""Guests: the numbers that texts of trial keys may reach; masked once they are entered."""

from typing import Any

from service.accounts.people.model import Right
from service.api.accounts import guests
from service.api.accounts.guests import MOST_GUESTS, GuestsBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

GUESTS = "/office/guests"


async def show_guests(desk: Desk) -> Shown:
    """The guests of the departments that the caller sees, and the form for more of them."""
    return Shown("office/guests.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    query = made_of(PageQuery, {"cursor": desk.request.query.get("from")})
    found = await desk.get(guests.list_guests, query=query)
    return {
        "guests": found.items,
        "next": found.next_cursor,
        "manages": desk.may(Right.IMPORT),
        "made": None,
        "lines": (),
    }


async def add_guests(desk: Desk) -> Gone | Shown:
    """Let trial keys reach the numbers that were typed, a line each."""
    lines = [line.strip() for line in desk.typed("phones").splitlines()]
    numbers = [(at, line) for at, line in enumerate(lines, 1) if line]
    if not 0 < len(numbers) <= MOST_GUESTS:
        raise Invalid(
            phrase("there are no numbers to add"),
            fields={"phones": phrase("give 1 to {most} numbers, one a line", most=MOST_GUESTS)},
        )
    body = body_of(
        GuestsBody, desk.form, but=("phones",), given={"phones": [line for _, line in numbers]}
    )
    made = await desk.act(guests.create_guests, body=body)
    if not made.rejected:
        return Gone(GUESTS, phrase("{count} guests are added.", count=made.added))
    async with desk.reading():
        told = await _told(desk)
    wrong = [(numbers[one.at][0], one.reason) for one in made.rejected]
    return Shown("office/guests.html", {**told, "made": made, "lines": wrong})


async def delete_guest(desk: Desk) -> Gone:
    """Let trial keys reach a number no more."""
    await desk.act(guests.delete_guest, guest_id=desk.uuid("guest_id"))
    return Gone(GUESTS, phrase("Trial keys reach this number no more."))
