"""Visits on pages: who is to be visited, the list for the door and for paper, what came of each.

A result is sent by a form, or by the page's script, which keeps it while there is no network and
sends it later, under the same key. To the script the answer is a part that says what was written.
"""

import uuid
from typing import Any

from service.accounts.people.model import Right
from service.api.followups import visits
from service.api.followups.visits import ResultBody, VisitDocumentBody, VisitListBody, VisitQuery
from service.api.http.downloads import MadeFile
from service.api.http.problems import status_of
from service.console.asking import Desk
from service.console.followups import words
from service.console.forms import body_of
from service.console.names import names_of, watermark
from service.console.render import Gone, Shown
from service.console.session import HTMX
from service.console.words import reason_word
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.words.phrase import phrase


async def show_visits(desk: Desk) -> Shown:
    """The people of a follow-up, masked; and a form to take a village's list along."""
    followup_id = desk.uuid("followup_id")
    query = body_of(VisitQuery, desk.request.query, given=_given(desk))
    found = await desk.get(visits.list_visits, followup_id=followup_id, query=query)
    return Shown("followups/visits.html", {
        **_words(desk),
        "id": followup_id,
        "items": found.items,
        "next": found.next_cursor,
        "area": query.area or "",
        "state": query.state.value if query.state else "",
    })  # fmt: skip


def _given(desk: Desk) -> dict[str, object]:
    """Of a form that is shown again, the village is in the form."""
    area = desk.form.get("area", "")
    return {"limit": 100} | ({"area": area} if area else {})


async def take_list(desk: Desk) -> Shown:
    """The list of a village with names, to be ticked at the door or printed; noted with why."""
    followup_id = desk.uuid("followup_id")
    found = await desk.act(
        visits.take_visit_list,
        followup_id=followup_id,
        body=body_of(VisitListBody, desk.form),
    )
    return Shown("followups/visit_list.html", {
        **_words(desk),
        "id": followup_id,
        "found": found,
        "new_key": lambda: str(uuid.uuid4()),
        "results": {
            result: desk.language.say(word)
            for result, word in words.RESULTS.items()
            if result != "excused"
        },
    })  # fmt: skip


async def take_file(desk: Desk) -> MadeFile:
    """The list of a village as a file; noted with why."""
    return await desk.take(
        visits.take_visit_document,
        followup_id=desk.uuid("followup_id"),
        body=body_of(VisitDocumentBody, desk.form, given={"language": desk.language.code}),
    )


async def show_visit(desk: Desk) -> Shown:
    """All that was written down of visits to a person."""
    found = await desk.get(visits.get_visit, visit_id=desk.uuid("visit_id"))
    people = [one for row in found.tries for one in (row.by_id, row.written_by)]
    told = {"found": found, "names": await names_of(desk, people), "results": words.RESULTS}
    told["may_read"] = desk.may(Right.READ)
    return Shown("followups/visit.html", {**_words(desk), **told})


async def write_result(desk: Desk) -> Shown | Gone:
    """Write down what came of a visit."""
    visit_id = desk.uuid("visit_id")
    body = body_of(ResultBody, desk.form)
    if HTMX not in desk.request.headers:
        await desk.act(visits.write_visit_result, visit_id=visit_id, body=body)
        return Gone(f"/visits/{visit_id}", phrase("Written down."))
    told: dict[str, Any] = {**_words(desk), "visit_id": visit_id, "refused": "", "written": None}
    try:
        told["written"] = await desk.act(visits.write_visit_result, visit_id=visit_id, body=body)
    except (Conflict, Forbidden, Invalid, NotFound) as error:
        told["refused"] = desk.language.say(error.message)
        return Shown("followups/_written.html", told, status_of(error))
    return Shown("followups/_written.html", told)


def _words(desk: Desk) -> dict[str, Any]:
    say = desk.language.say
    return {
        "people_words": {state: say(word) for state, word in words.PEOPLE.items()},
        "reason": lambda code: reason_word(code, desk.language) if code else "",
        "watermark": watermark(desk),
    }
