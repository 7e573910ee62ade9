"""What a plan will lose to the caps: people who have had enough, and other plans of the same days.

A forecast for whoever plans or approves, at the instant at which the plan would fire. Another plan
costs people if they are meant by both, have room for one of the two texts and not for both. Whose
text comes first gets the place, so the cost is named and not divided.

Another department's plan has no name here, its number is in tens, and fewer than ten are not told:
nobody is to find out by a rule for one person whether somebody is on another department's list.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.model import User
from service.audience.area import AreaTree
from service.audience.rosters import day_in_china
from service.audience.segment_areas import RuleAreas
from service.audience.segment_sql import Compiled, compile_rule
from service.audience.store import read_area_tree
from service.campaigns.model import Campaign
from service.campaigns.preview import read_rule
from service.dispatch import clashes_store
from service.storage.postgres import Connection, Record

NEAR = timedelta(days=7)
"""How far apart two fires may lie that are shown to each other."""

MOST = 20
"""How many other plans are looked at, the nearest first."""

TENS = 10


@dataclass(frozen=True, slots=True)
class Clash:
    """Another plan, and how many of those whom both mean get one text of the two.

    campaign_id, name: None: it is another department's; then `people` is in tens.
    """

    campaign_id: UUID | None
    name: str | None
    department: str
    fires_at: datetime
    people: int


@dataclass(frozen=True, slots=True)
class Clashes:
    """capped: those whom the rule means and who have had enough when it fires."""

    fires_at: datetime
    capped: int
    others: list[Clash]


async def find_clashes(
    conn: Connection, actor: User, campaign: Campaign, rule: str, now: datetime
) -> Clashes:
    """What the caps will cost a campaign with this rule, if it fires at its time or now.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    tree = await read_area_tree(conn)
    planned = campaign.next_fire_at or campaign.plan.schedule.start_at or now
    at = max(planned, now)
    department = campaign.department_id
    ours = await _people(conn, tree, department, rule, clashes_store.FIRST_RULE_PARAMETER, now)
    plan = clashes_store.Plan(department, campaign.message_class, campaign.text, at, now)
    capped = await clashes_store.count_capped(conn, plan, ours)
    found = []
    for other in await clashes_store.plans_near(conn, campaign.id, plan, NEAR, MOST):
        first = clashes_store.FIRST_RULE_PARAMETER + len(ours.parameters)
        theirs = None
        if other["waits"]:
            theirs = await _people(
                conn, tree, other["department_id"], other["frozen_rule"], first, now
            )
        people = await clashes_store.count_clashing(conn, plan, ours, other, theirs)
        if people >= (1 if actor.sees(other["department_id"]) else TENS):
            found.append(_clash(actor, other, people))
    return Clashes(at, capped, found)


async def _people(
    conn: Connection, tree: AreaTree, department_id: UUID, rule: str, first: int, now: datetime
) -> Compiled:
    written = await read_rule(conn, department_id, rule)
    return compile_rule(
        written.rule,
        areas=RuleAreas(tree),
        department_id=department_id,
        today=day_in_china(now),
        first_parameter=first,
    )


def _clash(actor: User, other: Record, people: int) -> Clash:
    if actor.sees(other["department_id"]):
        return Clash(other["id"], other["name"], other["department"], other["fires_at"], people)
    in_tens = people - people % TENS
    return Clash(None, None, other["department"], other["fires_at"], in_tens)
