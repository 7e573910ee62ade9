"""Plans that write to whoever newly has a role, such as a new finance person.

Within send hours a plan looks every ten minutes, and makes a run if somebody is new. A look is a
transaction of its own and writes to nobody: who is new is decided once more, and kept, where the
ledger is written. So a look that is repeated, lost or made by two schedulers costs nobody a text
and gives nobody two.
"""

from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.campaigns.audience import newcomer_store
from service.campaigns.audience.preview import read_rule
from service.campaigns.calendar.fires import Fire, Why, next_look
from service.campaigns.calendar.hours import County
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core import fire_store, run_store, store
from service.campaigns.core.model import PENDING, Act, Campaign, Content, State
from service.campaigns.plans.sequence import finish_if_over, plan_steps
from service.clock import day_in_china
from service.storage.postgres import Connection

FEW = 50
"""So many newcomers at once never surprise anybody."""


async def fire_newcomers(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    county: County,
    share: float,
    now: datetime,
) -> UUID | None:
    """Make a run for those who are new to a plan that is due and locked; None: there is none.

    share: if more are new at once than the approver was told of people in all, by more than this
    share and more than a few, the plan waits for a new approval. A list that was read wrongly may
    be behind it.
    """
    schedule = content.plan.schedule
    following = next_look(schedule, content.terms, county, now)
    await store.set_next_fire(conn, campaign.id, following)
    count = await _count(conn, campaign, content, county, now)
    if count > max(FEW, (campaign.baseline or 0) * (1 + share)):
        why = f"{count} people are new at once; {campaign.baseline} in all when it was approved"
        await store.move(
            conn, campaign.id, Act.DRIFT, State.PENDING_APPROVAL, By(None, why, now, Why.DRIFTED)
        )
        await store.reopen_approval(conn, campaign.id, count, now + PENDING)
        return None
    if count == 0:
        if following is None:
            await finish_if_over(conn, campaign, By(None, "no look is to come", now))
        return None
    planned = campaign.next_fire_at or now
    valid_until = validity_end(schedule, content.terms, county, now)
    run_id = await run_store.insert_run(conn, campaign, content, planned, valid_until, now)
    if run_id is None:
        return None
    note = f"{count} new"
    await fire_store.insert_fired(conn, campaign.id, Fire(planned, planned, note), run_id, now)
    await plan_steps(conn, campaign, content, run_id, planned)
    by = By(None, f"fired; {note}", now)
    await store.move(conn, campaign.id, Act.FIRE, State.RUNNING, by)
    return run_id


async def _count(
    conn: Connection, campaign: Campaign, content: Content, county: County, now: datetime
) -> int:
    """How many are new; nobody out of hours, and while a ledger is written that takes them in."""
    if not county.is_open(now, content.terms):
        return 0
    if await newcomer_store.is_expanding(conn, campaign.id):
        return 0
    whose, roles = campaign.department_id, content.plan.schedule.roles
    if not await newcomer_store.are_newcomers(conn, whose, campaign.id, roles, now):
        return 0
    rule = await read_rule(conn, whose, content.rule)
    condition = compile_rule(  # by entries, as the ledger: nobody looks at a count of 0
        rule.rule,
        areas=RuleAreas(await read_area_tree(conn)),
        department_id=whose,
        today=day_in_china(now),
    )
    new = newcomer_store.newcomers(campaign.id, roles, now)
    return await newcomer_store.count_newcomers(conn, whose, condition, new)
