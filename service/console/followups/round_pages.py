"""Household rounds on pages: all of them, one with its progress by village, begun and signed."""

import re
from typing import Any
from uuid import UUID

from service.accounts.people.model import Right
from service.api.content import templates
from service.api.content.templates import TemplatesQuery
from service.api.followups import rounds
from service.api.followups.followups import EndBody
from service.api.followups.rounds import (
    FormQuery,
    ProgressDocumentQuery,
    ProgressQuery,
    RoundBody,
    RoundDetail,
    RoundQuery,
    RoundSignOffBody,
)
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.followups import words
from service.console.forms import body_of
from service.console.names import names_of
from service.console.plans.areas import read_area_names
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

MOST_TEXTS_SHOWN = 100
_TEXT = re.compile(r"([0-9a-f-]{36})\.([0-9]{1,6})")


async def show_rounds(desk: Desk) -> Shown:
    """All of the department, and those that ask it to visit, the latest first."""
    query = body_of(RoundQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(rounds.list_rounds, query=query)
    return Shown("followups/rounds.html", {
        "items": found.items,
        "next": found.next_cursor,
        "states": words.ROUND_STATES,
        "may_start": desk.may(Right.CONTROL),
    })  # fmt: skip


async def show_new(desk: Desk) -> Shown:
    """The form with which a round begins."""
    texts: list[tuple[str, str, str]] = []
    if desk.may(Right.READ):
        found = await desk.get(
            templates.list_templates, query=TemplatesQuery(limit=MOST_TEXTS_SHOWN)
        )
        texts = [
            (f"{one.id}.{one.version}", one.name, one.text)
            for one in found.items
            if one.approved_at is not None and "{" not in one.text
        ]
    return Shown("followups/round_new.html", {"texts": texts, "today": desk.now.date()})


async def start(desk: Desk) -> Gone:
    """Begin a round."""
    async with desk.reading():
        names = await read_area_names(desk)
    typed = desk.form.get("area", "").strip()
    codes = names.codes(typed, "area") if typed else []
    if len(codes) != 1:
        raise Invalid.at("area", phrase("name one village, town or county"))
    chosen = [_TEXT.fullmatch(value) for value in desk.form.getall("texts", [])]
    texts = [{"template_id": one[1], "version": int(one[2])} for one in chosen if one]
    body = body_of(
        RoundBody, desk.form, but=("area", "texts"), given={"area": codes[0], "texts": texts}
    )
    made = await desk.act(rounds.start_round, body=body)
    return Gone(f"/rounds/{made.id}", phrase("The round has begun."))


async def show_round(desk: Desk) -> Shown:
    """One: how far it is, by village."""
    return Shown("followups/round.html", await _told(desk, desk.uuid("round_id")))


async def _told(desk: Desk, round_id: UUID) -> dict[str, Any]:
    found: RoundDetail = await desk.get(rounds.get_round, round_id=round_id)
    progress = await desk.get(rounds.get_round_progress, round_id=round_id, query=ProgressQuery())
    people = [found.started_by, *(row.signed_by for row in progress.areas)]
    say = desk.language.say
    return {
        "found": found,
        "progress": progress,
        "names": await names_of(desk, people),
        "states": words.ROUND_STATES,
        "households": {state: say(word) for state, word in words.HOUSEHOLDS.items()},
        "flag_words": words.ROUND_FLAGS,
        "is_open": found.state == "open",
        "may_end": desk.may(Right.CONTROL) and found.whole,
        "may_sign": desk.may(Right.CONTROL),
        "may_visit": desk.may(Right.VISIT),
    }


async def take_progress(desk: Desk) -> MadeFile:
    """How far a round is, as a file."""
    query = body_of(ProgressDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(rounds.get_round_document, round_id=desk.uuid("round_id"), query=query)


async def take_form(desk: Desk) -> MadeFile:
    """The blank form of a village, to print."""
    query = body_of(FormQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(rounds.get_round_form, round_id=desk.uuid("round_id"), query=query)


async def show_sign(desk: Desk) -> Shown:
    """Ask before somebody signs for a village."""
    told = await _told(desk, desk.uuid("round_id"))
    area = desk.request.query.get("area", "") or desk.form.get("area", "")
    told["village"] = next((row for row in told["progress"].areas if row.area == area), None)
    return Shown("followups/round_sign.html", told)


async def sign(desk: Desk) -> Gone:
    """Answer for a village in which no household is to be visited any more."""
    round_id = desk.uuid("round_id")
    body = body_of(RoundSignOffBody, desk.form)
    signed = await desk.act(rounds.sign_off_round, round_id=round_id, body=body)
    closed = phrase("Signed. That was the last village: the round is closed.")
    return Gone(f"/rounds/{round_id}", closed if signed.closed else phrase("Signed."))


async def show_end(desk: Desk) -> Shown:
    """Ask before a round ends before its end."""
    return Shown("followups/round_end.html", await _told(desk, desk.uuid("round_id")))


async def end(desk: Desk) -> Gone:
    """End a round before its end."""
    round_id = desk.uuid("round_id")
    await desk.act(rounds.cancel_round, round_id=round_id, body=body_of(EndBody, desk.form))
    return Gone(f"/rounds/{round_id}", phrase("The round is ended."))
