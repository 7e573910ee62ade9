"""Opt-outs in bulk that wait for a person: they count, or are dropped."""

from typing import Any

from service.accounts.people.model import Right
from service.api.audience import opt_out_holds
from service.api.audience.opt_out_holds import HoldDecisionBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.errors import NotFound
from service.words.phrase import phrase

HOLDS = "/duty/holds"


async def show_holds(desk: Desk) -> Shown:
    """The opt-outs that were held, and what was decided on earlier ones."""
    return Shown("duty/holds.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    found = (await desk.get(opt_out_holds.list_holds, query=PageQuery())).items
    return {
        "open": [hold for hold in found if hold.decision is None],
        "decided": [hold for hold in found if hold.decision is not None],
        "names": await names_of(desk, [hold.decided_by for hold in found]),
        "may_decide": desk.may(Right.SUPPRESS),
    }


async def show_hold(desk: Desk) -> Shown:
    """Ask before held opt-outs count or are dropped, with how many people it is about."""
    told = await _told(desk)
    hold_id = desk.uuid("hold_id")
    found = [hold for hold in told["open"] if hold.id == hold_id]
    if not found:
        raise NotFound(phrase("nothing waits here any more"))
    return Shown("duty/hold.html", {"hold": found[0]})


async def count(desk: Desk) -> Gone:
    """Let held opt-outs count."""
    body = body_of(HoldDecisionBody, desk.form)
    await desk.act(opt_out_holds.count_hold, hold_id=desk.uuid("hold_id"), body=body)
    return Gone(HOLDS, phrase("They count: these people get no publicity any more."))


async def drop(desk: Desk) -> Gone:
    """Drop held opt-outs."""
    body = body_of(HoldDecisionBody, desk.form)
    await desk.act(opt_out_holds.drop_hold, hold_id=desk.uuid("hold_id"), body=body)
    return Gone(HOLDS, phrase("They are dropped, and stop nothing."))
