"""Receipts that fit no text: looked through, laid aside with a reason, taken as a file; the octets
of one that cannot be read, for a reason.
"""

from typing import Any, Final
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.channels import channels
from service.api.http.downloads import MadeFile
from service.api.privacy import privacy
from service.api.privacy.privacy import DisclosureBody
from service.api.sending import unmatched
from service.api.sending.unmatched import DismissBody, ExportQuery, UnmatchedQuery
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import watermark
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

RECEIPTS = "/duty/receipts"
ROWS = 100
REASON = "see_reason"
UNREADABLE: Final = "unreadable"
WHYS: Final = {
    "parked": phrase("came before its text was recorded; it is tried again"),
    "unmatched": phrase("fits no text of ours"),
    "ambiguous": phrase("fits several texts"),
    "conflict": phrase("contradicts what is known"),
    UNREADABLE: phrase("cannot be read"),
}


async def show_receipts(desk: Desk) -> Shown:
    """The receipts that fit no text, of all or of one channel or kind."""
    return Shown("duty/receipts.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    asked = body_of(UnmatchedQuery, desk.request.query, given={"limit": ROWS})
    found = await desk.get(unmatched.list_unmatched, query=asked)
    query = {**desk.request.query, "cursor": found.next_cursor or ""}
    sees_octets = desk.may(Right.UNMASK) and desk.user.scope is None
    return {
        "items": found.items,
        "next": f"{RECEIPTS}?{urlencode(query)}" if found.next_cursor else "",
        "why": asked.why or "",
        "channel": asked.channel if asked.channel is not None else "",
        "channels": (await desk.get(channels.list_channels)).items,
        "whys": WHYS,
        "words": words,
        "reason": lambda code: words.reason_word(code, desk.language),
        "may_dismiss": desk.may(Right.CONTROL),
        "unreadable": [one for one in found.items if one.why == UNREADABLE and sees_octets],
        "octets": "",
        "watermark": watermark(desk),
    }


async def unmask(desk: Desk) -> Shown:
    """Show what could not be read in full, for a minute; that it was shown, and why, is noted."""
    receipt_id = desk.typed("receipt_id")
    if not receipt_id:
        raise Invalid.at("receipt_id", phrase("choose one of them"))
    found = await desk.act(
        privacy.unmask_unmatched, receipt_id=receipt_id, body=_reason_to_see(desk)
    )
    async with desk.reading():
        told = await _told(desk)
    return Shown("duty/receipts.html", {**told, "octets": found.octets})


def _reason_to_see(desk: Desk) -> DisclosureBody:
    """Why somebody sees octets; the page has a field `reason` of another form already."""
    given = {"reason": desk.typed(REASON) or None}
    try:
        return body_of(DisclosureBody, desk.form, but=("receipt_id", REASON), given=given)
    except Invalid as error:
        fields = {REASON if name == "reason" else name: why for name, why in error.fields.items()}
        raise Invalid(error.message, fields=fields) from error


async def dismiss(desk: Desk) -> Gone:
    """Lay receipts aside that somebody has looked at."""
    if not desk.form.getall("ids", []):
        raise Invalid.at("ids", phrase("tick at least one receipt"))
    done = await desk.act(unmatched.dismiss_unmatched, body=body_of(DismissBody, desk.form))
    left = len(done.items)
    said = phrase("{count} receipts are laid aside.", count=done.dismissed)
    if left:
        said = phrase(
            "{count} receipts are laid aside, {left} are not: they are still tried, or gone.",
            count=done.dismissed,
            left=left,
        )
    return Gone(RECEIPTS, said)


async def take_file(desk: Desk) -> MadeFile:
    """These receipts as a file for a spreadsheet, phones masked."""
    return await desk.take(unmatched.export_unmatched, query=body_of(ExportQuery, desk.form))
