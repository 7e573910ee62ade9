"""Waiting in tests: for a condition, for turns of the event loop, for a lock, for further calls.

A test waits for what it asks about, and fails with its name if that does not come. That something
does not happen is shown by a counted act after which it would have happened: further calls of the
loop that would do it, or a statement that stands at a lock. Time itself passes in
`tests/harness/pauses.py` only.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from service.storage.postgres import Pool

PATIENCE_SECONDS = 120.0
"""Long enough for a machine that is busy."""

LOOKS_SHARE = 10
"""A pause is so many times as long as the look before it took: looking is a tenth of the work."""

LONGEST_PAUSE_SECONDS = 0.05
"""Between two looks that are costly themselves."""

BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until(
    condition: Callable[[], Any],
    within: float = PATIENCE_SECONDS,
    what: str = "",
    *,
    every: float = 0.005,
    progress: Callable[[], object] | None = None,
    raising: type[AssertionError] = AssertionError,
) -> Any:
    """Wait until a condition holds, and return what it gave. within: seconds.

    The condition may be awaitable. Between two looks are `every` seconds, and more where a look
    takes its time. With `progress` the time counts from its last change: a slow machine may take
    long, but nothing may stand still.

    Raises:
        AssertionError: it did not hold in time; or what `raising` names.
    """
    loop, seen = asyncio.get_running_loop(), progress and progress()
    try:
        async with asyncio.timeout(within) as limit:
            while True:
                began = loop.time()
                if found := await _value(condition):
                    return found
                if progress is not None and (now := progress()) != seen:
                    seen = now
                    limit.reschedule(loop.time() + within)
                pause = min(LOOKS_SHARE * (loop.time() - began), LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(max(every, pause))
    except TimeoutError as error:
        if not limit.expired():
            raise
        name = what or getattr(condition, "__qualname__", repr(condition))
        raise raising(f"{name}: not within {within:g} s") from error


async def _value(condition: Callable[[], Any]) -> Any:
    found = condition()
    return await found if inspect.isawaitable(found) else found


def until_sync(
    condition: Callable[[], object],
    within: float = PATIENCE_SECONDS,
    explain: Callable[[], str] = str,
) -> None:
    """The same for what is not asynchronous. explain: what a failure adds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {explain()}"
        time.sleep(0.05)


async def turns(count: int = 1) -> None:
    """Let the event loop go round: each time all that is ready runs, and all sockets are read."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until_blocked(
    pool: Pool, *tasks: "asyncio.Future[Any]", within: float = PATIENCE_SECONDS
) -> None:
    """Wait until as many statements of this database stand at a lock as there are tasks.

    Raises:
        AssertionError: one of the tasks ended instead, or not all stand at a lock in time.
    """

    async def all_wait() -> bool:
        ended = [task for task in tasks if task.done()]
        assert not ended, f"it does not wait: {ended}"
        return bool(await pool.fetchval(BLOCKED) >= max(1, len(tasks)))

    await until(all_wait, within, "a statement waits for a lock")


async def everybody_tried_again(tries: dict[int, int]) -> None:
    """Wait until each of them has begun and ended one more try since now.

    tries: how many each has ended; one may be under way.
    """
    enough = {who: count + 2 for who, count in tries.items()}
    await until(
        lambda: all(tries[who] >= count for who, count in enough.items()), what="another try"
    )


class Calls:
    """How often a function has returned or raised since it is counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    async def reach(self, count: int, within: float = PATIENCE_SECONDS) -> None:
        """Wait until there were so many in all."""
        await until(lambda: self.count >= count, within, f"{count} calls of {self.name}")

    async def more(self, count: int = 1, within: float = PATIENCE_SECONDS) -> None:
        """Wait until so many that begin after now have ended; one may be under way."""
        await self.reach(self.count + count + 1, within)


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Calls:
    """Count the calls of a function of a module or a class; it does what it did before."""
    real, calls = getattr(owner, name), Calls(name)

    @wraps(real)
    async def counting(*args: Any, **options: Any) -> Any:
        try:
            return await real(*args, **options)
        finally:
            calls.count += 1

    @wraps(real)
    def counting_at_once(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        finally:
            calls.count += 1

    counts = counting if inspect.iscoroutinefunction(real) else counting_at_once
    monkeypatch.setattr(owner, name, counts)
    return calls
