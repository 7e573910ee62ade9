"""Under a TPS, tokens come in lumps and marks are worth a transaction, or they cost a machine."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from service.dispatch import store
from service.dispatch.pace import Grant, Limit, Pace
from tests.harness.stage import Accept, Scripted, SetUp, done, until, working

TPS, WINDOW, PEOPLE = 1_000, 64, 600


class Counted(Pace):
    """The bucket itself, and how many tokens each grant had."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.granted: list[int] = []

    async def take(self, limits: Sequence[Limit], want: int, least: int = 1) -> Grant:
        grant = await super().take(limits, want, least)
        if grant.count and not grant.stale:
            self.granted.append(grant.count)
        return grant


async def test_neither_tokens_nor_marks_come_one_by_one(
    stage: SetUp, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(PEOPLE, tps=TPS, window=WINDOW)
    pace, marked, mark = Counted(redis), [], store.mark

    async def counted(*arguments: Any) -> Any:
        rows = await mark(*arguments)
        marked.append(len(rows))
        return rows

    monkeypatch.setattr(store, "mark", counted)
    async with working(on, Scripted(lambda _: Accept), pace=pace):
        await until(lambda: done(on), 20)
    assert sum(pace.granted) >= PEOPLE
    assert sum(pace.granted) / len(pace.granted) > 4, "half a burst is five"
    assert sum(marked) / len(marked) > 8, "a quarter of the window is sixteen"
