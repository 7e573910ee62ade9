"""Keeps a receiver's connection open, for accounts that submit over one and receive over another.

Losing it costs nothing: the SMSC keeps what it has for us until the connection is back.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.channels.contract.gateway import Gateway, GatewayError

logger = logging.getLogger(__name__)

NOT_CONNECTED = "receiver is not connected"
CONNECTION_LOST = "receiver's connection lost"
BROKEN = "receiver could not be served, trying again"

RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS = 0.5, 30.0
REFUSED_SECONDS = 60.0
"""How long a refused login waits: it needs a person."""

STEADY_SECONDS = 10.0
"""A connection that lasted so long begins with the shortest pause again."""

DRAIN_SECONDS = 5.0
"""How long closing waits for what is being stored."""


@asynccontextmanager
async def kept_open(make: Callable[[], Gateway]) -> AsyncIterator[None]:
    """A connection that is opened, and opened again whenever it is lost, while the block runs.

    make: gives a new unopened gateway for each connection.
    """
    keeper = asyncio.create_task(_keep(make))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _keep(make: Callable[[], Gateway]) -> None:
    loop = asyncio.get_running_loop()
    delay = RETRY_FIRST_SECONDS
    while True:
        since = loop.time()
        try:
            await _serve(make())
            logger.warning(CONNECTION_LOST)
            delay = min(RETRY_MOST_SECONDS, delay * 2)
            if loop.time() - since > STEADY_SECONDS:
                delay = RETRY_FIRST_SECONDS
        except GatewayError as error:
            logger.warning(NOT_CONNECTED, extra={"why": error.message, "code": error.code})
            delay = min(RETRY_MOST_SECONDS, delay * 2) if error.retryable else REFUSED_SECONDS
        except Exception:  # an end of this loop would stop receiving without a word
            logger.exception(BROKEN)
            delay = RETRY_MOST_SECONDS
        await asyncio.sleep(delay * random.uniform(0.7, 1.0))  # noqa: S311  # jitter


async def _serve(gateway: Gateway) -> None:
    """Open it and wait until it is lost; close it in good order when cancelled."""
    await gateway.open()
    try:
        await gateway.lost.wait()
    finally:
        await gateway.close(drain_seconds=DRAIN_SECONDS)
