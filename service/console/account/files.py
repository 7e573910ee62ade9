"""Files that one waits for: how far each is that is about a thing, on that thing's page."""

from service.accounts.long_acts.long_act import LongActState
from service.api.system import long_acts
from service.api.system.long_acts import LongActOut, LongActQuery
from service.console.asking import Desk
from service.console.render import Shown

MOST_SHOWN = 3


async def show_about(desk: Desk) -> Shown | None:
    """The part of a thing's page that says how far files about it are."""
    about = str(desk.uuid("object_id"))
    told = await files_about(desk, about)
    if desk.request.query.get("seen", "") == told["files_seen"]:
        return None
    return Shown("account/_files.html", told)


async def files_about(desk: Desk, object_id: str) -> dict[str, object]:
    """What a page is told of the last files of the reader about a thing."""
    found = await desk.get(long_acts.list_long_acts, query=LongActQuery(object_id=object_id))
    files = found.items[:MOST_SHOWN]
    return {
        "files": files,
        "files_about": object_id,
        "files_seen": ".".join(_mark(one) for one in files),
        "file_tones": {
            LongActState.DONE: "done",
            LongActState.FAILED: "failed",
            LongActState.BROKEN_OFF: "failed",
        },
    }


def _mark(one: LongActOut) -> str:
    return f"{one.state}{one.done}"
