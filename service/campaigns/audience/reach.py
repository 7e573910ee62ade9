"""Whom a campaign would reach if it fired, and who would be left out: the ledger, foreseen.

The same statement decides as when the ledger is written (`exclusion_store`), so a preview says what
will be.
"""

from dataclasses import replace
from datetime import datetime

from service.accounts.keys.key import Mode
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.audience.segments.segment_store import AudienceCounts
from service.campaigns.audience import exclusion_store
from service.campaigns.audience.audience_source import AudienceSource, by_rule, of_ledger
from service.campaigns.audience.available_channels import (
    SendingDepartment,
    available_routes,
    barred,
    sender_of,
)
from service.campaigns.audience.exclusion_store import CapTerms, ExclusionTerms
from service.campaigns.audience.follow_up_store import to_be_corrected
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core.model import Campaign, Content
from service.campaigns.core.store import department_of
from service.campaigns.core.turns import next_text_no
from service.channels.routing.route import Route
from service.channels.routing.route_store import list_routable_channels
from service.clock import day_in_china
from service.messages.template import variables
from service.messages.value_sources import Fact, facts_of, listed_of
from service.storage.postgres import Connection


async def count_ledger(
    conn: Connection, campaign: Campaign, rule: str, now: datetime
) -> AudienceCounts:
    """How many people a campaign with this rule will have in the ledger of its next fire, and how
    many it will leave out for which reason, if nothing else is sent meanwhile. A campaign of which
    no fire is planned fires now; of a plan for newcomers, all whom its rule means are counted.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    terms, source = await next_ledger(conn, campaign, rule, now)
    return await exclusion_store.count_people(conn, terms, source)


async def next_ledger(
    conn: Connection, campaign: Campaign, rule: str, now: datetime
) -> tuple[ExclusionTerms, AudienceSource]:
    """By which terms, and of whom, the ledger of a campaign's next fire will be written; raises as
    `count_ledger`.
    """
    plan = campaign.plan
    at = max(campaign.next_fire_at or plan.schedule.start_at or now, now)
    texts = [campaign.text, *(more.text for more in campaign.further)]
    text = texts[await next_text_no(conn, campaign, at, now) - 1]
    hours, county = plan.schedule.terms(campaign.message_class, rule), await load_county(conn)
    ends = validity_end(plan.schedule, hours, county, at)
    caps = CapTerms(
        text=text,
        over_cap=plan.over_cap,
        valid_until=min(ends, plan.period_end or ends),
        leaves_at=county.next_opening(at, hours),
    )
    terms = await exclusion_terms(conn, campaign, text, at, caps)
    return terms, await _audience_source(conn, campaign, rule, terms)


async def exclusion_terms(
    conn: Connection,
    campaign: Campaign,
    text: str,
    at: datetime,
    caps: CapTerms | None = None,
) -> ExclusionTerms:
    """What decides at an instant who of those that a campaign means does not get a text of it."""
    whose = campaign.department_id
    sender = await sender_of(conn, whose, await department_of(conn, campaign.plan.leg_of))
    return ExclusionTerms(
        department_id=whose,
        message_class=campaign.message_class,
        at=at,
        routes=await _routes(conn, campaign, sender, at),
        needs=facts_needed(text),
        trial=campaign.key_mode == Mode.TRIAL,
        barred=await barred(conn, sender, campaign.message_class, text),
        caps=caps,
    )


async def _routes(
    conn: Connection, campaign: Campaign, sender: SendingDepartment, at: datetime
) -> list[Route]:
    plan, channels = campaign.plan, await list_routable_channels(conn, at)
    return available_routes(sender, channels, plan.channels, drill=plan.drill).routes


def facts_needed(text: str) -> set[Fact]:
    """Which facts of a person the variables of a text use. A village lies in a town, so whoever
    needs the one needs the other.
    """
    facts = facts_of(variables(text))
    return facts | {"town"} if "village" in facts else facts


async def approval_audience(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    now: datetime,
    text: str | None = None,
) -> tuple[ExclusionTerms, AudienceSource]:
    """Whom an approval of this content is for: those whom nothing leaves out that lies in
    themselves. Channels, caps and what the department may send change by the day and are asked by
    each fire; an approval that was bound to them would be taken back whenever they change. Where
    texts take turns, nobody is left out for lack of a fact that only some of the texts need.

    text: one of its texts, of which something more will be asked.

    Raises:
        SegmentError: the rule names an unknown area.
    """
    terms = ExclusionTerms(
        department_id=campaign.department_id,
        message_class=content.message_class,
        at=now,
        routes=None,
        needs=_needed_by_all(content),
        trial=campaign.key_mode == Mode.TRIAL,
    )
    asked = terms.needs if text is None else {*terms.needs, *facts_needed(text)}
    lists = replace(terms, needs=asked)
    return terms, await _audience_source(conn, campaign, content.rule, lists)


async def routed_audience(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> tuple[ExclusionTerms, AudienceSource]:
    """Those of `approval_audience` whom a channel takes that the campaign may use now; raises as
    that.
    """
    terms, source = await approval_audience(conn, campaign, content, now)
    author = await department_of(conn, campaign.plan.leg_of)
    sender = await sender_of(conn, campaign.department_id, author)
    return replace(terms, routes=await _routes(conn, campaign, sender, now)), source


def _needed_by_all(content: Content) -> set[Fact]:
    if content.plan.is_sequence:  # its fire sends the first text, and only its people get the rest
        return facts_needed(content.text)
    return set.intersection(*(facts_needed(words.text) for words in content.texts))


async def _audience_source(
    conn: Connection, campaign: Campaign, rule: str, terms: ExclusionTerms
) -> AudienceSource:
    corrects, department_id = campaign.plan.corrects, campaign.department_id
    fields, day = listed_of(terms.needs), day_in_china(terms.at)
    tree = await read_area_tree(conn)
    if corrects is None:
        written = await read_rule(conn, department_id, rule)
        return by_rule(await compile_to_count(conn, department_id, written, tree, day, fields))
    anybody = compile_rule(
        None, areas=RuleAreas(tree), department_id=department_id, today=day, fields=fields
    )
    return of_ledger(to_be_corrected(corrects, None), anybody, must_be_listed=False)
