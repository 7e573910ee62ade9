"""What one test leaves in a database is not there in the next."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from service.messages.lint.lint_store import policy_set
from service.storage.postgres import Connection, connected
from tests.factories import make_team
from tests.harness.databases import Database, Databases
from tests.harness.waiting import until

TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"


@asynccontextmanager
async def owned(databases: Databases, database: Database) -> AsyncIterator[Connection]:
    """A superuser's connection, which has ended for the server, too, before the database is given
    back.
    """
    async with connected(databases.owner_url(database.name)) as owner:
        pid = await owner.fetchval("SELECT pg_backend_pid()")
        yield owner
    async with databases.admin() as admin:

        async def gone() -> bool:
            return not await admin.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid
            )

        await until(gone)


async def content(owner: Connection) -> list[object]:
    """All rows of all tables, and the last number of each sequence."""
    tables = [name for (name,) in await owner.fetch(TABLES)]
    rows = [
        (name, await owner.fetchval(f"SELECT jsonb_agg(t ORDER BY t::text) FROM {name} t"))
        for name in tables
    ]
    return [*rows, *await owner.fetch(SEQUENCES)]


async def add_rows(database: Database, owner: Connection, now: datetime) -> None:
    async with database.pool.acquire() as conn:
        await make_team(conn, now=now)
        await policy_set(conn, {"levels": {"R02": "block"}}, "another", None, now)


async def change_row(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute(
        "SET session_replication_role = replica; UPDATE lint_policies SET reason = 'another'"
    )


async def delete_row(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute("SET session_replication_role = replica; DELETE FROM lint_policies")


async def use_number(database: Database, owner: Connection, now: datetime) -> None:
    await owner.fetch(
        "SELECT nextval(format('%I', sequencename)::regclass) FROM pg_sequences"
        " WHERE schemaname = 'public'"
    )


Act = Callable[[Database, Connection, datetime], Awaitable[None]]


@pytest.mark.parametrize("act", [add_rows, change_row, delete_row, use_number])
async def test_rows_and_numbers_are_what_they_were(
    databases: Databases, migrated: str, now: datetime, act: Act
) -> None:
    async with databases.lend(migrated) as first, owned(databases, first) as owner:
        before = await content(owner)
        await act(first, owner, now)
        assert await content(owner) != before
    async with databases.lend(migrated) as second, owned(databases, second) as owner:
        assert second is first, "it is used again"
        assert await content(owner) == before


async def make_table(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute("CREATE TABLE more ()")


async def loosen(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute("ALTER TABLE departments DISABLE TRIGGER ALL")


async def revoke(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute("REVOKE SELECT ON departments FROM tocsin_service")


async def analyse(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute("ANALYZE lint_policies")


async def fill(database: Database, owner: Connection, now: datetime) -> None:
    await owner.execute(
        "INSERT INTO lint_policies (changes, reason, changed_at)"
        " SELECT '{}', 'many', now() FROM generate_series(1, 40000)"
    )


async def keep_lock(database: Database, owner: Connection, now: datetime) -> None:
    await database.connection.execute("SELECT pg_advisory_lock(17)")


async def keep_connection(database: Database, owner: Connection, now: datetime) -> None:
    await database.pool.acquire()


@pytest.mark.parametrize(
    "act", [make_table, loosen, revoke, analyse, fill, keep_lock, keep_connection]
)
async def test_a_database_in_which_more_than_rows_was_left_is_dropped(
    databases: Databases, migrated: str, now: datetime, act: Act
) -> None:
    async with databases.lend(migrated) as first, owned(databases, first) as owner:
        await act(first, owner, now)
    async with databases.lend(migrated) as second:
        assert second is not first
    async with databases.admin() as admin:
        names = [row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database")]
    assert first.name not in names
    assert second.name in names
