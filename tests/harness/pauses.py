"""Where real time passes in tests: somebody is slow, acts at his own rhythm, or at any moment.

None of these is a way to wait for something: see `tests/harness/waiting.py`. The modules that use
them are listed in `tests/architecture/test_sleeps.py`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def delay(seconds: float) -> None:
    """Take so long, as a slow peer, a slow carrier, a slow database or a lasting fault does."""
    await asyncio.sleep(seconds)


def stall(seconds: float) -> None:
    """Hold a thread for so long, as a machine that is busy with others does."""
    time.sleep(seconds)


async def random_moment(most: float, dice: Any = random, least: float = 0.0) -> None:
    """Go on at a random moment within so many seconds: where a round of a race falls."""
    await asyncio.sleep(dice.uniform(least, most))


async def repeatedly(
    act: Callable[[], Awaitable[object]], every: float, over: asyncio.Event | None = None
) -> None:
    """Act again and again at this rhythm, as a worker does, until cancelled or until it is over."""
    while over is None or not over.is_set():
        await act()
        await asyncio.sleep(every)


async def elapse(seconds: float) -> None:
    """Let time pass where the time itself is tested: tokens of a second, the age of a token, the
    limit of an answer.
    """
    await asyncio.sleep(seconds)
