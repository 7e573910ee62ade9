"""Keys of programs: made by one person, activated by another, shown once."""

from datetime import datetime
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import keys, users
from service.api.accounts.keys import KeyBody, RotateBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, instant_of
from service.console.names import names_of
from service.console.office import words
from service.console.office.choices import find_users
from service.console.render import Gone, Shown
from service.console.second_person import second_person
from service.errors import NotFound
from service.words.phrase import Phrase, phrase

KEYS = "/office/keys"
_ANOTHER = phrase("another administrator who has all rights of its user")


async def show_keys(desk: Desk) -> Shown:
    """All keys that the caller sees."""
    query = body_of(PageQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(keys.list_keys, query=query)
    allowed = desk.may(Right.ACCOUNTS)
    told = {
        "seconds": {
            key.id: await second_person(desk, key.created_by, allowed=allowed, who=_ANOTHER)
            for key in found.items
            if key.state == "pending" and key.created_by is not None
        },
        "keys": found.items,
        "next": found.next_cursor,
        "names": await names_of(desk, (key.user_id for key in found.items)),
        "states": words.KEY_STATES,
        "modes": words.MODES,
    }
    return Shown("office/keys.html", told)


async def show_new_key(desk: Desk) -> Shown:
    """The form for a new key; its user is looked up first."""
    given = desk.typed("user_id") or desk.request.query.get("user", "")
    if not given:
        return Shown("office/key_for.html", {"found": await find_users(desk)})
    try:
        user = await desk.get(users.get_user, user_id=UUID(given))
    except ValueError:
        raise NotFound(phrase("there is nothing at this address")) from None
    return Shown(
        "office/key_new.html",
        {
            "user": user,
            "modes": words.options(words.MODES, desk.language),
            "scopes": list(words.rights(desk.language).items()),
        },
    )


async def create_key(desk: Desk) -> Shown:
    """Make a key; its token is shown this once."""
    expires: datetime | None = instant_of(desk.form, "expires_at", desk.zone)
    networks = desk.form.get("networks", "").split() or None
    body = body_of(
        KeyBody,
        desk.form,
        but=("expires_at.day", "expires_at.time", "networks"),
        given={"expires_at": expires, "networks": networks},
    )
    made = await desk.act(keys.create_key, body=body)
    return _secret(phrase("The new key {name}", name=made.name), made.token)


async def activate_key(desk: Desk) -> Gone:
    """Let a key work, as the second person."""
    await desk.act(keys.activate_key, key_id=desk.uuid("key_id"))
    return Gone(KEYS, phrase("The key works now."))


async def rotate_key(desk: Desk) -> Shown:
    """Make a new token for a key; the old one works a day longer."""
    made = await desk.act(keys.rotate_key, key_id=desk.uuid("key_id"), body=RotateBody())
    return _secret(phrase("The new token of {name}", name=made.name), made.token)


async def revoke_key(desk: Desk) -> Gone:
    """Put a key out of service for good."""
    await desk.act(keys.revoke_key, key_id=desk.uuid("key_id"))
    return Gone(KEYS, phrase("The key is out of service."))


async def show_revoke(desk: Desk) -> Shown:
    """What it means to put a key out of service."""
    found = await desk.get(keys.get_key, key_id=desk.uuid("key_id"))
    return Shown("office/key_revoke.html", {"key": found})


def _secret(title: Phrase, token: str) -> Shown:
    return Shown(
        "office/secret.html", {"title": title, "secret": token, "waits": True, "back": KEYS}
    )
