"""Stop-all (I7): once it has answered, nothing is marked, of no campaign and no direct run."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.accounts.people.model import Role
from service.campaigns.stops import stop_all, stop_store
from service.campaigns.stops.stop_store import KnownGap
from service.channels.contract.gateway import SubmitResult
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import sweep_store
from service.simulator.carrier.journal import submits
from service.storage import locks
from service.storage.postgres import Pool, transaction
from tests.factories import make_user
from tests.harness.ledger import ALWAYS, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.pauses import delay, random_moment
from tests.harness.rounds import RACE_ROUNDS
from tests.harness.stage import Scripted, SetUp, Stage, claim_one, mark, working
from tests.harness.waiting import Calls, everybody_tried_again, until
from tests.integration.dispatch.conftest import Serve, Simulate

PEOPLE = 3_000


async def _stop(pool: Pool, on: Any, now: Any) -> None:
    async with transaction(pool) as conn:
        await stop_all.stop_all(conn, on, "wrong text", now)


async def test_nothing_of_three_running_campaigns_is_marked_after_the_answer(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    simulate: Simulate,
    serve: Serve,
    claims: Calls,
) -> None:
    """By the ledger's marks, and by what the carrier wrote down."""
    async with simulate() as simulator, pool.acquire() as conn:
        now = clock.now()
        await add_channel(conn, keyring, simulator.ports["cmpp"], now, tps=600, window=32)
        runs = []
        for campaign in range(3):
            scene = await make_scene(conn, now)
            phones = [phone(campaign * PEOPLE + n) for n in range(PEOPLE)]
            await add_contacts(conn, keyring, scene, phones, now)
            runs.append(await add_run(conn, scene, now))
            assert await expand_run(pool, runs[-1], now) is not None
        person = await make_user(conn, Role.OPERATOR, now=now, kind="county")
        await serve()

        async def marks(run: Any = None) -> int:
            count: int = await pool.fetchval(
                "SELECT coalesce(sum(attempt), 0) FROM messages "
                "WHERE $1::uuid IS NULL OR run_id = $1",
                run,
            )
            return count

        async def all_run() -> bool:
            return min([await marks(run) for run in runs]) > 50

        await until(all_run)
        await _stop(pool, person, clock.now())
        answered, before = clock.now(), await marks()
        await claims.more(5)
        assert 150 < before < 3 * PEOPLE
        assert await marks() == before
        latest = await pool.fetchval("SELECT max(marked_at) FROM messages")
        assert latest <= answered
        seen = len(list(submits(tmp_path / "journal")))
        assert seen <= before
        assert await pool.fetchval("SELECT count(*) FROM runs WHERE state = 'running'") == 3

        async with transaction(pool) as lifting:
            await stop_all.lift(lifting, person, "mended", how=None, now=clock.now())

        async def goes_on() -> bool:
            return await marks() > before + 100

        await until(goes_on)


async def test_a_text_comes_back_while_a_stop_is_lifted(stage: SetUp) -> None:
    """Whoever lifts a stop locks the marks out, and then changes the direct runs. A text of such a
    run that comes back unsent meanwhile needs the run's row too, and must not wait for the marks.
    """
    on = await stage(1)
    await on.cancel()
    run = await _direct_run(on)
    sent = Stage(on.pool, on.keyring, on.scene, on.channel, run, on.now)
    gateway = Scripted(lambda _: None)
    async with working(sent, gateway) as at_work:
        await until(lambda: _is_in(sent, "submitting", gateway))
        async with transaction(on.pool) as lifting:
            await locks.lock_all_marks(lifting)
            gateway.silent[0].set_result(SubmitResult(Outcome.NOT_SENT))
            await until(lambda: _is_in(sent, "queued", gateway))
            await stop_store.set_direct_runs(lifting, "running", "paused", on.now)
        assert await on.pool.fetchval("SELECT state FROM runs WHERE id = $1", sent.run) == "paused"
        await at_work.end()
    assert await sent.states() == {"queued": 1}


