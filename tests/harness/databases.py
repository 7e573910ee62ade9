"""The databases of tests: cloned from a template, and emptied for the next test that wants it.

To clone and drop one takes 40 ms of the processor. A new connection plans each statement without
what it has read of the catalogs before, which takes about 60 ms of a test over the API. So a
database stays, with its pool, from one test to the next, as long as a test leaves nothing in it
but rows.
"""

import io
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from service.local.embedded import Postgres
from service.storage.postgres import Connection, Pool, connected, open_pool

LARGEST = 2 << 20
"""Octets that a table and its indexes may take; a database with a larger one is dropped."""

_TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1
"""

_NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"

_ALTERED = " OR ".join(
    f"EXISTS (SELECT FROM {catalog} WHERE age(xmin) <= age($1::text::xid){excepted})"
    for catalog, excepted in {
        "pg_attrdef": "",
        "pg_attribute": "",
        "pg_class": "",
        "pg_constraint": "",
        "pg_index": "",
        "pg_namespace": " AND nspname !~ '^pg_(toast_)?temp_'",
        "pg_proc": "",
        "pg_rewrite": "",
        "pg_statistic": "",
        "pg_trigger": "",
        "pg_type": "",
    }.items()
)
"""Whether anything but rows of our tables was written since a transaction, statistics included."""

_IN_USE = """
EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid() AND (state <> 'idle' OR pid <> ALL ($2::int[]))
) OR EXISTS (
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory'
)
"""
"""Whether a session that the test has left is there, or is in the middle of something."""

_SEQUENCES = """
SELECT jsonb_object_agg(sequencename, last_value) FILTER (WHERE last_value IS NOT NULL)
FROM pg_sequences WHERE schemaname = 'public'
"""

_RESTART = """
SELECT setval(
    format('%I.%I', schemaname, sequencename)::regclass,
    coalesce(($1::jsonb ->> sequencename)::bigint, start_value), $1::jsonb ? sequencename
)
FROM pg_sequences
WHERE schemaname = 'public' AND last_value IS DISTINCT FROM ($1::jsonb ->> sequencename)::bigint
"""


@dataclass
class Database:
    """One that a test has for itself while it runs."""

    name: str
    url: str
    """As the service's role: what is not granted to it is refused in every test."""
    pool: Pool
    connection: Connection
    """One of the same role outside the pool."""
    _second: Pool | None
    _owner: Connection
    _stack: AsyncExitStack
    _filled: dict[str, bytes] = field(default_factory=dict)
    """What stands in those of its tables that are not empty in the template."""
    _sequences: dict[str, int] = field(default_factory=dict)
    """The last numbers of those of its sequences that have given one in the template."""
    _written: str = ""
    """A query of the tables in which rows were written, or deleted, since a transaction."""
    _since: str = ""
    """The transaction."""

    @classmethod
    async def open(cls, name: str, service_url: str, owner_url: str) -> "Database":
        """Connect to a clone in which nothing was written yet."""
        stack = AsyncExitStack()
        owner = await stack.enter_async_context(connected(owner_url))
        pool = await stack.enter_async_context(open_pool(service_url, size=10))
        connection = await stack.enter_async_context(connected(service_url))
        self = cls(name, service_url, pool, connection, None, owner, stack)
        await owner.execute("SET session_replication_role = replica")  # no trigger of ours
        parts = []
        for (table,) in await owner.fetch(_TABLES):
            changed = f"EXISTS (SELECT FROM {table})"
            if rows := await owner.fetchval(f"SELECT count(*) FROM {table}"):
                content = io.BytesIO()
                await owner.copy_from_table(table, output=content, format="binary")
                self._filled[table] = content.getvalue()
                changed = (
                    f"(SELECT count(*) FROM {table}) <> {rows} OR EXISTS "
                    f"(SELECT FROM {table} WHERE age(xmin) <= age($1::text::xid))"
                )
            parts.append(f"CASE WHEN {changed} THEN '{table}' END")
        self._written = f"SELECT array_remove(ARRAY[{', '.join(parts)}], NULL), $1::text"
        self._sequences = await owner.fetchval(_SEQUENCES) or {}
        self._since = await owner.fetchval(_NEXT_TRANSACTION)
        return self

    async def empty(self) -> bool:
        """Make it what it was; returns whether it is: one that cannot be is to be dropped."""
        if self._owner.is_closed() or self.connection.is_closed():
            return False
        pools = [pool for pool in (self.pool, self._second) if pool is not None]
        if any(pool.is_closing() or pool.get_idle_size() < pool.get_size() for pool in pools):
            return False
        kept = [self.connection.get_server_pid(), *_pids(pools)]
        if await self._owner.fetchval(f"SELECT {_IN_USE} OR {_ALTERED}", self._since, kept):
            return False
        await self._owner.execute(_RESTART, self._sequences)
        written: Sequence[str] = await self._owner.fetchval(self._written, self._since)
        if not written:
            return True
        largest = "SELECT max(pg_total_relation_size(t::regclass)) FROM unnest($1::text[]) t"
        if await self._owner.fetchval(largest, written) > LARGEST:
            return False
        await self._owner.execute("; ".join(f"DELETE FROM {table}" for table in written))
        for table in written:
            if table in self._filled:
                await self._owner.copy_to_table(
                    table, source=io.BytesIO(self._filled[table]), format="binary"
                )
        self._since = await self._owner.fetchval(_NEXT_TRANSACTION)
        return True

    async def second_pool(self, size: int) -> Pool:
        """Another pool of the same role, for a process that has two."""
        if self._second is None:
            self._second = await self._stack.enter_async_context(open_pool(self.url, size=size))
        assert self._second.get_max_size() == size
        return self._second

    async def close(self) -> None:
        """End its connections."""
        self.pool.terminate()
        if self._second is not None:
            self._second.terminate()
        await self._stack.aclose()


