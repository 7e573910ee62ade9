"""When a run is looked at again, whether anything of it is still open."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.delivery.receipts import settle_store
from service.delivery.receipts.settle_store import CLAIMED, settle_runs
from service.dispatch.handoff import sweep_store
from service.storage.postgres import Connection, Record
from tests.harness.receipts import DAYS_3, SECOND, HandedOff, SetUp
from tests.harness.waiting import until

MINUTE = timedelta(minutes=1)


async def settle(on: HandedOff, at: datetime) -> None:
    async with on.pool.acquire() as conn:
        await settle_runs(conn, at)


async def sent(stage: SetUp) -> HandedOff:
    """A run of four whose texts are all submitted, and that is handed off."""
    on = await stage(4)
    await on.mark(1, 2, 3, 4)
    for no in (1, 2, 3, 4):
        await on.answered(no, b"r%d" % no)
    await on.pool.execute("UPDATE runs SET state = 'sent', finished_at = $1", on.now)
    return on


async def next_look(on: HandedOff) -> datetime | None:
    at: datetime | None = await on.pool.fetchval("SELECT settle_at FROM runs")
    return at


async def settled_at(on: HandedOff) -> datetime | None:
    at: datetime | None = await on.pool.fetchval("SELECT settled_at FROM runs")
    return at


async def test_looks_grow_rarer_the_longer_receipts_are_waited_for(stage: SetUp) -> None:
    on = await sent(stage)
    at, looks = on.now, 0
    while at < on.now + DAYS_3:
        await settle(on, at)
        found = await next_look(on)
        assert found is not None
        assert at < found <= at + timedelta(hours=1)
        at, looks = found, looks + 1
    assert looks < 150  # every five seconds would have been 51,840
    await settle(on, at)
    assert await settled_at(on) == at
    assert {await on.state(no) for no in (1, 2, 3, 4)} == {"unknown"}


async def test_between_two_looks_the_ledger_is_left_alone(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await sent(stage)
    looks = []
    look = settle_store._look

    async def counted(conn: Connection, runs: Sequence[Record], now: datetime) -> None:
        looks.append(runs)
        await look(conn, runs, now)

    monkeypatch.setattr(settle_store, "_look", counted)
    for second in range(0, 600, 5):
        await settle(on, on.now + second * SECOND)
    assert 10 < len(looks) < 40


async def test_the_look_that_finds_nothing_open_is_the_last(stage: SetUp) -> None:
    on = await sent(stage)
    for no in (1, 2, 3, 4):
        await on.receive(b"r%d" % no)
    await on.fold()
    await settle(on, on.now + MINUTE)
    assert await settled_at(on) == on.now + MINUTE
    await settle(on, on.now + 100 * MINUTE)
    assert await settled_at(on) == on.now + MINUTE


async def test_silence_is_noticed_as_soon_as_it_is_72_hours(stage: SetUp) -> None:
    on = await sent(stage)
    late = on.now + DAYS_3 - MINUTE
    await settle(on, late)
    looks_at = await next_look(on)
    assert looks_at is not None
    assert looks_at <= on.now + DAYS_3 + SECOND
    await settle(on, on.now + DAYS_3)
    assert await on.state(1) == "submitted"
    await settle(on, on.now + DAYS_3 + SECOND)
    assert await on.state(1) == "unknown"


async def test_many_silent_texts_are_given_up_some_at_a_time(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_store, "BATCH_ROWS", 3)
    on = await sent(stage)
    await settle(on, on.now + DAYS_3 + SECOND)
    assert {await on.state(no) for no in (1, 2, 3, 4)} == {"unknown"}
    assert await settled_at(on) is not None


async def test_two_schedulers_do_not_look_at_the_same_run_at_once(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await sent(stage)
    looking, looks = asyncio.Event(), []
    look = settle_store._look

    async def slow(conn: Connection, runs: Sequence[Record], now: datetime) -> None:
        looks.append(runs)
        await looking.wait()
        await look(conn, runs, now)

    monkeypatch.setattr(settle_store, "_look", slow)
    first = asyncio.create_task(settle(on, on.now + MINUTE))
    await until(lambda: looks)
    await settle(on, on.now + MINUTE)
    looking.set()
    await first
    assert len(looks) == 1


async def test_a_look_that_died_is_taken_up_again(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await sent(stage)

    async def killed(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr(settle_store, "_look", killed)
        with pytest.raises(ConnectionResetError):
            await settle(on, on.now + DAYS_3 + SECOND)
    await settle(on, on.now + DAYS_3 + 2 * SECOND)
    assert await on.state(1) == "submitted"
    await settle(on, on.now + DAYS_3 + SECOND + CLAIMED)
    assert await on.state(1) == "unknown"


async def test_a_run_that_was_opened_again_is_looked_at_as_soon_as_it_is_sent(
    stage: SetUp,
) -> None:
    on = await sent(stage)
    await on.pool.execute("UPDATE slices SET done_at = $1, slot = NULL, epoch = NULL", on.now)
    await settle(on, on.now + timedelta(hours=20))
    assert await next_look(on) == on.now + timedelta(hours=21)
    await on.pool.execute("UPDATE runs SET state = 'running', finished_at = NULL")
    async with on.pool.acquire() as conn, conn.transaction():
        await sweep_store.close_finished_runs(conn, on.now + timedelta(hours=20))
    assert await next_look(on) is None


async def test_small_runs_are_looked_at_together_and_a_big_one_alone(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await sent(stage)
    await on.pool.execute(
        "INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', uuidv7(),"
        " 'campaign_id', NULL, 'kind', 'direct', 'rule', NULL,"
        " 'sent_by', $2::uuid, 'target', t.target))).*"
        " FROM runs r, unnest($1::int[]) AS t(target)",
        [1, 1, 1, 50_000],
        on.scene.operator,
    )
    looks = []
    look = settle_store._look

    async def counted(conn: Any, runs: Any, now: datetime) -> None:
        looks.append(len(runs))
        await look(conn, runs, now)

    monkeypatch.setattr(settle_store, "_look", counted)
    await settle(on, on.now + MINUTE)
    assert sum(looks) == 5
    assert 2 <= len(looks) <= 3
    open_still = await on.pool.fetch("SELECT id FROM runs WHERE settled_at IS NULL")
    assert [row["id"] for row in open_still] == [on.run]
