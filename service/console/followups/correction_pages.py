"""New numbers that people gave at the door, on pages: all of them, and one to confirm or drop."""

from service.accounts.people.model import Right
from service.api.followups import number_corrections
from service.api.followups.number_corrections import CorrectionQuery, DropCorrectionBody
from service.console.asking import Desk
from service.console.followups import words
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.words.phrase import listing, phrase


async def show_corrections(desk: Desk) -> Shown:
    """All of the department, the latest first, or those in a state."""
    query = body_of(CorrectionQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(number_corrections.list_number_corrections, query=query)
    return Shown("followups/corrections.html", {
        "items": found.items,
        "next": found.next_cursor,
        "state": query.state.value if query.state else "",
        "names": await names_of(desk, [one.by_id for one in found.items]),
        "states": words.CORRECTIONS,
    })  # fmt: skip


async def show_correction(desk: Desk) -> Shown:
    """One: what was said at the door, what is known of both numbers, and what to decide."""
    correction_id = desk.uuid("correction_id")
    found = await desk.get(number_corrections.get_number_correction, correction_id=correction_id)
    return Shown("followups/correction.html", {
        "found": found,
        "names": await names_of(desk, [found.by_id, found.written_by, found.decided_by]),
        "states": words.CORRECTIONS,
        "results": words.RESULTS,
        "may_decide": desk.may(Right.IMPORT) and found.department_id == desk.user.department_id,
        "may_visit": desk.may(Right.VISIT),
        "may_confirm": desk.user.id in {one.id for one in found.confirmers},
        "confirmers": " · ".join(one.name for one in found.confirmers),
    })  # fmt: skip


async def confirm(desk: Desk) -> Gone:
    """Put the new number on a list in place of the old one."""
    correction_id = desk.uuid("correction_id")
    made = await desk.act(number_corrections.confirm_number_correction, correction_id=correction_id)
    return Gone(
        f"/number-corrections/{correction_id}",
        phrase(
            "Confirmed. The new number is on {rosters}; the old one is on no list any more.",
            rosters=listing(made.rosters),
        ),
    )


async def drop(desk: Desk) -> Gone:
    """Leave the lists as they are."""
    correction_id = desk.uuid("correction_id")
    body = body_of(DropCorrectionBody, desk.form)
    await desk.act(
        number_corrections.drop_number_correction, correction_id=correction_id, body=body
    )
    return Gone("/number-corrections", phrase("Dropped. The lists stay as they are."))
