"""Lists for a carrier that sends by itself: drawn, fetched, and what the carrier says of them."""

from typing import Any, Final

from service.accounts.departments.department import CARRIER
from service.accounts.people.model import Right
from service.api.channels import channels
from service.api.http.downloads import MadeFile
from service.api.http.paging import PageQuery
from service.api.sending import list_files
from service.api.sending.list_files import CountsBody, DrawBody, FetchBody, ResultsForm
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

LISTS = "/duty/list-files"
KIND = "list_file"
"""The kind of channel whose texts leave as lists."""
STATES: Final = {
    "drawing": phrase("being drawn"),
    "closing": phrase("being closed"),
    "ready": phrase("ready to be fetched"),
    "empty": phrase("empty: nothing could be handed off"),
    "lapsed": phrase("lapsed: nobody fetched it in 24 hours"),
}
MARKS: Final = {
    "drawing": "run",
    "closing": "run",
    "ready": "warn",
    "empty": "idle",
    "lapsed": "bad",
}
LINES: Final = {
    "recorded": phrase("recorded"),
    "open": phrase("no result yet"),
    "already": phrase("known before"),
    "unknown": phrase("no text of this list"),
    "ambiguous": phrase("several texts may be meant"),
    "unreadable": phrase("cannot be read"),
}


def _may_hand_over(desk: Desk) -> bool:
    """Whether the reader is of a carrier, whose subscribers' numbers leave for it alone."""
    return desk.may(Right.CONTROL) and desk.user.department_kind == CARRIER


async def show_lists(desk: Desk) -> Shown:
    """The lists of the reader's carrier, and the form that draws one."""
    asked = body_of(PageQuery, desk.request.query)
    found = await desk.get(list_files.list_list_files, query=asked)
    drawn = []
    if _may_hand_over(desk):
        all_channels = (await desk.get(channels.list_channels)).items
        drawn = [(c.id, c.name) for c in all_channels if c.kind == KIND and c.enabled]
    return Shown(
        "duty/lists.html",
        {
            "items": found.items,
            "next": f"{LISTS}?cursor={found.next_cursor}" if found.next_cursor else "",
            "channels": drawn,
            "states": STATES,
            "marks": MARKS,
        },
    )


async def draw(desk: Desk) -> Gone:
    """Draw a list of what waits on a channel now."""
    made = await desk.act(list_files.draw_list, body=body_of(DrawBody, desk.form))
    return Gone(f"{LISTS}/{made.id}", phrase("The list is being drawn; it is ready in seconds."))


async def show_list(desk: Desk) -> Shown:
    """A list: its runs, who fetched it, and what the carrier gave back."""
    return Shown("duty/list.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    found = await desk.get(list_files.get_list_file, list_id=desk.uuid("list_id"))
    people = [found.drawn_by, found.fetched_by, *(one.given_by for one in found.results)]
    return {
        "found": found,
        "names": await names_of(desk, people),
        "states": STATES,
        "marks": MARKS,
        "lines": LINES,
        "words": words,
        "may": _may_hand_over(desk),
    }


async def fetch(desk: Desk) -> MadeFile:
    """The archive of a list, encrypted to the carrier's certificate."""
    return await desk.take(
        list_files.fetch_archive,
        list_id=desk.uuid("list_id"),
        body=body_of(FetchBody, desk.form),
    )


async def read_results(desk: Desk) -> Shown:
    """Take the list as the carrier gives it back."""
    if desk.upload is None:
        raise Invalid.at("file", phrase("choose the carrier's file"))
    done = await desk.act(
        list_files.read_results_file,
        list_id=desk.uuid("list_id"),
        body=body_of(ResultsForm, desk.form),
        file=desk.upload,
    )
    told = {"done": done, "lines": LINES, "words": words, "back": desk.request.path}
    return Shown("duty/results.html", told)


async def give_counts(desk: Desk) -> Gone:
    """Record what the carrier says of a run in counts alone."""
    list_id = desk.uuid("list_id")
    await desk.act(list_files.give_counts, list_id=list_id, body=body_of(CountsBody, desk.form))
    return Gone(f"{LISTS}/{list_id}", phrase("The counts are recorded."))
