"""Households of a round on pages: written down at the door, from a file, and looked at.

A result is sent by a form, or by the page's script, as those of visits are (`visit_pages`).
"""

import uuid
from typing import Any

from service.api.followups import households, rounds
from service.api.followups.households import HouseholdBody, HouseholdImportForm, HouseholdQuery
from service.api.followups.rounds import ProgressQuery
from service.api.http.problems import status_of
from service.console.asking import Desk
from service.console.followups import words
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.session import HTMX
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.words.phrase import phrase

MOST_CARDS = 50
"""Households that are to be visited again and stand on the page for the door."""


async def show_households(desk: Desk) -> Shown:
    """The page for the door: a household is registered, or visited again; and all of a village."""
    round_id = desk.uuid("round_id")
    area = desk.request.query.get("area", "") or desk.form.get("area", "")
    found = await desk.get(rounds.get_round, round_id=round_id)
    progress = await desk.get(rounds.get_round_progress, round_id=round_id, query=ProgressQuery())
    village = next((row for row in progress.areas if row.area == area), None)
    told: dict[str, Any] = {"found": found, "progress": progress, "village": village}
    if village is not None:
        asked = {"area": area, "state": "open", "limit": MOST_CARDS}
        again = await desk.get(
            households.list_households,
            round_id=round_id,
            query=HouseholdQuery.model_validate(asked),
        )
        query = body_of(
            HouseholdQuery,
            desk.request.query,
            but=("area",),
            given={"limit": 100, "area": area, "state": None},
        )
        page = await desk.get(households.list_households, round_id=round_id, query=query)
        told |= {"again": again.items, "items": page.items, "next": page.next_cursor}
    return Shown("followups/households.html", {
        **told,
        "is_open": found.state == "open" and village is not None and not village.signed,
        "new_key": lambda: str(uuid.uuid4()),
        "results": {
            result: desk.language.say(word)
            for result, word in words.RESULTS.items()
            if result not in {"excused", "no_such_person"}
        },
        "households": _households(desk),
    })  # fmt: skip


def _households(desk: Desk) -> dict[str, str]:
    return {state: desk.language.say(word) for state, word in words.HOUSEHOLDS.items()}


async def write(desk: Desk) -> Shown | Gone:
    """Write down what came of going to a household."""
    round_id = desk.uuid("round_id")
    but = () if desk.form.get("result") == "told" else ("spoken_to", "text")
    label, area = desk.form.get("household", ""), desk.form.get("area", "")
    if HTMX not in desk.request.headers:
        body = body_of(HouseholdBody, desk.form, but=but)
        await desk.act(households.write_household, round_id=round_id, body=body)
        return Gone(f"/rounds/{round_id}/households?area={area}", phrase("Written down."))
    told: dict[str, Any] = {"label": label, "refused": "", "written": None}
    told["households"] = _households(desk)
    try:
        body = body_of(HouseholdBody, desk.form, but=but)
        told["written"] = await desk.act(households.write_household, round_id=round_id, body=body)
    except (Conflict, Forbidden, Invalid, NotFound) as error:
        fields = getattr(error, "fields", {})
        told["refused"] = "; ".join(map(desk.language.say, fields.values() or [error.message]))
        return Shown("followups/_household_written.html", told, status_of(error))
    return Shown("followups/_household_written.html", told)


async def show_import(desk: Desk) -> Shown:
    """The form for a file of households; once rows of it were rejected, which and why."""
    found = await desk.get(rounds.get_round, round_id=desk.uuid("round_id"))
    report: Any = desk.refusal.details().get("report") if desk.refusal else None
    return Shown("followups/round_import.html", {"found": found, "report": report})


async def send_file(desk: Desk) -> Gone:
    """Write down the households of a file."""
    round_id = desk.uuid("round_id")
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    body = body_of(HouseholdImportForm, desk.form, but=("file",))
    listed = await households.read_file(body, desk.upload)
    made = await desk.act(
        households.import_households,
        round_id=round_id,
        body=body,
        file=desk.upload,
        listed=listed,
    )
    done = phrase(
        "Written down: {accepted}; left out: {rejected}; there before, or no household: {skipped}.",
        accepted=made.rows.accepted,
        rejected=made.rows.rejected,
        skipped=made.rows.skipped,
    )
    return Gone(f"/rounds/{round_id}", done)


async def show_household(desk: Desk) -> Shown:
    """All that was written down of visits to a household."""
    found = await desk.get(households.get_household, household_id=desk.uuid("household_id"))
    people = [one for row in found.tries for one in (row.by_id, row.written_by)]
    return Shown("followups/household.html", {
        "found": found,
        "names": await names_of(desk, people),
        "results": words.RESULTS,
        "households": _households(desk),
    })  # fmt: skip
