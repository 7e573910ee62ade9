"""The connected resources of one process, opened once by the web application or a worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from service.clock import Clock
from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured
from service.queue import Queue, open_queue
from service.settings import Settings
from service.storage.postgres import Connection, Pool, open_pool, transaction


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process works with. Rules get facts from it; they never reach for globals."""

    settings: Settings
    clock: Clock
    keyring: Keyring
    pool: Pool
    redis: Redis
    queue: Queue


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything, check the master key, and close it all at the end.

    Raises:
        Misconfigured: the master key is missing, unreadable, or not the one the data were
            written with.
    """
    keyring = Keyring(read_key_file(settings.key_file))
    redis = Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=3)
    async with (
        open_pool(settings.database_url, size=settings.pool_size) as pool,
        open_queue(settings.redis_url) as queue,
    ):
        try:
            async with transaction(pool) as conn:
                await check_key(conn, keyring)
            yield Runtime(settings, settings.clock, keyring, pool, redis, queue)
        finally:
            await redis.aclose(close_connection_pool=True)


async def check_key(conn: Connection, keyring: Keyring) -> None:
    """Compare the key with the database's check value, or leave one in a database that has none.

    Raises:
        Misconfigured: the data were written with another key.
    """
    await conn.execute(
        "INSERT INTO key_checks (key_id, check_value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        keyring.key_id,
        keyring.check_value,
    )
    stored = await conn.fetchval(
        "SELECT check_value FROM key_checks WHERE key_id = $1", keyring.key_id
    )
    if stored != keyring.check_value:
        raise Misconfigured(
            "this master key is not the one the database was written with; "
            "give TOCSIN_KEY_FILE the right one: with another, nobody's number can be read"
        )
