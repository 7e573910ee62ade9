"""Whether a rule means another number of people by now than when somebody agreed to it."""

from datetime import datetime
from typing import NamedTuple

from service.accounts.people.model import By
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.audience.recipients import count_target, keep_people
from service.campaigns.calendar.fires import Why
from service.campaigns.core import store
from service.campaigns.core.model import PENDING, Act, Campaign, Content, State
from service.storage.postgres import Connection


class Drift(NamedTuple):
    """How many people a rule means by now, and what there is to say of it."""

    people: int
    sentence: str


async def drift_of(
    conn: Connection, campaign: Campaign, content: Content, share: float, now: datetime
) -> Drift | None:
    """Whether the rule of a campaign now means another number of people than was approved, by more
    than `share` of it; None: it does not.
    """
    count = await count_target(conn, campaign, content, now)
    if campaign.baseline is None or abs(count - campaign.baseline) <= share * campaign.baseline:
        return None
    if campaign.plan.corrects is not None and count <= campaign.baseline:
        return None  # by receipts; whoever was told something wrong is to hear of it at once
    said = f"the rule now means {count} people, {campaign.baseline} when it was approved"
    return Drift(count, said)


async def reopen_if_drifted(
    conn: Connection, campaign: Campaign, content: Content, share: float, now: datetime
) -> bool:
    """Take back the approval of a campaign that is due and has drifted (`drift_of`); returns
    whether it did.
    """
    drift = await drift_of(conn, campaign, content, share, now)
    if drift is None:
        return False
    by = By(None, drift.sentence, now, Why.DRIFTED)
    await store.move(conn, campaign.id, Act.DRIFT, State.PENDING_APPROVAL, by)
    await store.reopen_approval(conn, campaign.id, drift.people, now + PENDING)
    return True


async def agree_to_drift(conn: Connection, campaign: Campaign, now: datetime) -> None:
    """Take the people whom the rule of a leg means by now for those who were agreed to: an approver
    of its own department has let the fire go that was held for it.
    """
    content = frozen_content(campaign)
    await store.set_baseline(conn, campaign.id, await count_target(conn, campaign, content, now))
    await keep_people(conn, campaign, content, now)
