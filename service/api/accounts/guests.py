"""Guests: the people whom a department's trial keys may reach."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from service.accounts.sending import guest_store
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, OptionalLine, Out, Page, Text, TranslatedText
from service.audience.numbers.number import mask, parse_phone
from service.crypto import Keyring
from service.errors import Invalid
from service.words.phrase import phrase

MOST_GUESTS = 1_000


class GuestsBody(Body):
    """Numbers to be added; one that cannot be taken stops no other."""

    phones: Annotated[list[Text], Field(min_length=1, max_length=MOST_GUESTS)]
    note: OptionalLine = ""


class GuestOut(Out):
    """Somebody whom trial keys may reach; the number is masked."""

    id: UUID
    phone: str
    note: str
    created_at: Instant


class TakenOut(GuestOut):
    """A guest as asked for. at: the place in the list that was sent, from 0."""

    at: int
    is_new: bool


class RefusedOut(Out):
    """A number that was not taken, and why. at: its place in the list that was sent, from 0."""

    at: int
    reason: TranslatedText


class GuestsOut(Out):
    """What became of each number of the list."""

    added: int
    items: list[TakenOut]
    rejected: list[RefusedOut]


async def list_guests(call: Call, query: PageQuery) -> Page[GuestOut]:
    """List the guests of the departments that you see."""
    found = await guest_store.list_guests(call.conn, call.user.scope, query.before, query.wanted)
    keyring = call.runtime.keyring
    return cut(Page[GuestOut], [GuestOut(**_shown(keyring, guest)) for guest in found], query)


async def create_guests(call: Call, body: GuestsBody) -> GuestsOut:
    """Let trial keys reach these numbers; what cannot be taken is listed with its reason."""
    keyring = call.runtime.keyring
    phones: dict[bytes, tuple[int, str]] = {}
    rejected = []
    for at, given in enumerate(body.phones):
        try:
            phone = parse_phone(given)
        except Invalid as error:
            rejected.append(RefusedOut(at=at, reason=error.message))
            continue
        if keyring.phone_index(phone) in phones:
            rejected.append(RefusedOut(at=at, reason=phrase("the number is on the list twice")))
            continue
        phones[keyring.phone_index(phone)] = (at, phone)
    made = await guest_store.insert_guests(
        call.conn,
        call.user,
        {index: keyring.encrypt("phone", phone) for index, (_, phone) in phones.items()},
        body.note,
        call.now,
    )
    items = [
        TakenOut(**_shown(keyring, guest), at=phones[guest.phone_hash][0], is_new=is_new)
        for guest, is_new in made
    ]
    items.sort(key=lambda item: item.at)
    return GuestsOut(added=sum(item.is_new for item in items), items=items, rejected=rejected)


async def delete_guest(call: Call, guest_id: UUID) -> None:
    """Let trial keys reach a number no more."""
    await guest_store.delete_guest(call.conn, guest_id, call.user.scope)


def _shown(keyring: Keyring, guest: guest_store.Guest) -> dict[str, Any]:
    phone = mask(keyring.decrypt("phone", guest.phone_cipher))
    return {"id": guest.id, "phone": phone, "note": guest.note, "created_at": guest.created_at}
