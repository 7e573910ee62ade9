"""Why only a person may let something fire, and what becomes of it until then."""

from datetime import datetime

from service.campaigns import store
from service.campaigns.follower_store import still_sends
from service.campaigns.model import Act, By, Campaign, Content, State
from service.campaigns.stop_store import stop_in_force
from service.storage.postgres import Connection


async def obstacle(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> str | None:
    """Why only a person may let a campaign that is due send; None: nothing is in the way."""
    if (stop := await stop_in_force(conn)) is not None:
        return f"everything is stopped: {stop.reason}"
    if campaign.plan.period_end is not None and now >= campaign.plan.period_end:
        return "the campaign's period is over"
    corrects = campaign.plan.corrects
    if corrects is not None and await still_sends(conn, corrects):
        return "what it corrects still sends: cancel that campaign, or wait until it is sent"
    return None if content.hash == campaign.approved_hash else "not what was approved"


async def hold(conn: Connection, campaign: Campaign, by: By) -> None:
    """Hold a campaign until somebody releases it."""
    await store.set_next_fire(conn, campaign.id, None)
    await store.move(conn, campaign.id, Act.HOLD, State.HELD, by)