async def _is_in(on: Stage, state: str, gateway: Scripted) -> bool:
    return len(gateway.silent) == 1 and await on.state(1) == state


@pytest.mark.races
async def test_after_the_answer_nothing_is_marked_at_random_moments(stage: SetUp) -> None:
    """Four connections mark without end; stops and liftings fall where they may."""
    on = await stage(8, connections=4)
    async with on.pool.acquire() as conn:
        person = await make_user(conn, Role.OPERATOR, now=on.now, kind="county")
    lease = await on.must_lease()
    await on.claim(lease)
    over, moved_at_all = asyncio.Event(), 0
    tries = dict.fromkeys(range(1, 5), 0)

    async def keep_marking(no: int) -> None:
        nonlocal moved_at_all
        while not over.is_set():
            async with transaction(on.pool) as conn:
                moved = await mark(conn, lease, on.run, [no, no + 4], 1, on.now)
                await random_moment(0.002)
            moved_at_all += len(moved)
            await on.give_back(list(moved.items()))
            tries[no] += 1
            await delay(0.001)

    markers = [asyncio.create_task(keep_marking(no)) for no in range(1, 5)]
    try:
        for _ in range(RACE_ROUNDS):
            await on.renew(lease)
            await random_moment(0.003)
            await _stop(on.pool, person, on.now)
            before = await on.marks()
            await everybody_tried_again(tries)
            assert await on.marks() == before
            async with transaction(on.pool) as lifting:
                await stop_all.lift(lifting, person, "r", how=None, now=on.now)
    finally:
        over.set()
        await asyncio.gather(*markers)
    assert moved_at_all > RACE_ROUNDS // 2


async def _direct_run(on: Stage) -> Any:
    new = NewRun(
        kind="reply",
        department_id=on.scene.department,
        message_class="service",
        priority="urgent",
        text="【旌德县公安局】已收到。",
        channels=[on.channel.id],
        send_hours=ALWAYS,
        timezone="Asia/Shanghai",
        valid_until=on.now + timedelta(days=1),
    )
    number = phone(900)
    person = Recipient(
        on.keyring.phone_index(number),
        on.keyring.encrypt("phone", number),
        "china_mobile",
        synthetic=True,
        channel_id=on.channel.id,
    )
    async with transaction(on.pool) as conn:
        return (await direct.start(conn, new, [person], on.now)).run_id


async def test_direct_runs_stop_as_well_and_nobody_claims_or_is_rung_for(stage: SetUp) -> None:
    on = await stage(4)
    await _direct_run(on)
    async with on.pool.acquire() as conn:
        person = await make_user(conn, Role.OPERATOR, now=on.now, kind="county")
        assert await sweep_store.channels_with_work(conn, on.now) == [on.channel.id]
    await _stop(on.pool, person, on.now)
    lease = await on.must_lease()
    async with transaction(on.pool) as conn:
        assert await claim_one(conn, lease, on.now) is None
        assert await sweep_store.channels_with_work(conn, on.now) == []


@pytest.mark.parametrize(("decision", "state"), [("cancel", "cancelled"), ("resume", "running")])
async def test_a_held_database_pauses_direct_runs_until_a_person_decides(
    stage: SetUp, decision: str, state: str
) -> None:
    on = await stage(1)
    run = await _direct_run(on)
    async with transaction(on.pool) as conn:
        person = await make_user(conn, Role.OPERATOR, now=on.now, kind="county")
        await stop_all.hold_all(conn, "restored", on.now, KnownGap())
        assert await conn.fetchval("SELECT state FROM runs WHERE id = $1", run) == "paused"
        await stop_all.lift(conn, person, "looked", how=stop_all.LiftAs(decision), now=on.now)
        assert await conn.fetchval("SELECT state FROM runs WHERE id = $1", run) == state
        campaign = "SELECT c.state FROM campaigns c JOIN runs r ON r.campaign_id = c.id"
        assert await conn.fetchval(f"{campaign} WHERE r.id = $1", on.run) == "paused"
