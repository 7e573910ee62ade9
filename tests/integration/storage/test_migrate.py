"""Migrations: once each, in order, and never past a change or a newer database."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import pytest

from service.errors import Misconfigured, Misfit
from service.liveness.process_store import Process, write_beat
from service.storage import migrate as module
from service.storage.migrate import (
    BEFORE_BASELINE,
    FIRST_BEFORE_BASELINE,
    Migration,
    applied_migrations,
    find_misfit,
    migrate,
    migrations,
)
from service.storage.postgres import (
    Connection,
    LockTimeout,
    Pool,
    StatementTimeout,
    connected,
    transaction,
)
from service.words.phrase import translated
from tests.harness.waiting import counted, until_blocked


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
    with pytest.raises(Misfit, match="newer version"):
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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(module, "PAUSE_SECONDS", (0.0, 0.01))


def with_later(monkeypatch: pytest.MonkeyPatch, *later: Migration) -> None:
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), *later])


@pytest.mark.usefixtures("impatient")
async def test_a_migration_that_waits_too_long_for_a_lock_changes_nothing(
    owner: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody waits behind it, and is tried again; at last it says what to do."""
    later = Migration("0900_later.sql", "CREATE TABLE later (); ALTER TABLE runs ADD later text")
    with_later(monkeypatch, later)
    tried = counted(monkeypatch, random, "uniform")
    async with transaction(pool) as busy:
        await busy.execute("SELECT FROM runs")
        with pytest.raises(Misconfigured, match=r"0900_later.sql waited too long") as waited:
            await migrate(owner)
    assert tried.count == module.MOST_TRIES - 1
    assert "等待锁超时" in translated(waited.value.message, "zh")
    assert await owner.fetchval("SELECT to_regclass('later')") is None
    assert await migrate(owner) == [later.name]


