"""Each text of a run, masked; one of them with all its hand-offs, and its number for a reason."""

from typing import Any
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.privacy import privacy
from service.api.privacy.privacy import DisclosureBody
from service.api.sending import messages, runs
from service.api.sending.runs import MessageQuery
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import watermark
from service.console.render import Shown
from service.console.runs.direct_texts import may_cancel
from service.console.runs.pages import told_of
from service.errors import NotFound
from service.words.phrase import phrase

ROWS = 50


async def show_ledger(desk: Desk) -> Shown:
    """The texts of a run in their order, or those in one state."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    asked = body_of(MessageQuery, desk.request.query, given={"limit": ROWS})
    found = await desk.get(runs.list_messages, run_id=run.id, query=asked)
    query = {"state": asked.state.value if asked.state else "", "cursor": found.next_cursor or ""}
    following = urlencode({name: value for name, value in query.items() if value})
    return Shown(
        "runs/ledger.html",
        {
            **await told_of(desk, run, "ledger"),
            "items": found.items,
            "state": query["state"],
            "next": f"/runs/{run.id}/ledger?{following}" if found.next_cursor else "",
            "why": lambda code: words.reason_word(code, desk.language),
            "carrier": lambda code: words.carrier_word(code, desk.language),
            "watermark": watermark(desk),
        },
    )


async def show_text(desk: Desk) -> Shown:
    """One text of a run: what became of it, and each of its hand-offs."""
    return Shown("runs/text.html", await _text(desk))


async def _text(desk: Desk) -> dict[str, Any]:
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    text = await desk.get(messages.get_message, message_id=f"{run.id}.{_no(desk)}")
    return {
        **await told_of(desk, run, "ledger"),
        "text": text,
        "number": "",
        "may_cancel": may_cancel(desk, run, text),
        "may_unmask": desk.may(Right.UNMASK),
        "why": lambda code: words.reason_word(code, desk.language),
        "carrier": lambda code: words.carrier_word(code, desk.language),
        "watermark": watermark(desk),
    }


def _no(desk: Desk) -> int:
    """The text's number in its run, of the address.

    Raises:
        NotFound: it is none.
    """
    given = desk.path("no")
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise NotFound(phrase("there is nothing at this address"))
    return int(given)


async def unmask(desk: Desk) -> Shown:
    """Show a text's number in full, for a minute; that it was shown, and why, is noted."""
    found = await desk.act(
        privacy.unmask_message,
        run_id=desk.uuid("run_id"),
        no=_no(desk),
        body=body_of(DisclosureBody, desk.form),
    )
    async with desk.reading():
        told = await _text(desk)
    return Shown("runs/text.html", {**told, "number": found.phone})
