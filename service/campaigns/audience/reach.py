"""Whom a campaign would reach if it fired now, and who would be left out: the ledger, foreseen.

The same statement judges as when the ledger is written, so a preview says what will be.
"""

from datetime import datetime

from service.accounts.keys.key import Mode
from service.audience.areas.area_store import read_area_tree
from service.audience.rosters.rosters import day_in_china
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.audience.segments.segment_store import AudienceCounts
from service.campaigns.audience import reach_store
from service.campaigns.audience.audience_source import Whom, by_rule, of_ledger
from service.campaigns.audience.available_channels import barred, sender_of, ways_of
from service.campaigns.audience.exclusion_store import Judging
from service.campaigns.audience.follow_up_store import to_be_corrected
from service.campaigns.audience.preview import read_rule
from service.campaigns.core.model import Campaign
from service.channels.routing.route_store import list_lanes
from service.messages.template import CONTACT_VARIABLES, variables
from service.storage.postgres import Connection


async def count_ledger(
    conn: Connection, campaign: Campaign, rule: str, now: datetime
) -> AudienceCounts:
    """How many people a campaign with this rule would have in its ledger, and how many it would
    leave out for which reason, but for the caps.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    judging = await judging_of(conn, campaign, campaign.text, now)
    return await reach_store.count_ledger(conn, judging, await _whom(conn, campaign, rule, now))


async def judging_of(conn: Connection, campaign: Campaign, text: str, at: datetime) -> Judging:
    """What decides at an instant who of those that a campaign means does not get a text of it."""
    whose = campaign.department_id
    sender = await sender_of(conn, whose)
    plan = campaign.plan
    ways = ways_of(sender, await list_lanes(conn, at), plan.channels, drill=plan.drill)
    return Judging(
        department_id=whose,
        message_class=campaign.message_class,
        routes=ways.routes,
        needs={CONTACT_VARIABLES[name] for name in variables(text) if name in CONTACT_VARIABLES},
        at=at,
        trial=campaign.key_mode == Mode.TRIAL,
        barred=await barred(conn, whose, sender.permits, campaign.message_class, text),
    )


async def _whom(conn: Connection, campaign: Campaign, rule: str, now: datetime) -> Whom:
    corrects = campaign.plan.corrects
    first = reach_store.FIRST_RULE_PARAMETER
    written = await read_rule(conn, campaign.department_id, rule) if corrects is None else None
    condition = compile_rule(
        written.rule if written is not None else None,
        areas=RuleAreas(await read_area_tree(conn)),
        department_id=campaign.department_id,
        today=day_in_china(now),
        first_parameter=first,
    )
    if corrects is None:
        return by_rule(condition)
    members = to_be_corrected(corrects, None, first + len(condition.parameters))
    return of_ledger(members, condition, must_be_listed=False)
