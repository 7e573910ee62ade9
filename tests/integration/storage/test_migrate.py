"""Migrations: once each, in order, and never past a change or a newer database."""

from collections.abc import AsyncIterator

import pytest

from service.errors import Misconfigured
from service.storage import migrate as module
from service.storage.migrate import (
    BEFORE_BASELINE,
    FIRST_BEFORE_BASELINE,
    Migration,
    migrate,
    migrations,
)
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import translated


@pytest.fixture
async def owned(owner: Connection) -> AsyncIterator[Connection]:
    """The owner's connection; all it does is rolled back."""
    transaction = owner.transaction()
    await transaction.start()
    yield owner
    await transaction.rollback()


async def test_migrating_twice_changes_nothing(owned: Connection) -> None:
    assert await migrate(owned) == []
    names = [row["name"] for row in await owned.fetch("SELECT name FROM migrations ORDER BY name")]
    assert names == [m.name for m in migrations()]


async def test_a_changed_migration_is_refused(owned: Connection) -> None:
    name = migrations()[0].name
    await owned.execute("UPDATE migrations SET digest = '\\x00' WHERE name = $1", name)
    with pytest.raises(Misconfigured, match=f"{name} was changed"):
        await migrate(owned)


async def test_a_newer_database_is_refused(owned: Connection) -> None:
    await owned.execute("INSERT INTO migrations (name, digest) VALUES ('9999_x.sql', '\\x00')")
    with pytest.raises(Misconfigured, match="newer version"):
        await migrate(owned)


async def test_a_database_from_before_the_baseline_is_refused_and_left_as_it_is(
    owned: Connection,
) -> None:
    """By a sentence in both languages that says what to do."""
    await owned.execute("CREATE SCHEMA earlier; SET search_path TO earlier")
    await owned.execute(
        "CREATE TABLE migrations (name text PRIMARY KEY, digest bytea, applied_at timestamptz)"
    )
    await owned.execute("INSERT INTO migrations VALUES ($1, '', now())", FIRST_BEFORE_BASELINE)
    with pytest.raises(Misconfigured) as caught:
        await migrate(owned)
    english, chinese = str(caught.value).split(" / ")
    assert "before version 0.2" in english
    assert "empty database" in english
    assert "早于 0.2 版" in chinese
    assert "空数据库" in chinese
    assert (
        await owned.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'earlier'") == 1
    ), "no table was made"


def test_no_migration_has_the_name_that_tells_an_earlier_database() -> None:
    assert FIRST_BEFORE_BASELINE not in [migration.name for migration in migrations()]
    assert "0.2" in BEFORE_BASELINE


def test_each_migration_has_a_number_of_its_own() -> None:
    """Files are applied in the order of their names: two with one number would have none."""
    numbers = [migration.name.split("_")[0] for migration in migrations()]
    assert numbers == sorted(set(numbers))
    assert all(len(number) == 4 and number.isdigit() for number in numbers)


async def test_a_later_migration_is_applied_after_the_baseline(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration("0900_later.sql", "CREATE TABLE later (id bigint PRIMARY KEY)")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), later])
    assert await migrate(owned) == [later.name]
    assert await migrate(owned) == []


async def test_a_migration_that_waits_too_long_for_a_lock_changes_nothing(
    owner: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody waits behind it; it is run again."""
    sql = "SET LOCAL lock_timeout = '50ms'; CREATE TABLE later (); ALTER TABLE runs ADD later text"
    later = Migration("0900_later.sql", sql)
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), later])
    async with transaction(pool) as busy:
        await busy.execute("SELECT FROM runs")
        with pytest.raises(Misconfigured, match=r"0900_later.sql waited too long") as waited:
            await migrate(owner)
    assert "等待锁超时" in translated(waited.value.message, "zh")
    assert await owner.fetchval("SELECT to_regclass('later')") is None
    assert await migrate(owner) == [later.name]


async def test_what_decides_on_persons_reads_the_schema_that_was_migrated(
    owned: Connection,
) -> None:
    """Whichever that is: a temporary table of the service must not take the place of `grants`."""
    await owned.execute("CREATE SCHEMA elsewhere; SET search_path TO elsewhere")
    assert await migrate(owned) == [migration.name for migration in migrations()]
    pinned = await owned.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'elsewhere'::regnamespace"
        " AND 'search_path=elsewhere, pg_temp' = ANY (proconfig)"
    )
    owner_rights = await owned.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'elsewhere'::regnamespace AND prosecdef"
    )
    decide = {"share_a_person", "persons_behind", "need_another_person", "users_gain_by_grants"}
    decide |= {"can_act_as", "legs_another_person"}
    assert {row["proname"] for row in owner_rights} | decide <= {row["proname"] for row in pinned}
    assert len(owner_rights) == 3
