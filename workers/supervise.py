"""Keeps an arq worker alive: it is rebuilt whenever Redis restarts, hiccups or is away.

arq's worker ends with the first lost connection; what must not end with it (sessions, leases, the
drain loop) lives outside.
"""

import asyncio
import contextlib
from collections.abc import Callable

from arq.worker import Worker
from redis.exceptions import RedisError

MOST_SECONDS = 5.0

Lost = Callable[[object], None]
"""Called with what was raised when Redis did not answer."""


async def supervise(make: Callable[[], Worker], stop: asyncio.Event, lost: Lost) -> None:
    """Run workers made by `make`, one after the other, until `stop` is set."""
    delay = 0.1
    while not stop.is_set():
        worker: Worker | None = None
        try:
            worker = make()
            await _run_until(worker, stop)
            delay = 0.1
        except (RedisError, OSError) as error:
            lost(error)
            delay = min(MOST_SECONDS, delay * 2)
        finally:
            if worker is not None:
                await _close(worker)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)


async def _run_until(worker: Worker, stop: asyncio.Event) -> None:
    """Run a worker until it fails or `stop` is set; then let the running jobs finish."""
    running = asyncio.create_task(worker.async_run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        worker.allow_pick_jobs = False
        if worker.tasks:
            await asyncio.wait(worker.tasks.values(), timeout=25)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _close(worker: Worker) -> None:
    """End its jobs, take back its sign of life, and close its connections in any case."""
    for task in worker.tasks.values():
        task.cancel()
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    with contextlib.suppress(RedisError, OSError):
        await worker.pool.delete(worker.health_check_key)
    with contextlib.suppress(RedisError, OSError):
        await worker.pool.aclose(close_connection_pool=True)
