"""The connected resources of one process, opened once by the web application or a worker."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from service.clock import Clock
from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured, Misfit
from service.figures import ProcessFigures
from service.liveness.life import Life
from service.queue import Queue, open_queue, open_redis
from service.servers import NO_TABLES, wait_for_servers
from service.settings import Settings
from service.storage import sql
from service.storage.migrate import applied_migrations, find_misfit
from service.storage.postgres import (
    Connection,
    NoRight,
    NoTable,
    Pool,
    open_pool,
    transaction,
)
from service.storage.replica import ReadReplica, open_replica
from service.storage.roles import NO_RIGHTS, find_excess, login_of, warn_of_excess
from service.words.phrase import phrase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process works with. Rules get facts from it; they never reach for globals.

    life: where the process says that it goes round, and knows how its clock stands. figures: what
    it counts for whoever watches it. replica: a standby for what may be a few seconds old, where
    there is one.
    """

    settings: Settings
    clock: Clock
    keyring: Keyring
    pool: Pool
    redis: Redis
    queue: Queue
    life: Life = field(default_factory=Life)
    figures: ProcessFigures = field(default_factory=ProcessFigures)
    replica: ReadReplica | None = None


@asynccontextmanager
async def open_runtime(settings: Settings, life: Life | None = None) -> AsyncIterator[Runtime]:
    """Open everything, check the master key, and close it all at the end. PostgreSQL is waited for.

    life: of this process, where it is watched.

    Raises:
        Misconfigured: PostgreSQL or Redis is not what is needed; the database has no tables yet.
        Misfit: its tables are not those that this version works with.
        Misconfigured: the master key is missing, unreadable, or not the one the data were
            written with.
    """
    keyring = Keyring(read_key_file(settings.key_file))
    await wait_for_servers(settings.database_url, settings.redis_url)
    async with (
        open_pool(settings.database_url, size=settings.pool_size) as pool,
        open_queue(settings.redis_url) as queue,
        open_redis(settings.redis_url) as redis,
    ):
        try:
            async with transaction(pool) as conn:
                if why := find_misfit(await applied_migrations(conn)):
                    raise Misfit(why)
                await check_key(conn, keyring)
                await _warn_of_role(conn, settings)
        except NoTable:
            raise Misconfigured(NO_TABLES) from None
        except NoRight:
            raise Misconfigured(NO_RIGHTS) from None
        async with _replica(settings, pool) as replica:
            yield Runtime(
                *(settings, settings.clock, keyring, pool, redis, queue),
                life=life or Life(),
                replica=replica,
            )


@asynccontextmanager
async def _replica(settings: Settings, pool: Pool) -> AsyncIterator[ReadReplica | None]:
    if settings.read_url is None:
        yield None
        return
    async with open_replica(
        settings.read_url,
        *(pool, settings.clock),
        size=settings.pool_size,
        most_behind=settings.read_behind_seconds,
    ) as replica:
        yield replica


async def _warn_of_role(conn: Connection, settings: Settings) -> None:
    if why := await find_excess(conn):
        log.warning(warn_of_excess(login_of(settings.database_url).user, why))


async def check_key(conn: Connection, keyring: Keyring) -> None:
    """Compare the keys with the database's check values, and leave one of each that it has not.

    Raises:
        Misconfigured: the data were written with another key, or with one that is not there.
    """
    await sql.executemany(
        conn,
        """
        INSERT INTO key_checks (key_id, check_value) VALUES (:key_id, :value)
        ON CONFLICT DO NOTHING
        """,
        [{"key_id": key_id, "value": value} for key_id, value in keyring.check_values.items()],
    )
    compare_keys(await stored_checks(conn), keyring)


async def stored_checks(conn: Connection) -> dict[int, bytes]:
    """The check values that a database keeps of its keys; none if it has no tables yet."""
    if not await conn.fetchval("SELECT to_regclass('key_checks') IS NOT NULL"):
        return {}
    rows = await conn.fetch("SELECT key_id, check_value FROM key_checks")
    return {row["key_id"]: row["check_value"] for row in rows}


def compare_keys(stored: Mapping[int, bytes], keyring: Keyring) -> None:
    """Refuse keys that are not those with which data were encrypted; raises as `check_key`."""
    given = keyring.check_values
    for key_id, value in stored.items():
        if key_id not in given:
            raise Misconfigured(
                phrase(
                    "the key file lacks key {key_id}, with which data are encrypted; give"
                    " TOCSIN_KEY_FILE the newest one: `tocsin keys add` has written to it",
                    key_id=key_id,
                )
            )
        if given[key_id] != value:
            raise Misconfigured(
                phrase(
                    "this master key is not the one the database was written with; give"
                    " TOCSIN_KEY_FILE the right one: with another, nobody's number can be read"
                )
            )
