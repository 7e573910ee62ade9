"""Whether the audit trail is whole: begun here, watched while it lasts, and what it found."""

from service.accounts.long_acts.long_act import LongActState
from service.accounts.people.model import Right
from service.api.accounts import trail_checks
from service.api.accounts.trail_checks import TrailCheckBody, TrailCheckOut
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.words.phrase import Phrase, phrase

CHECK = "/reports/audit/check"
STATES: dict[LongActState, tuple[str, Phrase]] = {
    LongActState.WAITING: ("waiting", phrase("waits")),
    LongActState.RUNNING: ("running", phrase("being verified")),
    LongActState.DONE: ("done", phrase("verified")),
    LongActState.FAILED: ("failed", phrase("could not be verified")),
    LongActState.BROKEN_OFF: ("failed", phrase("broke off")),
}
"""By the state of a check: the shape of its tag, and its word."""


async def show_check(desk: Desk) -> Shown:
    """The last check, how far it is or what it found, those before it, and the form for another."""
    found = (await desk.get(trail_checks.list_checks)).items
    told = await _told(desk, found[0] if found else None)
    told["earlier"] = found[1:]
    told["names"] = await names_of(desk, [one.asked_by for one in found])
    return Shown("reports/trail_check.html", told)


async def show_progress(desk: Desk) -> Shown | None:
    """The part of the page that changes while a check is under way."""
    check = await desk.get(trail_checks.get_check, check_id=desk.uuid("check_id"))
    if _lasts(check) and desk.request.query.get("done") == str(check.done):
        return None
    return Shown("reports/_trail_check.html", await _told(desk, check))


async def begin(desk: Desk) -> Gone:
    """Have the whole trail verified."""
    body = body_of(TrailCheckBody, desk.form)
    await desk.act(trail_checks.check_trail, body=body)
    return Gone(CHECK)


def _lasts(check: TrailCheckOut) -> bool:
    return check.state in {LongActState.WAITING, LongActState.RUNNING}


async def _told(desk: Desk, check: TrailCheckOut | None) -> dict[str, object]:
    return {
        "check": check,
        "lasts": check is not None and _lasts(check),
        "states": STATES,
        "is_bad": check is not None
        and check.found is not None
        and bool(check.found.broken or check.found.foreigners),
        "names": await names_of(desk, [check.asked_by] if check else []),
        "audits": desk.may(Right.AUDIT),
        "reads": desk.may(Right.READ),
    }
