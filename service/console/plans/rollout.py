"""Staggered rollouts on pages: what one could find, its draw, all that were, what each found."""

from typing import Any

from service.accounts.people.model import Right
from service.api.campaigns import campaigns, rollouts
from service.api.campaigns.rollouts import RolloutBody, RolloutQuery
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.plans import words
from service.console.render import Gone, Shown
from service.words.phrase import phrase

RECORD = "/reports/rollouts"


async def show_draw(desk: Desk) -> Shown:
    """What a rollout of a draft could find, and the form with which its order is drawn."""
    campaign_id = desk.uuid("campaign_id")
    query = body_of(RolloutQuery, desk.request.query)
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    found = await desk.get(rollouts.preview_rollout, campaign_id=campaign_id, query=query)
    return Shown("plans/rollout.html", {
        "plan": plan,
        "terms": query,
        "found": found,
    })  # fmt: skip


async def draw(desk: Desk) -> Gone:
    """Draw the order."""
    made = await desk.act(
        rollouts.draw_rollout,
        campaign_id=desk.uuid("campaign_id"),
        body=body_of(RolloutBody, desk.form),
    )
    return Gone(f"{RECORD}/{made.id}", phrase("The order is drawn."))


async def show_record(desk: Desk) -> Shown:
    """All rollouts that were ever drawn."""
    query = body_of(PageQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(rollouts.list_rollouts, query=query)
    return Shown("reports/rollouts.html", {
        "items": found.items,
        "next": found.next_cursor,
        "words": words,
    })  # fmt: skip


async def show_rollout(desk: Desk) -> Shown:
    """One of them: its order, and what it found."""
    rollout_id = desk.uuid("rollout_id")
    found = await desk.get(rollouts.get_rollout, rollout_id=rollout_id)
    told: dict[str, Any] = {
        "rollout": found,
        "analysis": await desk.get(rollouts.get_rollout_analysis, rollout_id=rollout_id),
        "words": words,
        "may_read": desk.may(Right.READ),
    }
    return Shown("reports/rollout.html", told)
