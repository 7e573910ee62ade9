"""Texts from handsets: who wrote what, who works it off, and what was done."""

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from service.accounts.people.model import Right
from service.api.privacy import privacy
from service.api.privacy.privacy import DisclosureBody
from service.api.sending import inbound
from service.api.sending.inbound import FinishBody, InboundOut, InboundQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of, watermark
from service.console.render import Gone, Shown
from service.words.phrase import phrase

REPLIES = "/duty/replies"
MOST_OPEN = 100
KINDS: Final = {
    "opt_out": phrase("opt-out"),
    "answer": phrase("answer"),
    "clue": phrase("clue"),
    "check": phrase("asks whether a text is ours"),
    "other": phrase("other"),
}
STATES: Final = {"new": phrase("new"), "taken": phrase("taken"), "done": phrase("worked off")}
OURS: Final = {
    "opt_out_confirmed": phrase("that the opt-out holds"),
    "notices_confirmed": phrase("that work notices are stopped too"),
    "clue_received": phrase("that the clue was received"),
    "text_checked": phrase("whether the text is ours"),
}
_MARKS: Final = {"new": "warn", "taken": "run", "done": "done"}


async def show_replies(desk: Desk) -> Shown:
    """The texts that wait, clues first; or those of one kind or state."""
    asked = body_of(InboundQuery, desk.request.query)
    if asked.state is None and asked.cursor is None:
        new = await _open(desk, asked, "new")
        taken = await _open(desk, asked, "taken")
        items, following = sorted(new, key=lambda text: text.kind != "clue") + taken, None
    else:
        found = await desk.get(inbound.list_inbound, query=asked)
        items, following = found.items, found.next_cursor
    query = {**desk.request.query, "cursor": following or ""}
    return Shown(
        "duty/replies.html",
        {
            "items": items,
            "next": f"{REPLIES}?{urlencode(query)}" if following else "",
            "kind": asked.kind or "",
            "done": asked.state == "done",
            "names": await names_of(desk, [text.taken_by for text in items]),
            **_words(desk),
        },
    )


async def _open(desk: Desk, asked: InboundQuery, state: str) -> list[InboundOut]:
    wanted = {"state": state, "kind": asked.kind, "campaign": asked.campaign, "limit": MOST_OPEN}
    found = await desk.get(inbound.list_inbound, query=InboundQuery.model_validate(wanted))
    return found.items


def _words(desk: Desk) -> dict[str, Any]:
    return {
        "kinds": KINDS,
        "states": STATES,
        "ours": OURS,
        "marks": _MARKS,
        "may_work": desk.may(Right.SUPPRESS),
        "may_unmask": desk.may(Right.UNMASK),
        "watermark": watermark(desk),
    }


async def show_reply(desk: Desk) -> Shown:
    """One text from a handset, what it answers, what we answered, and what is to be done."""
    return Shown("duty/reply.html", await _told(desk, desk.uuid("inbound_id")))


async def _told(desk: Desk, inbound_id: UUID) -> dict[str, Any]:
    text = await desk.get(inbound.get_inbound, inbound_id=inbound_id)
    names = await names_of(desk, [text.taken_by, text.done_by])
    return {"text": text, "names": names, "number": "", **_words(desk)}


async def take(desk: Desk) -> Gone:
    """Take a text, to work it off."""
    inbound_id = desk.uuid("inbound_id")
    await desk.act(inbound.take_inbound, inbound_id=inbound_id)
    return Gone(f"{REPLIES}/{inbound_id}", phrase("It is yours now."))


async def finish(desk: Desk) -> Gone:
    """Close a text; with the tick, its sender gets no more."""
    await desk.act(
        inbound.finish_inbound,
        inbound_id=desk.uuid("inbound_id"),
        body=body_of(FinishBody, desk.form),
    )
    return Gone(REPLIES, phrase("It is worked off."))


async def unmask(desk: Desk) -> Shown:
    """Show who wrote in full, for a minute; that it was shown, and why, is noted."""
    inbound_id = desk.uuid("inbound_id")
    found = await desk.act(
        privacy.unmask_inbound, inbound_id=inbound_id, body=body_of(DisclosureBody, desk.form)
    )
    async with desk.reading():
        told = await _told(desk, inbound_id)
    return Shown("duty/reply.html", {**told, "number": found.phone})


async def show_masked(_: Desk) -> Shown:
    """What stands in the place of a number after its minute."""
    return Shown("_masked.html")
