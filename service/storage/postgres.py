"""The only door to the PostgreSQL driver: pools, connections, transactions."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Record = asyncpg.Record
if TYPE_CHECKING:  # generic in the stubs, not at run time
    Pool = asyncpg.Pool[asyncpg.Record]
    OwnConnection = asyncpg.Connection[asyncpg.Record]
    Connection = OwnConnection | PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    OwnConnection = asyncpg.Connection
    Connection = OwnConnection | PoolConnectionProxy
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

TooManyConnections = asyncpg.TooManyConnectionsError
OutOfRoom = asyncpg.DiskFullError

UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # no disk, no memory, no more connections
    asyncpg.InternalClientError,  # what the driver says when the server dies between two commands
)
"""What a database that is down, restarting or full (of connections, of data) raises: wait and try
again."""


class Overtaken(Exception):  # no fault of anybody
    """Somebody else did the same and has committed it; whoever tries again will see it."""


COLLISIONS: tuple[type[Exception], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    Overtaken,
)
"""Two writers met; the loser's transaction left nothing and can simply be run again."""

UNFIT: tuple[type[Exception], ...] = (asyncpg.DataError, ValueError, TypeError, OverflowError)
"""A value that PostgreSQL or the driver takes in no way: trying again changes nothing. To be caught
before UNREACHABLE, which some of these are as well."""


SESSION = {
    # A process that is frozen in the middle of a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "10s",
    # The advisory locks of the hand-off rely on each statement seeing what was committed before it.
    "default_transaction_isolation": "read committed",
}


BY_KEY = {
    # A plan is kept as long as its connection, and the first ones may be made while the tables are
    # as good as empty: then they would read whole tables for ever.
    "enable_seqscan": "off",
}
"""For a pool whose statements all look things up by a key."""


async def _prepare(connection: OwnConnection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )


async def _keep(_: OwnConnection) -> None:
    """Nothing to reset: no code leaves session state behind, and a reset costs a round trip."""


async def connect(url: str) -> OwnConnection:
    """One connection of its own, outside any pool."""
    connection: OwnConnection = await asyncpg.connect(url, timeout=10)
    await _prepare(connection)
    return connection


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[OwnConnection]:
    """One connection of its own, closed at the end."""
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


COMMAND_SECONDS = 120
"""How long a statement may take, unless whoever makes it says otherwise."""


@asynccontextmanager
async def open_pool(url: str, *, size: int, session: Mapping[str, str] = {}) -> AsyncIterator[Pool]:
    """A pool of at most `size` connections, closed at the end; session: further settings."""
    pool: Pool = await asyncpg.create_pool(
        url,
        server_settings={**SESSION, **session},
        min_size=0,
        max_size=size,
        init=_prepare,
        reset=_keep,
        command_timeout=COMMAND_SECONDS,
        timeout=10,
    )
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 5)
        except UNREACHABLE:  # TimeoutError is an OSError
            pool.terminate()


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a transaction: all of it or none. Never held across a gateway call."""
    async with acquire(pool) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool, for several transactions one after another."""
    async with pool.acquire() as connection:
        try:
            yield connection
        except UNREACHABLE:
            # Half-dead, it must not go back into the pool. One that the server ended has left it
            # already, and says so: that must not hide why.
            with suppress(asyncpg.InterfaceError):
                connection.terminate()
            raise


def affected(status: str) -> int:
    """The number of rows in a command's status, e.g. 3 for "UPDATE 3"."""
    return int(status.rsplit(" ", 1)[-1])


def one(row: Record | None) -> Record:
    """The row of a statement that must have one (INSERT … RETURNING, aggregates)."""
    if row is None:
        raise LookupError("the statement returned no row")
    return row
