"""Whom a campaign means: those of its segment's rule, or for a correction those who got a run.

In place of a rule a correction has `received = "<run>"`, as a segment would say it; but who that is
and how many they are is read from the ledger, where whoever may have got the run counts as well. A
joint plan has the people of all the departments that it asks, each leg those of its own.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from service.accounts.departments.name_store import department_names
from service.audience.segments import segment_store
from service.audience.segments.segment import canonical, parse
from service.audience.segments.segment_store import AudienceCounts
from service.audience.segments.segment_uses import WrittenOut, write_out
from service.campaigns.audience import target_store
from service.campaigns.audience.exclusion_store import count_people
from service.campaigns.audience.preview import read_rule
from service.campaigns.audience.reach import (
    approval_audience,
    facts_needed,
    routed_audience,
)
from service.campaigns.audience.target_store import AudienceChange
from service.campaigns.core.leg_store import list_legs
from service.campaigns.core.legs import Leg, joint_rule, leg_rule
from service.campaigns.core.model import Campaign, Content, Plan
from service.campaigns.core.turns import text_no_of_fire
from service.storage.postgres import Connection
from service.words.phrase import phrase


def rule_of(run_id: UUID) -> str:
    """What stands for a rule in a correction of a run."""
    return canonical(parse(f'received = "{run_id}"'))


async def rule_text(conn: Connection, plan: Plan, scope: UUID | None) -> str:
    """The rule of a plan as it stands now.

    Raises:
        NotFound: there is no such segment in the scope.
    """
    if plan.corrects is not None:
        return rule_of(plan.corrects)
    if plan.is_joint:
        return await _joint_rule(conn, plan)
    return (await segment_store.get_segment(conn, _segment(plan), scope)).rule


async def _joint_rule(conn: Connection, plan: Plan) -> str:
    names = await department_names(conn, [leg.department_id for leg in plan.legs])
    return joint_rule([(names[leg.department_id], leg.areas) for leg in plan.legs])


def _segment(plan: Plan) -> UUID:
    if plan.segment_id is None:
        raise ValueError("a campaign that is no correction and no joint plan has a segment")
    return plan.segment_id


async def written_rule(conn: Connection, campaign: Campaign) -> tuple[WrittenOut, UUID]:
    """The rule as it stands now, the segments that it uses written out, and its last editor."""
    if campaign.plan.corrects is not None:
        return write_out(parse(rule_of(campaign.plan.corrects)), ()), campaign.edited_by
    if campaign.plan.is_joint:
        joint = await _joint_rule(conn, campaign.plan)
        return write_out(parse(joint, max_characters=len(joint)), ()), campaign.edited_by
    segment = await segment_store.get_segment(conn, _segment(campaign.plan), None)
    rule = await read_rule(
        conn, segment.department_id, segment.rule, name=segment.name, segment_id=segment.id
    )
    return rule, segment.edited_by


async def count_approval_audience(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> AudienceCounts:
    """Of how many people an approval of this content is (`approval_audience`), and how many are
    left out for a reason of their own.

    Raises:
        SegmentError: the rule names an unknown area.
    """
    return await count_people(conn, *await approval_audience(conn, campaign, content, now))


async def count_routed(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> AudienceCounts:
    """The same of those whom one of its channels takes as they are now."""
    return await count_people(conn, *await routed_audience(conn, campaign, content, now))


def as_leg(campaign: Campaign, content: Content, leg: Leg) -> tuple[Campaign, Content]:
    """A joint plan and what it sends, as they are for one of its legs."""
    own, rule = _own(campaign, leg)
    return own, replace(content, rule=rule, plan=own.plan)


def _own(campaign: Campaign, leg: Leg) -> tuple[Campaign, str]:
    plan = replace(campaign.plan, legs=(), leg_of=campaign.id)
    rule = leg_rule(leg.department, leg.areas)
    own = replace(campaign, department_id=leg.department_id, plan=plan, frozen_rule=rule)
    return own, rule


async def parts_of(conn: Connection, campaign: Campaign, rule: str) -> list[tuple[Campaign, str]]:
    """What sends a campaign, each with its rule: the campaign itself, or all legs of a joint plan
    as they are asked.
    """
    if not campaign.plan.is_joint:
        return [(campaign, rule)]
    return [_own(campaign, leg) for leg in await list_legs(conn, campaign.id)]


async def count_target(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> int:
    """How many people an approval of this content is of, in all legs of a joint plan; raises as
    `count_approval_audience`.
    """
    sends = [(campaign, content)]
    if campaign.plan.is_joint:
        legs = await list_legs(conn, campaign.id)
        sends = [as_leg(campaign, content, leg) for leg in legs]
    return sum([(await count_approval_audience(conn, *one, now)).target for one in sends])


def keeps_people(plan: Plan) -> bool:
    """Whether a plan's people are compared with those of its approval. Those of a correction stand
    in a ledger, a plan for newcomers is for others each time, and those of a joint plan are its
    legs'.
    """
    return plan.corrects is None and plan.schedule.kind != "joining" and not plan.is_joint


async def keep_people(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> None:
    """Keep who is in the target, as those whom the approval is for."""
    if keeps_people(campaign.plan):
        terms, source = await approval_audience(conn, campaign, content, now)
        await target_store.keep_approved(conn, campaign.id, terms, source)


async def compare_people(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    planned_at: datetime,
    share: float,
    now: datetime,
) -> AudienceChange:
    """How many of those who get the text of a fire are others than those of the approval; see
    `compare`.
    """
    text = content.texts[await text_no_of_fire(conn, campaign, planned_at, now) - 1].text
    terms, source = await approval_audience(conn, campaign, content, now, text)
    of_text = replace(terms, needs=facts_needed(text))
    return await target_store.compare(conn, campaign.id, terms, of_text, source, planned_at, share)


def correction_problems(plan: Plan) -> dict[str, str]:
    """What does not suit a correction, by field."""
    if plan.corrects is None:
        return {}
    problems: dict[str, str] = {}
    if plan.segment_id is not None:
        problems["segment_id"] = phrase(
            "a correction goes to those who got the run, and to nobody else"
        )
    if plan.schedule.kind not in {"now", "once"}:
        problems["schedule.kind"] = phrase("a correction goes out once: now, or once at an instant")
    if plan.more_texts:
        problems["more_texts"] = phrase("a correction has one text")
    return problems
