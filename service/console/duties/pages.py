"""Duties on pages: mine, all, the late list; one of them, handed in and decided."""

from typing import Any, get_args
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.duties import documents, duties
from service.api.duties.documents import DutyDocumentQuery
from service.api.duties.duties import (
    AcceptBody,
    DutyDetail,
    DutyQuery,
    ExcuseBody,
    HandInBody,
    ReturnBody,
)
from service.api.duties.words import KINDS, SKIPPED, STATES, STEPS, TICKED_BY
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.duties.picture_pages import waiting_for
from service.console.forms import body_of, instant_of, made_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.ledger.message_class import MessageClass
from service.messages.places.place_store import PLACE_KINDS
from service.messages.wordings.wording import KIND_WORDS
from service.reports.weekly.weekly_words import RESULTS
from service.words.phrase import phrase, translated
from service.words.terms import term

TONES = {
    "open": "run",
    "submitted": "done",
    "accepted": "done",
    "returned": "warn",
    "excused": "idle",
    "missed": "bad",
}
"""The tone of the tag of each state."""


MOST_ROWS = 500
"""So many rows of the late list stand on a page; the file has all."""


async def show_mine(desk: Desk) -> Shown:
    """What the reader's department owes, the latest first."""
    cursor = desk.request.query.get("cursor")
    query = made_of(DutyQuery, {"mine": True, "limit": 50, "cursor": cursor})
    found = await desk.get(duties.list_duties, query=query)
    told = {"items": found.items, "next": found.next_cursor, "tab": "mine"}
    return Shown("duties/mine.html", {**told, **duty_words(desk)})


async def show_all(desk: Desk) -> Shown:
    """What all departments owe that the reader sees, by state and period."""
    query = body_of(DutyQuery, desk.request.query, given={"limit": 100})
    found = await desk.get(duties.list_duties, query=query)
    return Shown("duties/all.html", {
        "items": found.items,
        "next": found.next_cursor,
        "tab": "all",
        "state": query.state or "",
        "period": query.period or "",
        "more": urlencode([(n, v) for n, v in desk.request.query.items() if n != "cursor"]),
        **duty_words(desk),
    })  # fmt: skip


async def show_late(desk: Desk) -> Shown:
    """Who is late now; first whoever cannot be told."""
    found = await desk.get(duties.list_late)
    return Shown("duties/late.html", {
        "late": found,
        "late_rows": found.items[:MOST_ROWS],
        "tab": "late",
        **duty_words(desk),
    })  # fmt: skip


async def take_file(desk: Desk) -> MadeFile:
    """The late list, the obligations or the calendar as a file."""
    query = body_of(DutyDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(documents.get_duty_document, query=query)


async def show_duty(desk: Desk) -> Shown:
    """One: what was handed in, who was told, and what the reader may do."""
    duty_id = desk.uuid("duty_id")
    found = await desk.get(duties.get_duty, duty_id=duty_id)
    figures = None
    if found.kind == "weekly_report":
        figures = await desk.get(duties.get_duty_figures, duty_id=duty_id)
    return Shown("duties/duty.html", {
        "found": found,
        "now": figures,
        "waiting": await waiting_for(desk, found),
        "names": await names_of(desk, _people(found)),
        "tab": "",
        **duty_words(desk),
    })  # fmt: skip


def _people(found: DutyDetail) -> list[Any]:
    return [found.decided_by, *(report.submitted_by for report in found.reports)]


async def hand_in(desk: Desk) -> Gone:
    """Hand in a report."""
    duty_id = desk.uuid("duty_id")
    chosen = desk.form.getall("pictures", [])
    body = body_of(HandInBody, desk.form, but=["pictures"], given={"pictures": chosen})
    found = await desk.act(duties.submit_duty, duty_id=duty_id, body=body)
    done = phrase("Handed in, in time.")
    if found.late_minutes:
        done = phrase("Handed in, {minutes} minutes late.", minutes=found.late_minutes)
    return Gone(f"/duties/{duty_id}", done)


async def give_back(desk: Desk) -> Gone:
    """Give a report back, to be handed in again by a time."""
    duty_id = desk.uuid("duty_id")
    due_at = instant_of(desk.form, "due_at", desk.zone)
    given = {"due_at": due_at} if due_at is not None else {}
    body = body_of(ReturnBody, desk.form, but=["due_at.day", "due_at.time"], given=given)
    await desk.act(duties.return_duty, duty_id=duty_id, body=body)
    return Gone(f"/duties/{duty_id}", phrase("Returned."))


async def accept(desk: Desk) -> Gone:
    """Take a report as it is."""
    duty_id = desk.uuid("duty_id")
    await desk.act(duties.accept_duty, duty_id=duty_id, body=body_of(AcceptBody, desk.form))
    return Gone(f"/duties/{duty_id}", phrase("Accepted."))


async def excuse(desk: Desk) -> Gone:
    """Ask for it no more."""
    duty_id = desk.uuid("duty_id")
    await desk.act(duties.excuse_duty, duty_id=duty_id, body=body_of(ExcuseBody, desk.form))
    return Gone(f"/duties/{duty_id}", phrase("Excused."))


def duty_words(desk: Desk) -> dict[str, Any]:
    """What states, kinds and steps are called."""
    say = desk.language.say
    return {
        "tones": TONES,
        "states": {code: say(word) for code, word in STATES.items()},
        "kinds": {code: say(word) for code, word in KINDS.items()},
        "ticked_by": {code: say(word) for code, word in TICKED_BY.items()},
        "steps": {code: say(word) for code, word in STEPS.items()},
        "skipped": {code: say(word) for code, word in SKIPPED.items()},
        "may_set": desk.may(Right.OBLIGATIONS),
        "place_kinds": {kind: say(KIND_WORDS[kind]) for kind in PLACE_KINDS},
        "whose": {"own": say(phrase("our people")), "area": say(phrase("all in our area"))},
        "classes": {
            code: translated(term(code), desk.language.code) for code in get_args(MessageClass)
        },
        "results": {code: say(word) for code, word in RESULTS.items()},
    }
