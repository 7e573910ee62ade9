"""Keeps an arq worker alive: it is rebuilt whenever Redis restarts, hiccups or is away.

arq's worker ends with the first lost connection; what must not end with it (sessions, leases, the
drain loop) lives outside. It also ends over what stands in its queue and cannot be: then the queue
is emptied, for it holds wake-ups only, and the sweep asks again for whatever is open (decision
0242).
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable

from arq.worker import Worker
from redis.exceptions import RedisError, ResponseError

from service.logs import seldom

log = logging.getLogger(__name__)

ABSURD = "what stands in a queue was not written by us, and is thrown away"
MOST_SECONDS = 5.0
MOST_WORDS = 2_000
"""How much is logged of why a worker ended."""

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
            if isinstance(error, ResponseError):  # a key of another type, such as
                await _empty(worker, repr(error))
            delay = min(MOST_SECONDS, delay * 2)
        except Exception:  # noqa: BLE001  # arq's own, over a job or an id that cannot be read
            await _empty(worker, traceback.format_exc())
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


async def _empty(worker: Worker | None, why: str) -> None:
    """Delete a worker's queue, whatever it holds."""
    seldom(log, logging.WARNING, ABSURD, why=why[-MOST_WORDS:])
    if worker is not None:
        with contextlib.suppress(Exception):  # it is met again, and tried again
            await worker.pool.delete(worker.queue_name)


async def _close(worker: Worker) -> None:
    """End its jobs, take back its sign of life, and close its connections in any case. Whatever is
    wrong with these (a command that was broken off may leave one where nobody expects it), the next
    worker has its own.
    """
    for task in worker.tasks.values():
        task.cancel()
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    with contextlib.suppress(Exception):
        await worker.pool.delete(worker.health_check_key)
    with contextlib.suppress(Exception):
        await worker.pool.aclose(close_connection_pool=True)
