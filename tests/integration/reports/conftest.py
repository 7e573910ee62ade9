"""The API at a time that a test moves, beside workers and carriers on the same clock."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from redis.asyncio import Redis

from service.clock import Clock
from service.crypto import Keyring
from service.local.embedded import Valkey
from service.queue import open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import Pool
from tests.harness.moved_clock import MovedClock
from tests.integration.api.conftest import api as api
from tests.integration.api.conftest import hired as hired
from tests.integration.api.conftest import staff as staff
from tests.integration.api.conftest import template as template

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def now() -> datetime:
    """The Friday before the plan begins."""
    return datetime(2027, 1, 8, 10, tzinfo=SHANGHAI)


@pytest.fixture
def clock(now: datetime) -> MovedClock:
    moved = MovedClock()
    moved.move(now)
    return moved


@pytest.fixture
async def runtime(
    pool: Pool, database_url: str, valkey: Valkey, redis: Redis, keyring: Keyring, clock: MovedClock
) -> AsyncIterator[Runtime]:
    settings = Settings(database_url=database_url, redis_url=valkey.url, key_file=Path("/nowhere"))
    async with open_queue(valkey.url) as queue:
        yield Runtime(settings, cast(Clock, clock), keyring, pool, redis, queue)
