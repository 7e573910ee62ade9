"""Drawing a rollout: once a campaign, before it is submitted, by a seed that is told at the end.

The draw gives the plan a fire for each wave; each is a run as any other, of those people of the
plan's rule whose village has had its turn and whom no earlier run had. So who moves between waves
gets the text once, and who lives in no village gets it with the last wave.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.people.model import User
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.campaigns.approval.sources import content_of, read_sources
from service.campaigns.audience.reach import approval_audience
from service.campaigns.core import rollout_store
from service.campaigns.core.model import Campaign, Content, State
from service.campaigns.core.rollout import (
    MOST_VILLAGES,
    RolloutTerms,
    RolloutVillage,
    deal,
    order_hash,
    rollout_problems,
    staggered,
)
from service.campaigns.plans import planning
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage import sql
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import listing, phrase

SEED_OCTETS = 32
_VILLAGES = frozenset({"village", "community"})
_NAMED = 5


@dataclass(frozen=True)
class RolloutFrame:
    """What a draw is made of: of each village its stratum and its people; people of the plan in
    them, and how many live in none.
    """

    campaign: Campaign
    content: Content
    villages: Mapping[str, tuple[str, int]]
    in_villages: int
    elsewhere: int


async def frame(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    terms: RolloutTerms,
    residents: Mapping[str, int | None],
    now: datetime,
    *,
    lock: bool = False,
) -> RolloutFrame:
    """What a rollout of a draft would be drawn of. residents: of each village, by code.

    Raises:
        NotFound: there is no such campaign in the actor's scope.
        Conflict: it is no draft, or has its order already.
        Invalid: it cannot be staggered, or too few or too many villages take part.
    """
    campaign = await planning.load(conn, campaign_id, actor.scope, lock=lock)
    _check_draft(campaign)
    templates, rule, _ = await read_sources(conn, campaign)
    schedule = campaign.plan.schedule
    if schedule.kind != "once" or schedule.start_at is None or schedule.start_at <= now:
        raise Invalid.at(
            "schedule",
            phrase("plan it once, at the instant of the first wave, which is still to come"),
        )
    plan = replace(campaign.plan, schedule=staggered(schedule, terms))
    content = content_of(replace(campaign, plan=plan), templates, rule)
    if problems := dict(rollout_problems(content, terms)):
        raise Invalid(phrase("this campaign cannot be staggered"), fields=problems)
    tree = await read_area_tree(conn)
    counts = await _count_areas(conn, campaign, content, now)
    inside = _by_village(tree, counts)
    villages = _with_people(tree, sorted(inside), terms, residents)
    people = sum(inside.values())
    return RolloutFrame(campaign, content, villages, people, sum(counts.values()) - people)


def _check_draft(campaign: Campaign) -> None:
    if campaign.state not in {State.DRAFT, State.RETURNED}:
        raise Conflict(
            phrase("the order is drawn before a campaign is submitted"), code="wrong_state"
        )
    if campaign.plan.rollout is not None:
        raise Conflict(
            phrase("its order is drawn, once and for all: clone the campaign for another one"),
            code="already_drawn",
        )


def _by_village(tree: AreaTree, counts: Mapping[str, int]) -> dict[str, int]:
    """People of areas by the village that these are or lie in."""
    found: dict[str, int] = {}
    for code, people in counts.items():
        village = next((a.code for a in tree.above(code) if a.level in _VILLAGES), None)
        if village is not None:
            found[village] = found.get(village, 0) + people
    return found


def _with_people(
    tree: AreaTree, codes: list[str], terms: RolloutTerms, residents: Mapping[str, int | None]
) -> dict[str, tuple[str, int]]:
    if len(codes) < max(terms.waves, 2):
        raise Invalid.at(
            "waves",
            phrase(
                "people of this plan live in {villages} villages: each wave needs one at least",
                villages=len(codes),
            ),
        )
    if len(codes) > MOST_VILLAGES:
        raise Invalid.at("waves", phrase("at most {most:,} villages", most=MOST_VILLAGES))
    found: dict[str, tuple[str, int]] = {}
    unknown = []
    for code in codes:
        people = residents.get(code)
        if not people:
            unknown.append(tree.areas[code].name)
            continue
        found[code] = (tree.town_of(code) if terms.strata == "town" else "", people)
    if unknown:
        raise Invalid.at(
            "waves",
            phrase(
                "nobody has said how many residents these villages have, {count} in all:"
                " {villages}",
                count=len(unknown),
                villages=listing(unknown[:_NAMED]),
            ),
        )
    return found


async def _count_areas(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> dict[str, int]:
    """How many people of the plan there are in each area; "": those of whom none is known."""
    terms, source = await approval_audience(conn, campaign, content, now)
    rows = await sql.fetch(
        conn,
        f"""
        SELECT coalesce(c.area_code, '') AS code, count(*)::int AS people
        FROM ({source.sql}) c WHERE c.matches GROUP BY 1
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **source.values,
        department_id=terms.department_id,
    )
    return {row["code"]: row["people"] for row in rows}


async def draw(
    conn: Connection,
    actor: User,
    found: RolloutFrame,
    terms: RolloutTerms,
    power: Mapping[str, Any],
    now: datetime,
) -> list[RolloutVillage]:
    """Draw the order and give the plan a fire for each wave; returns villages with their waves.

    found: of this transaction, with the campaign locked.

    Raises:
        Conflict: somebody has drawn meanwhile.
    """
    seed = secrets.token_bytes(SEED_OCTETS)
    villages = deal(found.villages, terms.waves, seed)
    campaign_id = found.campaign.id
    await planning.edit(
        conn,
        actor,
        campaign_id,
        lambda plan: replace(plan, schedule=staggered(plan.schedule, terms)),
        now,
    )
    kept = await rollout_store.insert_rollout(
        conn,
        campaign_id,
        terms,
        (seed, order_hash(terms, villages)),
        villages,
        power,
        (actor.id, now),
    )
    if not kept:
        raise Conflict(
            phrase("its order is drawn, once and for all: clone the campaign for another one"),
            code="already_drawn",
        )
    return villages


async def reveal_seeds(pool: Pool, keyring: Keyring, now: datetime) -> int:
    """Tell the seeds of the rollouts that are over, each in an entry of the audit trail; returns
    how many. The entry of the draw has the hash of the seed.
    """
    count = 0
    while True:
        async with transaction(pool) as conn:
            found = await rollout_store.reveal_next(conn, now)
            if found is None:
                return count
            act = AuditAct(
                "reveal_seed",
                now,
                "system",
                department_id=found.department_id,
                object_kind="rollout",
                object_id=str(found.campaign_id),
                details={
                    "seed": found.seed.hex(),
                    "seed_sha256": hashlib.sha256(found.seed).hexdigest(),
                },
            )
            await insert_entry(conn, keyring, act)
        count += 1
