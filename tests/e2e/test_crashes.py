"""Kill -9 in the middle of a run to 18,700 people on three channels: nobody lost, nobody twice.

Invariants I1 to I4.
"""

import asyncio
import signal
import time

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import MOST_UNCERTAIN
from tests.harness.live import Launched, Live
from tests.harness.pauses import repeatedly
from tests.harness.waiting import until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.crash]

RECOVERY_SECONDS = 30.0


async def most_uncertain(live: Live, stop: asyncio.Event) -> int:
    """The most uncertain hand-offs seen at any moment until `stop`."""
    most = 0

    async def look() -> None:
        nonlocal most
        most = max(most, await live.query("SELECT count(*) FROM uncertain"))

    await repeatedly(look, 0.05, stop)
    return most


async def goes_on(live: Live, since: float) -> float:
    """Wait until the carrier takes something new; returns the seconds that took."""

    async def new_submit() -> bool:
        return bool(live.journal(since + 0.5))

    await until(new_submit, RECOVERY_SECONDS)
    return float(live.journal(since + 0.5)[0]["at"]) - since


async def adds_up(live: Live, sent: Launched, bound: int) -> None:
    """Everybody handed off once, and all accounted for; at most `bound` are left to a person."""
    await sent.handed_off()
    taken = sent.submits()
    target = await sent.target()
    assert target > 18_000
    assert set(taken.values()) == {1}, "somebody got it twice"

    async def receipts_in() -> bool:
        return await sent.count("submitted", "uncertain") <= target * 0.01 + bound

    await until(receipts_in, 60)
    uncertain = await sent.count("uncertain")
    assert uncertain <= bound
    assert target - len(taken) <= uncertain, "somebody was lost"
    async with live.client("operator") as client:
        runs = await client.get(f"/campaigns/{sent.campaign}/runs")
        report = await client.get(f"/runs/{runs['items'][0]['id']}/report")
    assert report["target"] == target == sum(report["states"].values())
    assert (
        await live.query(
            "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id "
            "WHERE r.campaign_id::text = $1 AND m.state = 'submitted' AND NOT EXISTS "
            "(SELECT FROM parts p WHERE p.run_id = m.run_id AND p.no = m.no)",
            sent.campaign,
        )
        == 0
    )
    await sent.settle_by_hand()


async def test_the_channel_process_is_killed(live: Live) -> None:
    sent = await live.launch()
    await sent.under_way(0.3)
    stop = asyncio.Event()
    watching = asyncio.create_task(most_uncertain(live, stop))
    killed = time.time()
    live.kill("channel-0")
    recovery = await goes_on(live, killed)
    print(f"recovery: {recovery:.1f} s")
    await sent.handed_off()
    stop.set()
    assert await watching <= MOST_UNCERTAIN
    await adds_up(live, sent, MOST_UNCERTAIN)


async def test_the_scheduler_is_killed_before_and_after_the_fire(live: Live) -> None:
    live.kill("scheduler")
    sent = await live.launch()
    await sent.under_way(0.2)
    live.kill("scheduler")
    live.kill("work")
    await adds_up(live, sent, 0)


async def test_postgresql_is_killed(live: Live) -> None:
    sent = await live.launch()
    await sent.under_way(0.3)
    killed = time.time()
    live.kill("postgres")
    recovery = await goes_on(live, killed)
    print(f"recovery: {recovery:.1f} s")
    await adds_up(live, sent, MOST_UNCERTAIN)


async def test_redis_is_emptied_and_killed(live: Live) -> None:
    sent = await live.launch()
    await sent.under_way(0.2)
    redis = Redis.from_url(live.summary["redis_url"])
    await redis.flushall()
    await redis.aclose()
    await sent.under_way(0.5)
    live.kill("valkey")
    await adds_up(live, sent, 0)


async def test_the_carrier_is_killed(live: Live) -> None:
    sent = await live.launch()
    await sent.under_way(0.3)
    killed = time.time()
    live.kill("simulator")
    await goes_on(live, killed)
    await adds_up(live, sent, MOST_UNCERTAIN)


async def test_a_frozen_channel_process_is_fenced_out(live: Live) -> None:
    """Stopped past its lease: what it had marked is uncertain, and when it wakes it writes nothing
    that it marked before.
    """
    sent = await live.launch()
    await sent.under_way(0.2)
    live.kill("channel-0", signal.SIGSTOP)

    async def taken_over() -> bool:
        return bool(await live.query("SELECT bool_and(owner IS NULL) FROM connections"))

    await until(taken_over, RECOVERY_SECONDS)
    live.kill("channel-0", signal.SIGCONT)
    await adds_up(live, sent, MOST_UNCERTAIN)
