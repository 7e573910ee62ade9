"""The county's packs of weekly reports on a page: how far each is, and the archive."""

from typing import Any

from service.api.duties import packs
from service.api.duties.packs import PackQuery, PacksQuery
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Shown
from service.words.phrase import phrase

TONES = {"waiting": "run", "built": "done", "failed": "failed"}
STATES = {
    "waiting": phrase("being built"),
    "built": phrase("built"),
    "failed": phrase("could not be built"),
}
STEPS = {
    "gathering": phrase("gathering the figures of units"),
    "documents": phrase("writing the documents"),
    "pictures": phrase("taking the pictures"),
    "signing": phrase("signing"),
}


async def show_packs(desk: Desk) -> Shown:
    """The last version of each week's pack; with a week, all its versions."""
    return Shown("duties/packs.html", await _told(desk))


async def show_pack_rows(desk: Desk) -> Shown:
    """The part of the page that changes while a pack is built."""
    return Shown("duties/_packs.html", await _told(desk))


async def take_pack(desk: Desk) -> MadeFile:
    """The archive of a version."""
    return await desk.take(packs.get_pack, query=body_of(PackQuery, desk.form))


async def _told(desk: Desk) -> dict[str, Any]:
    week = desk.request.query.get("week") or None
    cursor = desk.request.query.get("cursor")
    query = made_of(PacksQuery, {"week": week, "limit": 50, "cursor": cursor})
    found = await desk.get(packs.list_packs, query=query)
    say = desk.language.say
    return {
        "packs": found.items,
        "next": found.next_cursor,
        "week": week or "",
        "lasts": any(pack.state == "waiting" for pack in found.items),
        "tab": "packs",
        "tones": TONES,
        "states": {code: say(word) for code, word in STATES.items()},
        "steps": {code: say(word) for code, word in STEPS.items()},
    }