def _pids(pools: Sequence[Pool]) -> list[int]:
    connections = [holder._con for pool in pools for holder in pool._holders]
    return [one.get_server_pid() for one in connections if one is not None and not one.is_closed()]


class Databases:
    """The databases of one test process."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._idle: dict[str, Database] = {}  # by template
        self._numbers = itertools.count()

    def owner_url(self, database: str) -> str:
        """The address of a database as the owner of its tables."""
        return self._server.url.replace("/tocsin?", f"/{database}?")

    def service_url(self, database: str) -> str:
        """The same as the service's role."""
        return self._server.service_url.replace("/tocsin?", f"/{database}?")

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Connection]:
        """A superuser's connection to a database of no test."""
        async with connected(self.owner_url("postgres")) as connection:
            yield connection

    @asynccontextmanager
    async def lend(self, template: str, *, fresh: bool = False) -> AsyncIterator[Database]:
        """A database like the template, which is nobody else's until the end; fresh: and in which
        nobody has written before.
        """
        kept = None if fresh else self._idle.pop(template, None)
        database = kept or await self._clone(template)
        yield database
        if template not in self._idle and await database.empty():
            self._idle[template] = database
        else:
            await self._drop(database)

    async def close(self) -> None:
        """Drop those that wait for a test."""
        while self._idle:
            await self._drop(self._idle.popitem()[1])

    async def prepare(self, admin: Connection) -> None:
        """Let passwords be hashed once instead of 4,096 times at each of thousands of logins, and
        let nothing change statistics in the middle of a test: its database would be dropped.

        Statements of the API are planned once a connection. By itself PostgreSQL plans each five
        times, for the values of each time; that was an eighth of what a test over the API costs.
        """
        await admin.execute("ALTER SYSTEM SET scram_iterations = 1")
        await admin.execute("ALTER SYSTEM SET autovacuum = off")
        await admin.execute("ALTER SYSTEM SET plan_cache_mode = force_generic_plan")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute("SET scram_iterations = 1")
        password = unquote(urlsplit(self._server.url).password or "")
        await admin.execute(f"ALTER ROLE tocsin PASSWORD '{password}'")

    async def new(self, admin: Connection, template: str, name: str = "") -> str:
        """Make a database like the template; without a name it gets one. Returns its name."""
        name = name or f"test_{next(self._numbers)}"
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    async def _clone(self, template: str) -> Database:
        async with self.admin() as admin:
            name = await self.new(admin, template)
        return await Database.open(name, self.service_url(name), self.owner_url(name))

    async def _drop(self, database: Database) -> None:
        await database.close()
        async with self.admin() as admin:
            await admin.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')
