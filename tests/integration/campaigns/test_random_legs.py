"""Random legs, answers, pauses and overlaps: the sums hold always, and nobody gets it twice."""

import random
from datetime import datetime, timedelta

import pytest

from service.accounts.people.model import User
from service.campaigns.approval import legs
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.core.legs import LegState
from service.campaigns.core.model import State
from service.campaigns.plans import lifecycle
from service.crypto import Keyring
from service.errors import TocsinError
from service.reports.campaign import campaign_report
from service.storage.postgres import Pool, transaction
from tests.harness.joint import CARRIERS, JointCounty, make_joint_county

WORLDS = 12
STEPS = 30
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def check(county: JointCounty) -> None:
    """What must hold at any moment."""
    assert county.plan is not None
    twice = await county.pool.fetch(
        """
        SELECT r.joint_fire, m.phone_hash, count(*) FROM messages m JOIN runs r ON r.id = m.run_id
        WHERE m.attempt > 0 GROUP BY 1, 2 HAVING count(*) > 1
        """
    )
    assert not twice
    async with county.pool.acquire() as conn:
        whole = await campaign_report(conn, county.plan.id, "real", None, None)
    assert whole["total"]["target"] == sum(whole["total"]["states"].values())
    legs_sum, rows = 0, 0
    for carrier in CARRIERS:
        leg = await county.leg(carrier)
        if leg.own_campaign_id is None:
            continue
        async with county.pool.acquire() as conn:
            own = await campaign_report(conn, leg.own_campaign_id, "real", None, None)
        assert whole["by_campaign"][leg.own_campaign_id].as_json() == own["total"]
        legs_sum += own["total"]["target"]
        rows += await county.pool.fetchval(
            "SELECT coalesce(sum(target), 0) FROM runs WHERE campaign_id = $1", leg.own_campaign_id
        )
    assert whole["total"]["target"] == legs_sum == rows


async def act(county: JointCounty, rng: random.Random) -> None:
    """Something that somebody may do, allowed or not."""
    assert county.plan is not None
    carrier = rng.choice(CARRIERS)
    side, leg = county.sides[carrier], await county.leg(carrier)
    what = rng.choice(
        ["take", "return", "ask", "pause", "resume", "own pause", "own resume", "fire", "hand off",
         "hand off", "arrive", "day"]
    )  # fmt: skip
    match what:
        case "take":
            await county.take(carrier, missed=rng.choice([None, "run", "skip"]))
        case "return":
            async with transaction(county.pool) as conn:
                await legs.give_back(conn, side.operator, leg.id, county.by(side.operator, "x"))
        case "ask":
            office = county.team.operator
            async with transaction(county.pool) as conn:
                await legs.ask_again(conn, office, leg.id, None, county.by(office))
        case "pause" | "resume":
            await steer(county, what, county.team.operator, county.plan.id)
        case "own pause" | "own resume":
            if leg.own_campaign_id is not None:
                await steer(county, what.split()[1], side.operator, leg.own_campaign_id)
        case "fire":
            await county.pass_time(HOUR)
        case "day":
            await county.pass_time(DAY)
        case "hand off":
            for run in await county.pool.fetch(
                "SELECT r.id FROM runs r WHERE r.campaign_id = $1 AND r.state = 'running'",
                leg.own_campaign_id,
            ):
                await county.hand_off(carrier, run["id"])
        case "arrive":
            await county.arrive()


async def steer(county: JointCounty, what: str, user: User, campaign_id: object) -> None:
    async with transaction(county.pool) as conn:
        await getattr(lifecycle, what)(conn, user, campaign_id, county.by(user))


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, WORLDS))]
)
async def test_the_sums_hold_and_nobody_gets_it_twice(
    pool: Pool, keyring: Keyring, now: datetime, seed: int
) -> None:
    rng = random.Random(seed)
    county = await make_joint_county(pool, keyring, now)
    if rng.random() < 0.5:
        await pool.execute("DELETE FROM frequency_caps")
    for carrier in CARRIERS:
        await county.give(carrier, rng.sample(range(20), rng.randint(0, 12)))
    policies: list[LatePolicy] = ["run", "skip"]
    late = rng.choice(policies)
    schedule = Schedule(
        "recurring",
        now + HOUR,
        rrule="FREQ=DAILY;COUNT=4",
        late=late,
    )
    await county.approve(schedule)
    for _ in range(STEPS):
        try:
            await act(county, rng)
        except TocsinError:
            continue  # refused, with nothing half done
        finally:
            await check(county)
    paused = (await county.loaded()).state is State.PAUSED
    for carrier in CARRIERS:
        leg = await county.leg(carrier)
        if leg.state is LegState.TAKEN:
            own = await county.own(carrier)
            assert not paused or own.state not in {State.SCHEDULED, State.RUNNING}
