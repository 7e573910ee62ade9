"""What a plan will lose to the caps: people who have had enough, and other plans of the same days.

A forecast for whoever plans or approves, at the instant at which the plan would fire. Another plan
costs people if they are meant by both, have room for one of the two texts and not for both. Whose
text comes first gets the place, so the cost is named and not divided. One statement counts the
people in groups of those who fare alike, as for `fire_forecast`.

Another department's plan has no name here, its number is in tens, and fewer than ten are not told:
nobody is to find out by a rule for one person whether somebody is on another department's list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import User
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.campaigns.audience.audience_source import AudienceSource, by_rule
from service.campaigns.audience.exclusion_store import ExclusionTerms
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.campaigns.audience.reach import exclusion_terms
from service.campaigns.core.model import Campaign
from service.campaigns.core.store import get_campaign
from service.clock import day_in_china
from service.dispatch.forecast import cap_conflicts_store
from service.dispatch.forecast.cap_losses import TENS, Group, group_of
from service.dispatch.forecast.cap_places import SPANS, Had, full_until
from service.dispatch.forecast.fire_forecast_store import Membership, group_people
from service.dispatch.limits.caps import CapLimits, limits_of
from service.messages.template import fill
from service.messages.value_sources import listed_of
from service.storage.postgres import Connection, Record

NEAR = timedelta(days=7)
"""How far apart two fires may lie that are shown to each other."""

MOST = 20
"""How many other plans are looked at, the nearest first."""

MOST_RUNS = 3
"""Of a plan that is sending, so many of its runs are looked at, the newest."""


@dataclass(frozen=True, slots=True)
class CapConflict:
    """Another plan, and how many of those whom both mean get one text of the two.

    campaign_id, name: None: it is another department's; then `people` is in tens.
    """

    campaign_id: UUID | None
    name: str | None
    department: str
    fires_at: datetime
    people: int


@dataclass(frozen=True, slots=True)
class CapConflicts:
    """capped: those whom the rule means and who have had enough when it fires."""

    fires_at: datetime
    capped: int
    others: list[CapConflict]


async def find_cap_conflicts(
    conn: Connection, actor: User, campaign: Campaign, rule: str, now: datetime
) -> CapConflicts:
    """What the caps will cost a campaign with this rule, if it fires at its time or now.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    planned = campaign.next_fire_at or campaign.plan.schedule.start_at or now
    at = max(planned, now)
    others = await cap_conflicts_store.plans_near(
        conn, campaign.id, cap_conflicts_store.CapPlan(campaign.message_class, at, now), NEAR, MOST
    )
    said = [fill(other["text"], other["text_values"].items()) for other in others]
    texts = list(dict.fromkeys([campaign.text, *said]))
    groups, bits = await _groups(conn, campaign, rule, (at, now), others, texts)
    limits = await limits_of(conn, campaign.message_class)
    capped = sum(g.people for g in groups if _is_full(g.had, 1, limits, at))
    found = []
    for other, own_text, own_bits in zip(others, said, bits, strict=True):
        first, last = sorted((at, max(other["fires_at"], now)))
        theirs = Had(first, texts.index(own_text) + 1, None)
        people = sum(
            group.people
            for group in groups
            if any(bit in own_bits for bit in group.others)
            and _is_full([theirs, *group.had], 1, limits, last)
            and not _is_full(group.had, 1, limits, last)
            and not _is_full(group.had, 1, limits, at)
        )
        if people >= (1 if actor.sees(other["department_id"]) else TENS):
            found.append(_cap_conflict(actor, other, people))
    return CapConflicts(at, capped, found)


def _is_full(had: Sequence[Had], text: int, limits: CapLimits, at: datetime) -> bool:
    until, _, _ = full_until(had, text, limits)
    return until is not None and until > at


async def _groups(
    conn: Connection,
    campaign: Campaign,
    rule: str,
    when: tuple[datetime, datetime],
    others: Sequence[Record],
    texts: Sequence[str],
) -> tuple[list[Group], list[list[int]]]:
    """The people of the plan who are to get its text, in groups, and which bits of those stand for
    each other plan. when: its fire, and now.
    """
    at, now = when
    tree, members = await read_area_tree(conn), Membership()
    terms = await exclusion_terms(conn, campaign, campaign.text, now)
    members.add_own(terms, await _audience_source(conn, tree, terms, rule, now))
    bits: list[list[int]] = []
    known: dict[object, list[int]] = {}  # plans that mean the same people
    for other in others:
        first = len(members.others)
        plan = await get_campaign(conn, other["id"], None) if other["waits"] else None
        if plan is not None:
            whose, frozen = other["department_id"], other["frozen_rule"]
            key = whose, frozen, plan.plan.channels, plan.key_mode
            if key in known:
                bits.append(known[key])
                continue
            terms = await exclusion_terms(conn, plan, plan.text, now)
            members.add_plan(terms, await _audience_source(conn, tree, terms, frozen, now))
            known[key] = [first]
        elif not other["waits"]:
            for run_id in (await cap_conflicts_store.open_runs(conn, other["id"]))[:MOST_RUNS]:
                members.add_ledger(run_id, queued=True)
        bits.append(list(range(first, len(members.others))))
    instants = {at, *(max(other["fires_at"], now) for other in others)}
    bounds = sorted({instant - span for instant in instants for span in SPANS})
    rows = await group_people(
        conn, members, campaign.message_class, texts, [at], bounds, now - SPANS[-1]
    )
    groups = [group_of(row) for row in rows]
    return [group for group in groups if group.reason(0, 0) is None], bits


async def _audience_source(
    conn: Connection,
    tree: AreaTree,
    terms: ExclusionTerms,
    rule: str,
    now: datetime,
) -> AudienceSource:
    written = await read_rule(conn, terms.department_id, rule)
    condition = await compile_to_count(
        conn, terms.department_id, written, tree, day_in_china(now), listed_of(terms.needs)
    )
    return by_rule(condition)


def _cap_conflict(actor: User, other: Record, people: int) -> CapConflict:
    if actor.sees(other["department_id"]):
        return CapConflict(
            other["id"], other["name"], other["department"], other["fires_at"], people
        )
    in_tens = people - people % TENS
    return CapConflict(None, None, other["department"], other["fires_at"], in_tens)
