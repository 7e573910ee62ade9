"""Under a TPS, tokens come in lumps and marks are worth a transaction, or they cost a machine."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from service.dispatch.handoff import record_store, recorder, store
from service.dispatch.limits.in_flight import permits_for
from service.dispatch.limits.pace import Pace, RateLimit, TokenGrant
from tests.harness.stage import Accept, Scripted, SetUp, Stage, done, working
from tests.harness.waiting import until

TPS, WINDOW, PEOPLE = 1_000, 64, 600


class Counted(Pace):
    """The bucket itself, and how many tokens each grant had."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.granted: list[int] = []

    async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
        grant = await super().take(limits, want, least)
        if grant.count and not grant.stale:
            self.granted.append(grant.count)
        return grant


async def test_neither_tokens_nor_marks_come_one_by_one(
    stage: SetUp, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(PEOPLE, tps=TPS, window=WINDOW)
    pace, marked, mark = Counted(redis), [], store.mark

    async def counted(*arguments: Any, **how: Any) -> Any:
        rows, stand = await mark(*arguments, **how)
        marked.append(len(rows))
        return rows, stand

    monkeypatch.setattr(store, "mark", counted)
    async with working(on, Scripted(lambda _: Accept), pace=pace):
        await until(lambda: done(on), 20)
    assert sum(pace.granted) >= PEOPLE
    assert sum(pace.granted) / len(pace.granted) > 8, "half a burst is ten"
    assert sum(marked) / len(marked) > 8, "a quarter of the window is sixteen"


async def test_results_wait_for_company_and_no_permit_waits_for_them(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    recorded = record_store.record_results

    async def counted(conn: Any, channel_id: int, results: Any, now: Any) -> Any:
        batches.append(len(results))
        return await recorded(conn, channel_id, results, now)

    monkeypatch.setattr(record_store, "record_results", counted)
    on = await stage(200, window=400)
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: random.uniform(0, 0.2)
    async with working(on, gateway):
        await until(lambda: done(on), 20)
    assert sum(batches) == 200
    assert len(batches) <= 20


async def test_results_wait_for_no_company_once_they_hold_an_eighth_of_the_permits(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(200, window=8)
    with monkeypatch.context() as patience:
        patience.setattr(recorder, "FLUSH_SECONDS", 60)
        async with working(on, Scripted(lambda _: Accept)):
            await until(lambda: _some_are_recorded(on), 20)
            patience.undo()


async def _some_are_recorded(on: Stage) -> bool:
    return "submitted" in await on.states()


async def test_the_window_is_full_while_marks_and_results_wait(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is answered keeps no place of the window until its commit, and what is marked ahead
    takes one at once; all together have no more than the permits.
    """
    on, window = await stage(300, window=4), 4
    held = asyncio.Event()
    recorded = record_store.record_results

    async def slow(*arguments: Any) -> Any:
        await held.wait()
        return await recorded(*arguments)

    monkeypatch.setattr(record_store, "record_results", slow)
    gateway = Scripted(lambda _: Accept)

    async def used_up() -> bool:
        return (await on.states()).get("submitting") == permits_for(window)

    async with working(on, gateway):
        await until(used_up, 20)
        await until(lambda: _written(gateway, permits_for(window)), 20)
        assert "submitted" not in await on.states()
        held.set()
        await until(lambda: done(on), 20)
    assert len(gateway.written) == 300


async def _written(gateway: Scripted, count: int) -> bool:
    return len(gateway.written) >= count
