"""What tests share: one PostgreSQL and one Valkey a test process, a fresh database on demand."""

import asyncio
import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis
from xdist.remote import Producer

from service import logs
from service.clock import Clock
from service.crypto import FIRST_KEY, Keyring, Keys, write_key_file
from service.local.embedded import Postgres, Valkey
from service.messages.lint.lint_store import policy_set
from service.queue import open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.migrate import migrate
from service.storage.postgres import Connection, Pool, connected
from service.storage.roles import admit, login_of
from tests.harness.clocks import HandClock
from tests.harness.databases import Database, Databases
from tests.harness.dealing import Dealer
from tests.harness.owner import owner_url as address_of_owner
from tests.harness.reasons import check_reasons

MEMORY_OCTETS = 4 << 30

hypothesis_settings.register_profile("any machine", deadline=None)  # a busy one is no failure
hypothesis_settings.load_profile("any machine")

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)  # a Tuesday, 09:30 in Shanghai


def _memory() -> str | None:
    """A file system in memory with room, if there is one: a database a test is made of files."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return None
    return "/dev/shm" if free > MEMORY_OCTETS and os.access("/dev/shm", os.W_OK) else None


@pytest.hookimpl(optionalhook=True)  # there is none without xdist
def pytest_configure() -> None:
    """Programs that tests start take Ctrl-C, also where the shell that started the tests does not:
    one in the background ignores it, and hands that on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Dealer | None:
    return Dealer(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the run ended, for make again."""
    if not hasattr(session.config, "workerinput") and session.config.cache is not None:
        session.config.cache.set("run/status", int(exitstatus))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays to the end: the garbage collector never looks at it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """No task of a test outlives it, for all tests of a process share one event loop; nor does the
    logging of a command.
    """
    yield
    runner = getattr(item, "funcargs", {}).get("_session_scoped_runner")
    if runner is not None and nextitem is not None:  # after the last one the loop is closed
        runner.run(_end_tasks())
    root = logging.getLogger()
    left = [handler for handler in root.handlers if isinstance(handler, logs.CountedStream)]
    for handler in left:
        root.removeHandler(handler)
    assert not left, "a command of this test set up the logging of all tests after it: use Shell"


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    logs._unlogged.clear()  # else what one test logs is not logged in the next


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tocsin-test-", dir=_memory()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL 18 with a database `template` that has all migrations."""
    folder = server_folder / "postgres"
    folder.mkdir(mode=0o700)
    server = Postgres(folder, fsync=False)
    server.start()
    server.create_database("template")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[Valkey]:
    folder = server_folder / "valkey"
    folder.mkdir(mode=0o700)
    server = Valkey(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def databases(postgres: Postgres) -> AsyncIterator[Databases]:
    made = Databases(postgres)
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def migrated(postgres: Postgres, databases: Databases) -> str:
    """The database that has all migrations and nothing else."""
    async with connected(databases.owner_url("template")) as connection:
        await databases.prepare(connection)
        await migrate(connection)
        await admit(connection, login_of(postgres.service_url))
        # Most departments of tests have no signature of their own.
        levels = {"levels": {"R02": "warn"}}
        await policy_set(connection, levels, "for tests", None, NOW)
        await check_reasons(connection)
    return "template"


@pytest.fixture
def template(migrated: str) -> str:
    """The database that this test's is like; a folder may have more in its own."""
    return migrated


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, databases: Databases, template: str
) -> AsyncIterator[Database]:
    """A database that is this test's alone while it runs, migrated."""
    fresh = request.node.get_closest_marker("fresh") is not None
    async with databases.lend(template, fresh=fresh) as lent:
        yield lent


@pytest.fixture
def database_url(database: Database) -> str:
    """Its address as the service's role."""
    return database.url


@pytest.fixture
def owner_url(database_url: str) -> str:
    """The same database as the owner of its tables, who is a superuser here."""
    return address_of_owner(database_url)


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[Connection]:
    """A connection to this test's database that may do everything."""
    async with connected(owner_url) as connection:
        yield connection


@pytest.fixture
def pool(database: Database) -> Pool:
    """A pool on this test's database, with connections that tests before it may have opened."""
    return database.pool


@pytest.fixture
async def conn(databases: Databases, migrated: str) -> AsyncIterator[Connection]:
    """A connection of the service's role to a migrated, empty database; all it does is rolled back.

    One whose statement a test has cancelled is closed, which has rolled it back.
    """
    async with databases.lend(migrated) as lent:
        transaction = lent.connection.transaction()
        await transaction.start()
        yield lent.connection
        if not lent.connection.is_closed():
            await transaction.rollback()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """An empty Valkey."""
    client = Redis.from_url(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(b"\x01" * 32)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The key of `keyring`, as a command reads it."""
    file = tmp_path / "master.key"
    write_key_file(Keys({FIRST_KEY: b"\x01" * 32}, path=file))
    return file


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def clock(now: datetime) -> Clock:
    """The present of `runtime`; it stands."""
    return HandClock(now)


@pytest.fixture(scope="session")
def default_settings(valkey: Valkey) -> Settings:
    """The default of everything but the addresses; reading them takes 5 ms."""
    return Settings(database_url="", redis_url=valkey.url, key_file=Path("/nowhere"))


@pytest.fixture
def runtime_settings(default_settings: Settings, database_url: str) -> Settings:
    """What `runtime` is set to: this test's own database, and the default of everything else."""
    return default_settings.model_copy(update={"database_url": database_url})


@pytest.fixture
async def runtime(
    runtime_settings: Settings, clock: Clock, keyring: Keyring, pool: Pool, redis: Redis
) -> AsyncIterator[Runtime]:
    """What a process of the service works with, on this test's own servers."""
    async with open_queue(runtime_settings.redis_url) as queue:
        yield Runtime(runtime_settings, clock, keyring, pool, redis, queue)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """For a test that runs a command in this process, which sends all logging to its stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("arq", "service.dispatch")}
    root.handlers[:] = []  # else they would be closed
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, own in levels.items():
        logging.getLogger(name).setLevel(own)
