"""Migrations: once each, in order, and never past a change or a newer database."""

import pytest

from service.errors import Misconfigured
from service.storage.migrate import migrate, migrations
from service.storage.postgres import Connection


async def test_migrating_twice_changes_nothing(conn: Connection) -> None:
    assert await migrate(conn) == []
    names = [row["name"] for row in await conn.fetch("SELECT name FROM migrations ORDER BY name")]
    assert names == [m.name for m in migrations()]


async def test_a_changed_migration_is_refused(conn: Connection) -> None:
    await conn.execute("UPDATE migrations SET digest = '\\x00' WHERE name = '0001_accounts.sql'")
    with pytest.raises(Misconfigured, match="0001_accounts.sql was changed"):
        await migrate(conn)


async def test_a_newer_database_is_refused(conn: Connection) -> None:
    await conn.execute("INSERT INTO migrations (name, digest) VALUES ('9999_x.sql', '\\x00')")
    with pytest.raises(Misconfigured, match="newer version"):
        await migrate(conn)
