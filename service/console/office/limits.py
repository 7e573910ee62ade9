"""How many people a department may send to without a campaign: proposed, confirmed by another."""

from uuid import UUID

from service.api.accounts import direct_limits
from service.api.accounts.direct_limits import LimitBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.names import names_of
from service.console.office import words
from service.console.office.departments import runs_the_county, shown_head
from service.console.render import Gone, Shown
from service.console.second_person import second_person
from service.words.phrase import phrase

MOST_SHOWN = 20


async def show_limits(desk: Desk) -> Shown:
    """The limit in force, what was proposed before, and what waits."""
    department_id = desk.uuid("department_id")
    cursor = desk.request.query.get("cursor")
    query = made_of(PageQuery, {"limit": MOST_SHOWN, "cursor": cursor})
    page = await desk.get(direct_limits.list_limits, department_id=department_id, query=query)
    allowed = runs_the_county(desk)
    seconds = {
        one.id: await second_person(desk, one.proposed_by, allowed=allowed)
        for one in page.items
        if one.state == "pending"
    }
    hands = (person for one in page.items for person in (one.proposed_by, one.confirmed_by))
    return Shown("office/limits.html", await shown_head(desk, department_id) | {
        "limits": page.items,
        "next": page.next_cursor,
        "seconds": seconds,
        "states": words.PROPOSAL_STATES,
        "names": await names_of(desk, hands),
        "most": direct_limits.MOST_PEOPLE,
    })  # fmt: skip


async def propose_limit(desk: Desk) -> Gone:
    """Propose another limit; it takes the place of one that waits."""
    department_id = desk.uuid("department_id")
    body = body_of(LimitBody, desk.form)
    await desk.act(direct_limits.propose_limit, department_id=department_id, body=body)
    done = phrase("The limit counts once another administrator of the county confirms it.")
    return Gone(_limits(department_id), done)


async def confirm_limit(desk: Desk) -> Gone:
    """Put a proposed limit in force, as the second person."""
    department_id = desk.uuid("department_id")
    await desk.act(
        direct_limits.confirm_limit,
        department_id=department_id,
        proposal_id=desk.uuid("proposal_id"),
    )
    return Gone(_limits(department_id), phrase("The limit counts now."))


def _limits(department_id: UUID) -> str:
    return f"/office/departments/{department_id}/limits"
