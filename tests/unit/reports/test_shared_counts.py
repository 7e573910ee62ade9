"""A count is made once for all who ask, and for a twentieth of the time at most."""

import asyncio

import pytest

from service.reports.runs.shared_counts import MOST, REST, SharedCounts
from tests.harness.waiting import turns


class Counted:
    """Something that is counted, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now, self.times, self.takes = 1000.0, 0, 2.0
        self.counts: SharedCounts[int] = SharedCounts()

    async def count(self) -> int:
        self.times += 1
        self.now += self.takes
        return self.times

    async def ask(self, key: object = "run", at_least: float = 0.0) -> int:
        return await self.counts.get(key, self.count, at_least=at_least)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr("service.reports.runs.shared_counts.time.monotonic", lambda: counted.now)
    return counted


async def test_a_count_rests_twenty_times_as_long_as_it_took(counted: Counted) -> None:
    assert await counted.ask() == 1
    counted.now += REST * 2 - 0.1
    assert await counted.ask() == 1
    counted.now += 0.2
    assert await counted.ask() == 2


async def test_a_quick_count_may_be_kept_longer(counted: Counted) -> None:
    counted.takes = 0.001
    assert await counted.ask(at_least=60) == 1
    counted.now += 59
    assert await counted.ask(at_least=60) == 1
    counted.now += 2
    assert await counted.ask(at_least=60) == 2


async def test_of_many_who_ask_at_once_one_counts_and_all_get_it(counted: Counted) -> None:
    go_on = asyncio.Event()

    async def slowly() -> int:
        await go_on.wait()
        return await counted.count()

    asked = [asyncio.create_task(counted.counts.get("run", slowly)) for _ in range(20)]
    await turns(1)
    go_on.set()
    assert await asyncio.gather(*asked) == [1] * 20


async def test_while_somebody_counts_again_the_others_get_the_last_count(counted: Counted) -> None:
    await counted.ask()
    counted.now += 1000
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def slowly() -> int:
        begun.set()
        await go_on.wait()
        return await counted.count()

    anew = asyncio.create_task(counted.counts.get("run", slowly))
    await begun.wait()
    assert await counted.ask() == 1, "nobody waits for a count while there is an older one"
    go_on.set()
    assert await anew == 2


async def test_a_count_that_fails_is_made_by_the_next(counted: Counted) -> None:
    async def fails() -> int:
        raise TimeoutError

    for wrong in (fails, fails):
        with pytest.raises(TimeoutError):
            await counted.counts.get("run", wrong)
    assert await counted.ask() == 1


async def test_things_are_counted_apart_and_the_oldest_forgotten(counted: Counted) -> None:
    counted.takes = 1000.0
    for key in range(MOST + 1):
        await counted.ask(key)
    assert counted.times == MOST + 1
    assert await counted.ask(MOST) == MOST + 1
    assert await counted.ask(0) == MOST + 2, "it was forgotten, and is counted anew"
