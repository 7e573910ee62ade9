"""A count is made once for all who ask, and for a twentieth of the time at most."""

import asyncio

import pytest

from service.shared_counts import LATE_SECONDS, MOST, REST, SharedCounts
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


async def fails() -> int:
    raise TimeoutError


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr("service.shared_counts.time.monotonic", lambda: counted.now)
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
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await counted.counts.get("run", fails)
    assert await counted.ask() == 1


async def test_whoever_watches_does_not_wait_for_the_next_count(counted: Counted) -> None:
    go_on = asyncio.Event()

    async def slowly() -> int:
        await go_on.wait()
        return await counted.count()

    await counted.ask()
    counted.now += REST * 2 + 1
    for _ in range(3):
        assert await counted.counts.get("run", fails, behind=slowly) == 1
        await turns(3)
    go_on.set()
    await turns(3)
    assert await counted.counts.get("run", fails, behind=fails) == 2
    assert counted.times == 2, "it was counted once for all three"


async def test_whoever_comes_late_waits_for_a_new_count(counted: Counted) -> None:
    await counted.ask()
    counted.now += REST * 2 + LATE_SECONDS + 1
    assert await counted.counts.get("run", counted.count, behind=fails) == 2


async def test_one_count_at_a_time_is_made_behind_those_who_ask(counted: Counted) -> None:
    async def never() -> int:
        await asyncio.Event().wait()
        raise AssertionError

    await counted.ask("one")
    await counted.ask("another")
    counted.now += REST * 2 + 1
    await counted.counts.get("one", fails, behind=never)
    await turns(3)
    assert await counted.counts.get("another", fails, behind=counted.count) == 2
    await turns(3)
    assert counted.times == 2, "another has to wait"
    await counted.counts.close()
    await counted.counts.get("another", fails, behind=counted.count)
    await turns(3)
    assert counted.times == 3
    assert await counted.counts.get("one", fails, behind=counted.count) == 1, "it can be counted"


async def test_a_count_behind_that_fails_is_logged_and_made_again(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    await counted.ask()
    counted.now += REST * 2 + 1
    for _ in range(2):
        assert await counted.counts.get("run", fails, behind=fails) == 1
        await turns(3)
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


async def test_things_are_counted_apart_and_the_oldest_forgotten(counted: Counted) -> None:
    counted.takes = 1000.0
    for key in range(MOST + 1):
        await counted.ask(key)
    assert counted.times == MOST + 1
    assert await counted.ask(MOST) == MOST + 1
    assert await counted.ask(0) == MOST + 2, "it was forgotten, and is counted anew"
