"""Fair shares of a channel: departments by weight, classes with a floor, nobody shut out (I11)."""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.channels.contract.gateway import Submission, SubmitResult
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch import fair_queue_store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.fair_queue import FLOOR, Charge, Flow
from service.dispatch.handoff.slice_store import HeldSlice
from service.dispatch.limits.in_flight import most_ahead, permits_for
from service.dispatch.limits.pace import Pace
from service.storage.postgres import Pool, transaction
from tests.harness.direct_runs import direct_run
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.shares import FAR, another, whose
from tests.harness.stage import Accept, Scripted, SetUp, Stage, claim_one, done, working
from tests.harness.waiting import counted, until
from tests.integration.dispatch.conftest import Serve, Simulate


async def wrote(gateway: Scripted, count: int, seconds: float = 20) -> None:
    async def enough() -> bool:
        return len(gateway.written) >= count

    await until(enough, seconds)


def slow(seconds: float = 0.01) -> Scripted:
    """A carrier that takes so long to answer: a window takes its time."""
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: seconds
    return gateway


async def test_departments_share_a_channel_by_weight(stage: SetUp) -> None:
    on = await stage(800, window=8)
    await another(on, 1, 800, weight=30)
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 600)
    assert whose(gateway, 0, 600)[1] == pytest.approx(450, abs=30)


@pytest.mark.slow
async def test_a_weight_that_changes_counts_from_then_on(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    standings = counted(monkeypatch, fair_queue_store, "standings")
    on = await stage(900, window=8)
    await another(on, 1, 900, weight=10)
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 200)
        await on.pool.execute(
            "UPDATE departments SET weight = 90 WHERE id <> $1", on.scene.department
        )
        await standings.more()
        since = len(gateway.written)
        await wrote(gateway, since + 400)
    assert whose(gateway, since, since + 400)[1] >= 320


@pytest.mark.attack
async def test_a_small_department_gets_on_at_once_beside_a_huge_one(stage: SetUp) -> None:
    on = await stage(3_000, window=8)
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 500)
        await another(on, 1, 300)  # some have left before the test looks
        since = len(gateway.written)
        await until(lambda: _has_begun(gateway, 1), 5)
        began = len(gateway.written)
        await wrote(gateway, began + 200)
    assert whose(gateway, began, began + 200)[1] == pytest.approx(99, abs=most_ahead(8) / 2)
    assert began - since < 800, "it waited for more than a second of the huge one"


async def _has_begun(gateway: Scripted, number: int) -> bool:
    return whose(gateway)[number] > 0


async def test_bulk_has_its_floor_and_no_more(stage: SetUp) -> None:
    on = await stage(1_500, window=8, priority="urgent")
    await another(on, 1, 1_000, weight=100, priority="normal")
    await another(on, 2, 1_000, weight=100, priority="bulk")
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 1_200)
    had = whose(gateway, 0, 1_200)
    for lower in (1, 2):
        assert had[lower] == pytest.approx(60, abs=20)


async def test_what_is_urgent_leaves_before_a_big_bulk_run_that_is_under_way(
    stage: SetUp,
) -> None:
    on = await stage(3_000, window=8, priority="bulk")
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 300)
        await another(on, 1, 600, priority="urgent")  # some have left before the test looks
        await until(lambda: _has_begun(gateway, 1), 5)
        began = len(gateway.written)
        await wrote(gateway, began + 400)
    of_bulk = 400 * FLOOR + permits_for(8)  # its floor, and what was on its way
    assert whose(gateway, began, began + 400)[1] >= 400 - of_bulk


@pytest.mark.slow
async def test_more_departments_than_usual_slices_all_get_on(stage: SetUp) -> None:
    on = await stage(300, window=8)
    for number in range(1, 15):
        await another(on, number, 300)
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 1_200)
    had = whose(gateway, 0, 1_200)
    assert len(had) == 15
    assert min(had.values()) >= 50, had


async def test_runs_of_a_department_take_turns(stage: SetUp) -> None:
    on = await stage(400, window=8)
    second = await on.another_run()
    gateway = slow()
    async with working(on, gateway):
        await wrote(gateway, 300)
        queued = [(await one.states())["queued"] for one in (on, second)]
    assert abs(queued[0] - queued[1]) <= 60


