"""The texts of a joint plan take turns: at each fire all legs send the same one."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.plans import lifecycle
from service.clock import CHINA
from service.crypto import Keyring
from service.dispatch.forecast.fire_forecast import foretell
from service.reports.calendar import read_calendar
from service.storage.postgres import Pool, transaction
from tests.harness.joint import MOBILE, UNICOM, JointCounty, make_joint_county

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
TEXTS = [
    f"【旌德县反诈中心】第{number}周提醒：凡要求转账到安全账户的都是诈骗，请拨打96110。"
    for number in range(1, 7)
]


@pytest.fixture
async def county(pool: Pool, keyring: Keyring, now: datetime) -> JointCounty:
    county = await make_joint_county(pool, keyring, now)
    await county.give(MOBILE, [1])
    await county.give(UNICOM, [2])
    return county


async def plan(county: JointCounty, late: LatePolicy) -> None:
    """Six texts that take turns, one a week, on the bases of two carriers."""
    await county.approve(
        Schedule("recurring", county.now + HOUR, rrule="FREQ=WEEKLY;COUNT=6", late=late),
        asks={MOBILE: (), UNICOM: ()},
        text=TEXTS[0],
        further=[(text, None) for text in TEXTS[1:]],
    )


async def pass_fire(county: JointCounty, after: timedelta) -> Mapping[str, int]:
    """Let a fire pass; returns which text each carrier sends at it."""
    made = await county.pass_time(after)
    rows = await county.pool.fetch(
        "SELECT department_id, text_no, text FROM runs WHERE id = ANY($1)", made
    )
    await county.pool.execute("UPDATE runs SET state = 'sent', finished_at = $1", county.now)
    assert all(TEXTS[row["text_no"] - 1] == row["text"] for row in rows)
    carriers = {side.department_id: carrier for carrier, side in county.sides.items()}
    return {carriers[row["department_id"]]: row["text_no"] for row in rows}


async def test_a_leg_that_left_a_fire_out_sends_what_the_others_send(county: JointCounty) -> None:
    await plan(county, "skip")
    await county.take(MOBILE)
    await county.take(UNICOM)
    assert await pass_fire(county, HOUR) == {MOBILE: 1, UNICOM: 1}
    side, own = county.sides[UNICOM], await county.own(UNICOM)
    async with transaction(county.pool) as conn:
        await lifecycle.pause(conn, side.operator, own.id, county.by(side.operator, "割接"))
    assert await pass_fire(county, WEEK) == {MOBILE: 2}
    county.now += HOUR
    async with transaction(county.pool) as conn:
        await lifecycle.resume(
            conn, side.operator, own.id, county.by(side.operator, "好了"), missed="skip"
        )
    own = await county.own(UNICOM)
    assert own.frozen_rule is not None
    async with transaction(county.pool) as conn:
        found = await foretell(conn, lambda _: True, own, own.frozen_rule, county.now)
        day = (county.now + WEEK - HOUR).astimezone(CHINA).date()
        shown = await read_calendar(conn, side.operator, (day, day), [], {}, county.now)
    assert [fire.text_no for fire in found.fires] == [3, 4, 5, 6]
    assert [fire.text for fire in shown.entries if fire.key.campaign_id == own.id] == [TEXTS[2]]
    assert await pass_fire(county, WEEK - HOUR) == {MOBILE: 3, UNICOM: 3}


async def test_a_leg_that_is_taken_late_makes_up_for_the_text_that_it_missed(
    county: JointCounty,
) -> None:
    """Of the fires that it missed it sends the last, and that one's text."""
    await plan(county, "run")
    await county.take(MOBILE)
    assert await pass_fire(county, HOUR) == {MOBILE: 1}
    assert await pass_fire(county, WEEK) == {MOBILE: 2}
    county.now += HOUR
    await county.take(UNICOM)
    assert await pass_fire(county, timedelta()) == {UNICOM: 2}
    assert await pass_fire(county, WEEK - HOUR) == {MOBILE: 3, UNICOM: 3}
