"""A database for each test: cloned from a template, and used again if nothing was written in it.

To clone and drop one takes 40 ms of processor, and the first connection to it 25 ms more.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from service.local.embedded import Postgres
from service.storage.postgres import Connection, connected


class Databases:
    """The databases of one test process."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._unused: dict[str, str] = {}  # by template: a clone in which nothing was written
        self._numbers = itertools.count()

    def owner_url(self, database: str) -> str:
        """The address of a database as the owner of its tables."""
        return self._server.url.replace("/tocsin?", f"/{database}?")

    def service_url(self, database: str) -> str:
        """The same as the service's role: what is not granted to it is refused in every test."""
        return self._server.service_url.replace("/tocsin?", f"/{database}?")

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Connection]:
        """A superuser's connection to a database of no test."""
        async with connected(self.owner_url("postgres")) as connection:
            yield connection

    @asynccontextmanager
    async def clone(self, template: str) -> AsyncIterator[str]:
        """The name of a database like the template, which is nobody else's until the end."""
        async with self.admin() as admin:
            name = self._unused.pop(template, "") or await self.new(admin, template)
            before = await _next_transaction(admin)
            yield name
            written = await _next_transaction(admin) != before
            if written or template in self._unused or await _connections(admin, name):
                await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            else:
                self._unused[template] = name

    async def shorten_logins(self, admin: Connection) -> None:
        """Let passwords be hashed once instead of 4,096 times at each of thousands of logins."""
        await admin.execute("ALTER SYSTEM SET scram_iterations = 1")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute("SET scram_iterations = 1")
        password = unquote(urlsplit(self._server.url).password or "")
        await admin.execute(f"ALTER ROLE tocsin PASSWORD '{password}'")

    async def new(self, admin: Connection, template: str, name: str = "") -> str:
        """Make a database like the template; without a name it gets one. Returns its name."""
        name = name or f"test_{next(self._numbers)}"
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name


async def _next_transaction(admin: Connection) -> str:
    """The number of the next transaction that writes, anywhere on the server."""
    number: str = await admin.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    return number


async def _connections(admin: Connection, name: str) -> int:
    """How many connections to the database have been left open."""
    count: int = await admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name
    )
    return count