async def test_texts_sent_one_by_one_keep_no_campaign_of_their_department_waiting(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a slow channel with a small window, where many single texts wait their turn."""
    monkeypatch.setattr("service.dispatch.expansion.expand.SLICE_ROWS", 50)
    on = await stage(200, window=8)
    for number in range(400):
        await direct_run(on, 1, first=1_000 + number)
    gateway = slow()
    async with working(on, gateway):
        await until(lambda: done(on), 40)
    numbers = [int(number[3:]) - 19790000000 for number, _ in gateway.written]
    assert len(set(numbers)) == len(numbers)
    last = max(at for at, number in enumerate(numbers) if number < 200)
    singles = sum(number >= 1_000 for number in numbers[:last])
    assert singles == pytest.approx(200, abs=70)


@pytest.mark.slow
async def test_a_share_holds_over_two_connections(stage: SetUp) -> None:
    """One department has work for both, the other a single slice, which only one can hold.

    So slow that they tell each other several times meanwhile what they handed off.
    """
    on = await stage(2_500, window=8, connections=2)
    await on.pool.execute("UPDATE channels SET connections = 1")  # else it would be cut in two
    await another(on, 1, 900)
    gateways = [slow(0.03), slow(0.03)]
    async with working(on, gateways[0]), working(on, gateways[1], lease=await on.must_lease(1)):

        async def both() -> bool:
            return sum(len(gateway.written) for gateway in gateways) >= 1_200

        await until(both, 20)
        had = whose(gateways[0]) + whose(gateways[1])
    assert had[1] / had.total() >= 0.4, had  # 0.25 if each looked at itself alone


@pytest.mark.slow
async def test_after_a_restart_a_newcomer_does_not_take_all(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    standings = counted(monkeypatch, fair_queue_store, "standings")
    on = await stage(3_000, window=8)
    first = slow()
    async with working(on, first) as sender:
        await wrote(first, 800)
        await standings.more()
        await sender.end()
    await another(on, 1, 900)
    second = slow()
    async with working(on, second, lease=await on.take_over()):
        await wrote(second, 400)
    assert whose(second, 0, 400)[0] == pytest.approx(200, abs=40)


async def test_an_urgent_run_is_written_within_a_window_and_a_second(
    stage: SetUp, redis: Redis
) -> None:
    """Several connections, each with what it marked ahead of the tokens; the windows are wide, so
    that nothing but the pace keeps them from marking more.
    """
    tps, window = 200, 400
    on = await stage(3_000, window=window, tps=tps, connections=3, priority="bulk")
    gateways = [Scripted(lambda _: Accept) for _ in range(3)]
    leases = [await on.must_lease(slot) for slot in range(3)]
    pace = Pace(redis)
    async with (
        working(on, gateways[0], pace=pace, lease=leases[0]),
        working(on, gateways[1], pace=pace, lease=leases[1]),
        working(on, gateways[2], pace=pace, lease=leases[2]),
    ):

        def written() -> int:
            return sum(len(gateway.written) for gateway in gateways)

        async def under_way() -> bool:
            return written() >= 2 * tps

        await until(under_way, 20)
        await another(on, 1, 30, priority="urgent")
        before = written()

        async def begun() -> bool:
            return any(whose(gateway)[1] for gateway in gateways)

        await until(begun, 10)
        assert written() - before <= 1.5 * tps  # of the second and the window that it may take


async def test_everybody_is_reached_once_whatever_the_turns(stage: SetUp) -> None:
    on = await stage(500, window=16, connections=2)
    runs = [on]
    runs += [await another(on, n, 150, priority=p) for n, p in ((1, "urgent"), (2, "bulk"))]
    gateways = [Scripted(lambda _: Accept) for _ in range(2)]
    async with working(on, gateways[0]), working(on, gateways[1], lease=await on.must_lease(1)):
        for one in runs:
            await until(partial(done, one), 20)
    numbers = Counter(number for gateway in gateways for number, _ in gateway.written)
    assert len(numbers) == 800
    assert set(numbers.values()) == {1}


@pytest.mark.slow
async def test_a_campaigns_own_pace_holds_over_two_connections(stage: SetUp, redis: Redis) -> None:
    on = await stage(80, window=8, connections=2, max_tps=20)
    at: list[float] = []

    def answer(_: Submission) -> SubmitResult:
        at.append(time.monotonic())
        return Accept

    gateways = [Scripted(answer) for _ in range(2)]
    pace = Pace(redis)
    async with (
        working(on, gateways[0], pace=pace),
        working(on, gateways[1], pace=pace, lease=await on.must_lease(1)),
    ):
        await until(lambda: done(on), 30)
    assert all(gateway.written for gateway in gateways)
    assert max(at) - min(at) >= 80 / 20 - 0.5


async def test_what_a_connection_has_nothing_of_is_claimed_first(stage: SetUp) -> None:
    on = await stage(10)
    fellow = await on.another_run()
    bulk = await another(on, 1, 10, priority="bulk")
    lease = await on.must_lease()
    held = [HeldSlice(on.run, 1, on.scene.department)]

    async def claim(*, only_new_flows: bool = False) -> uuid.UUID | None:
        async with transaction(on.pool) as conn:
            claimed = await claim_one(conn, lease, on.now, held, only_new_flows=only_new_flows)
        if claimed is None:
            return None
        held.append(HeldSlice(claimed["run_id"], claimed["priority"], claimed["department_id"]))
        found: uuid.UUID = claimed["run_id"]
        return found

    assert await claim(only_new_flows=True) == bulk.run
    held.pop()
    held.append(HeldSlice(bulk.run, 1, bulk.scene.department))  # as if it were no less urgent
    assert await claim(only_new_flows=True) is None
    urgent = await on.another_run(priority="urgent")
    assert await claim(only_new_flows=True) == urgent.run
    assert await claim() == fellow.run
    assert await claim() is None


async def test_another_department_comes_before_another_run_of_ones_own(stage: SetUp) -> None:
    on = await stage(10)
    await on.another_run()
    other = await another(on, 1, 10)
    lease = await on.must_lease()
    async with transaction(on.pool) as conn:
        held = [HeldSlice(on.run, 1, on.scene.department)]
        claimed = await claim_one(conn, lease, on.now, held)
    assert claimed is not None
    assert claimed["run_id"] == other.run


# ---- the table


async def test_what_connections_tell_adds_up_and_locks_nobody_out(stage: SetUp) -> None:
    on = await stage(1)
    flows = [Flow(priority, on.scene.department) for priority in (0, 1, 2)]

    async def tell(order: Sequence[Flow]) -> None:
        for _ in range(20):
            async with transaction(on.pool) as conn:
                charges = {flow: Charge(10, 0.0, 0.0, 10) for flow in order}
                await fair_queue_store.write_charges(conn, on.channel.id, charges, on.now)

    await asyncio.gather(tell(flows), tell(flows[::-1]), tell(flows), tell(flows[::-1]))
    async with on.pool.acquire() as conn:
        standings = await fair_queue_store.standings(conn, on.channel.id)
    assert {flow: standing.time for flow, standing in standings.items()} == dict.fromkeys(
        flows, 80.0
    )
    shares = await on.pool.fetch("SELECT DISTINCT parts FROM shares")
    assert [row["parts"] for row in shares] == [800]


async def test_whoever_was_behind_counts_from_where_it_began(stage: SetUp) -> None:
    on = await stage(1)
    flow = Flow(1, on.scene.department)
    async with on.pool.acquire() as conn:
        await fair_queue_store.write_charges(
            conn, on.channel.id, {flow: Charge(10, 5.0, 5.0, 10)}, on.now
        )
        await fair_queue_store.write_charges(
            conn, on.channel.id, {flow: Charge(10, 50.0, 50.5, 10)}, on.now
        )
        (standing,) = (await fair_queue_store.standings(conn, on.channel.id)).values()
    assert (standing.time, standing.last_start, standing.weight) == (51.0, 50.5, 10)


# ---- over TCP


def journal(tmp_path: Path) -> list[str]:
    """The numbers of the submits that the carrier took, in its order."""
    lines = (json.loads(line) for line in (tmp_path / "journal").read_text().splitlines())
    return [line["phone"] for line in lines if line.get("event") == "submit"]


@pytest.mark.parametrize("connections", [1, 3])
async def test_an_urgent_send_overtakes_a_running_campaign_at_the_carrier(
    connections: int,
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    simulate: Simulate,
    serve: Serve,
) -> None:
    tps, window = 500, 32
    async with simulate() as carrier, pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        numbers = [phone(n) for n in range(4_000)]
        await add_contacts(conn, keyring, scene, numbers, clock.now())
        channel = await add_channel(
            conn, keyring, carrier.ports["cmpp"], clock.now(), tps=tps, window=window,
            connections=connections,
        )  # fmt: skip
        run = await add_run(conn, scene, clock.now(), priority="bulk")
        await expand_run(pool, run, clock.now())
        on = Stage(pool, keyring, scene, channel, run, clock.now())
        await serve()

        async def under_way() -> bool:
            return len(journal(tmp_path)) >= tps / 2

        await until(under_way, 60)
        urgent = await another(on, 1, 100, priority="urgent")
        before = len(journal(tmp_path))
        await until(lambda: done(urgent), 60)
    order = [(int(number[-11:]) - 19790000000) // FAR for number in journal(tmp_path)]
    first = order.index(1)
    assert first - before <= tps + window * connections
    among = len(order) - order[::-1].index(1) - first
    print(f"{connections} connections: after {first - before} others, 100 among {among}")
