"""Who entered how many numbers that are not sent to: what waits is let count, or dropped."""

from typing import Any

from service.accounts.people.model import Right
from service.api.audience import suppression_entries
from service.api.audience.opt_out_holds import HoldDecisionBody
from service.api.audience.suppression_entries import EntriesQuery, SuppressionEntryOut
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import departments_of, names_of
from service.console.people import words
from service.console.render import Gone, Shown
from service.console.words import CLASSES
from service.words.phrase import phrase

ENTRIES = "/people/never/entries"
STATES = {
    "counts": phrase("they count"),
    "waits": phrase("waits for a second person"),
    "dropped": phrase("dropped"),
}


async def show_entries(desk: Desk) -> Shown:
    """All that was entered, newest first, with who did it and what was decided."""
    query = EntriesQuery(cursor=desk.request.query.get("from"))
    found = await desk.get(suppression_entries.list_suppression_entries, query=query)
    names = await names_of(desk, (one.entered_by for one in found.items))
    told = {"entries": found.items, "next": found.next_cursor, "names": names}
    return Shown("people/never_entries.html", told | _words())


async def show_entry(desk: Desk) -> Shown:
    """One entry: what lets it count or drops it, and who may."""
    entry_id = desk.uuid("entry_id")
    entry = await desk.get(suppression_entries.get_suppression_entry, entry_id=entry_id)
    whose = await departments_of(desk, [entry.notices_of])
    told = {
        "entry": entry,
        "names": await names_of(desk, [entry.entered_by, entry.decided_by]),
        "notices_of": whose.get(entry.notices_of) if entry.notices_of else None,
        **_decisions(desk, entry),
    }
    return Shown("people/never_entry.html", told | _words())


def _decisions(desk: Desk, entry: SuppressionEntryOut) -> dict[str, bool]:
    """Which decisions are open to the reader: whoever entered the numbers lets none count, and
    only the county does; who sees the entry may drop it.
    """
    suppresses, waits = desk.may(Right.SUPPRESS), entry.state == "waits"
    over = entry.expires_at is not None and entry.expires_at <= desk.now
    runs, is_own = desk.user.runs_the_county, entry.entered_by == desk.user.id
    return {
        "may_count": suppresses and waits and runs and not is_own and not over,
        "may_drop": suppresses and entry.state != "dropped",
        "is_own": is_own and runs,
        "is_over": over,
    }


def _words() -> dict[str, Any]:
    return {"reasons": words.STOPPED, "classes": CLASSES, "states": STATES}


async def count(desk: Desk) -> Gone:
    """Let the numbers of an entry stop texts, as the second person."""
    made = await desk.act(
        suppression_entries.count_suppression_entry,
        entry_id=desk.uuid("entry_id"),
        body=body_of(HoldDecisionBody, desk.form),
    )
    done = phrase("{count} numbers are stopped now.", count=desk.language.number(made.numbers))
    return Gone(f"{ENTRIES}/{made.id}", done)


async def drop(desk: Desk) -> Gone:
    """Drop an entry: what it alone stopped is sent to again."""
    made = await desk.act(
        suppression_entries.drop_suppression_entry,
        entry_id=desk.uuid("entry_id"),
        body=body_of(HoldDecisionBody, desk.form),
    )
    return Gone(f"{ENTRIES}/{made.id}", phrase("The entry is dropped, and stops nothing."))
