"""Which text a fire sends where the texts of a plan take turns.

A plan sends the text after the one that it sent last. All legs of a joint plan send one text at a
fire: that of the fire's place in the plan, whatever each of them has sent before (decision 0399).
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Fire, candidates, opens
from service.campaigns.calendar.hours import County
from service.campaigns.core import run_store
from service.campaigns.core.legs import fire_of_plan
from service.campaigns.core.model import Campaign
from service.campaigns.core.texts import next_in_turn
from service.storage.postgres import Connection


def takes_turns(campaign: Campaign) -> bool:
    """Whether each fire sends another of the texts; a sequence begins with its first text."""
    return bool(campaign.plan.more_texts) and not campaign.plan.is_sequence


def in_turn(
    campaign: Campaign, fires: Sequence[Fire], county: County, last: int | None, now: datetime
) -> list[tuple[Fire, int]]:
    """Each of the next fires of a campaign, in order, with the number of the text that it sends if
    all before it take place. last: the number of the text that it sent last; None: of none.
    """
    if not takes_turns(campaign) or not fires:
        return [(fire, 1) for fire in fires]
    count = len(campaign.plan.more_texts) + 1
    if _is_of_a_joint_plan(campaign):
        places = _places(campaign, county, fires[-1].planned_at, now)
        return [(fire, _text_at(places.get(fire.planned_at, 1), count)) for fire in fires]
    return list(_after(fires, last, count))


def _after(fires: Sequence[Fire], last: int | None, count: int) -> Iterator[tuple[Fire, int]]:
    for fire in fires:
        number = next_in_turn(last, count)
        last = last if fire.skipped else number
        yield fire, number


async def text_no_of_fire(
    conn: Connection, campaign: Campaign, planned_at: datetime, now: datetime
) -> int:
    """The number of the text that a fire sends now. Of a joint plan it is that of the legs whose
    fire was made before, also where the workdays have changed since.
    """
    if not takes_turns(campaign):
        return 1
    count = len(campaign.plan.more_texts) + 1
    if not _is_of_a_joint_plan(campaign):
        return next_in_turn(await run_store.last_text(conn, campaign.id), count)
    joint_fire = fire_of_plan(campaign.plan.leg_of or campaign.id, planned_at)
    made = await run_store.text_of_joint_fire(conn, joint_fire)
    if made is not None:
        return made
    places = _places(campaign, await load_county(conn), planned_at, now)
    return _text_at(places.get(planned_at, 1), count)


async def next_text_no(conn: Connection, campaign: Campaign, at: datetime, now: datetime) -> int:
    """The number of the text that the next fire sends, which takes place at an instant."""
    if not takes_turns(campaign) or not _is_of_a_joint_plan(campaign):
        return await text_no_of_fire(conn, campaign, at, now)
    ahead = _ahead(campaign, await load_county(conn), now)
    planned_at = next((fire.planned_at for fire in ahead if not fire.skipped and fire.at >= at), at)
    return await text_no_of_fire(conn, campaign, planned_at, now)


def _is_of_a_joint_plan(campaign: Campaign) -> bool:
    return campaign.plan.is_joint or campaign.plan.leg_of is not None


def _places(
    campaign: Campaign, county: County, until: datetime, now: datetime
) -> dict[datetime, int]:
    """The places of a plan's fires up to one, from 1, by their planned instants. A fire that the
    calendar leaves out has a place, so that a holiday that is declared later moves no text.
    """
    ahead = _ahead(campaign, county, now)
    counted = itertools.takewhile(lambda fire: fire.planned_at <= until, ahead)
    return {fire.planned_at: place for place, fire in enumerate(counted, 1)}


def _ahead(campaign: Campaign, county: County, now: datetime) -> Iterator[Fire]:
    """All fires of a plan from its approval on."""
    schedule = campaign.plan.schedule
    since = opens(schedule, campaign.approved_at or now, campaign.plan.period_start)
    terms = schedule.terms(campaign.message_class, campaign.frozen_rule)
    return candidates(schedule, terms, county, since, None)


def _text_at(place: int, count: int) -> int:
    return (place - 1) % count + 1