@pytest.mark.usefixtures("impatient")
async def test_a_migration_goes_on_by_itself_once_the_lock_is_free(
    owner: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TRIES", 1_000)
    later = Migration("0900_later.sql", "ALTER TABLE runs ADD later text")
    with_later(monkeypatch, later)
    tried = counted(monkeypatch, random, "uniform")
    async with transaction(pool) as busy:
        await busy.execute("SELECT FROM runs")
        migrating = asyncio.create_task(migrate(owner))
        await tried.reach(2)
        # Whoever comes meanwhile is not held up for longer than the migration waits.
        assert await pool.fetchval("SELECT count(*) FROM runs") == 0
    assert await migrating == [later.name]


async def test_lists_are_counted_after_who_writes_entries_by_the_triggers_of_before(
    owned: Connection, pool: Pool
) -> None:
    """Such an import would note no change of the lists that it fills."""
    (counts,) = (one for one in migrations() if one.name == "0312_count_rosters.sql")
    await owned.execute("SET LOCAL lock_timeout = '50ms'")
    async with transaction(pool) as importing:
        await importing.execute("UPDATE links SET roles = roles WHERE false")
        with pytest.raises(LockTimeout):
            await owned.execute(counts.sql)


async def test_what_works_beside_a_migration_is_noted(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = Migration("0900_fits.sql", "CREATE TABLE fits ()")
    stops = Migration("0901_stops.sql", "-- stop\nCREATE TABLE stops_all ()")
    with_later(monkeypatch, fits, stops)
    assert await migrate(owned) == [fits.name, stops.name]
    applied = await applied_migrations(owned)
    assert (applied[fits.name], applied[stops.name]) == (module.BESIDE, None)
    with_later(monkeypatch)  # the version before this one
    assert find_misfit(applied).startswith("the database is newer than this program: it has 0901")
    del applied[stops.name]
    assert find_misfit(applied) == ""
    assert "0900" in find_misfit(applied | {fits.name: "999.0"}), "two versions older"


async def test_the_version_before_has_nothing_to_migrate_and_does_not_refuse(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is the way back: its containers migrate at their start."""
    with_later(monkeypatch, Migration("0900_fits.sql", "CREATE TABLE fits ()"))
    await migrate(owned)
    with_later(monkeypatch)
    assert await migrate(owned) == []


async def test_a_table_of_migrations_without_versions_is_added_to(owned: Connection) -> None:
    await owned.execute("ALTER TABLE migrations DROP COLUMN works_with")
    last = "0140_add_processes.sql"
    assert find_misfit(await applied_migrations(owned)) == ""
    await owned.execute("DELETE FROM migrations WHERE name = $1", last)
    await owned.execute("DROP TABLE processes")
    assert await migrate(owned) == [last]
    assert (await applied_migrations(owned))[last] == module.BESIDE


@pytest.mark.parametrize(
    ("release", "known"),
    [("0.2.0", "0121_add_single_sign_on.sql"), ("0.1.9", "0902_landed_before.sql")],
)
async def test_what_nobody_works_beside_waits_until_nobody_older_works(
    owned: Connection, monkeypatch: pytest.MonkeyPatch, release: str, known: str
) -> None:
    stops = Migration("0901_stops.sql", "-- stop\nCREATE TABLE stops_all ()")
    with_later(monkeypatch, stops)
    older = Process(uuid4(), "channel", "east", 7, release, known)
    newer = Process(uuid4(), "api", "west", 8, "0.3.0", "0901_stops.sql")
    for process in (older, newer):
        await write_beat(owned, process, None)
    with pytest.raises(Misconfigured, match=rf"1 processes do: channel \({release}, east\)"):
        await migrate(owned)
    assert await owned.fetchval("SELECT to_regclass('stops_all')") is None
    await owned.execute("UPDATE processes SET seen_at = seen_at - interval '31 s' WHERE pid = 7")
    assert await migrate(owned) == [stops.name]


INDEX = "-- alone\nCREATE INDEX CONCURRENTLY IF NOT EXISTS messages_later ON messages (code)"


async def test_an_index_is_built_while_others_write_and_again_where_it_broke_off(
    owner: Connection, owner_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration("0902_later.sql", INDEX)
    with_later(monkeypatch, later)
    async with connected(owner_url) as again:
        async with transaction(pool) as writer:
            await writer.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")  # as a mark does
            migrating = asyncio.create_task(migrate(owner))
            await until_blocked(cast(Pool, again), migrating)  # it sees what the owner waits for
            async with transaction(pool) as other:
                await other.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
            assert await again.fetchval("SELECT pg_cancel_backend($1)", owner.get_server_pid())
            with pytest.raises(StatementTimeout):
                await migrating
        assert await _valid(again, whole=False), "half-made, it stays, and no query uses it"
        assert await migrate(again) == [later.name]
        assert await _valid(again, whole=True)


async def _valid(conn: Connection, *, whole: bool) -> bool:
    found = await conn.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('messages_later')"
    )
    return found is whole


async def test_what_decides_on_persons_reads_the_schema_that_was_migrated(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever that is: a temporary table of the service must not take the place of `grants`."""
    inside = [migration for migration in migrations() if not migration.is_alone]
    monkeypatch.setattr(module, "migrations", lambda: inside)
    await owned.execute("CREATE SCHEMA elsewhere; SET search_path TO elsewhere")
    assert await migrate(owned) == [migration.name for migration in inside]
    pinned = await owned.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'elsewhere'::regnamespace"
        " AND proconfig && ARRAY['search_path=elsewhere, pg_temp',"
        " 'search_path=pg_catalog, pg_temp']"
    )
    owner_rights = await owned.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'elsewhere'::regnamespace AND prosecdef"
    )
    decide = {"share_a_person", "persons_behind", "need_another_person", "users_gain_by_grants"}
    decide |= {"can_act_as", "legs_another_person"}
    assert {row["proname"] for row in owner_rights} | decide <= {row["proname"] for row in pinned}
    assert len(owner_rights) == 4
