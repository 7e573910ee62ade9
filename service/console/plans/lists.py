"""The list of campaigns: by state, with the next fire, how many people, and who."""

from service.accounts.people.model import Right
from service.api.campaigns import campaigns, legs
from service.api.campaigns.campaigns import CampaignQuery
from service.api.campaigns.legs import LegQuery
from service.console.asking import Desk
from service.console.forms import made_of
from service.console.names import names_of
from service.console.plans import words
from service.console.render import Shown

FILTERS = ("", "draft", "returned", "pending_approval", "scheduled", "running", "paused", "held",
           "done", "cancelled", "rejected")  # fmt: skip
SHOWN = 50


async def show_plans(desk: Desk) -> Shown:
    """The campaigns that the reader sees, newest first."""
    state = desk.request.query.get("state", "")
    asked = {"state": state} if state in FILTERS and state else {}
    cursor = desk.request.query.get("cursor")
    query = made_of(CampaignQuery, {**asked, "limit": SHOWN, "cursor": cursor})
    page = await desk.get(campaigns.list_campaigns, query=query)
    asked_legs = (await desk.get(legs.list_legs, query=LegQuery(limit=20))).items
    return Shown(
        "plans/list.html",
        {
            "plans": page.items,
            "next_cursor": page.next_cursor,
            "cursor": cursor,
            "state": state,
            "filters": FILTERS,
            "words": words,
            "names": await names_of(desk, (plan.edited_by for plan in page.items)),
            "legs": [leg for leg in asked_legs if leg.state == "asked"],
            "may_plan": desk.may(Right.PLAN),
        },
    )
