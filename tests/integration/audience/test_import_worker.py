"""Workers that are killed, stand still, or have a file that takes longer than a job may."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.audience.areas import area_store
from service.audience.imports import loading, store
from service.audience.imports.loading import create_import, run_import
from service.audience.imports.model import ImportRequest
from service.audience.rosters.rosters import ask_undo, run_undo
from service.crypto import Keyring
from service.errors import Conflict
from service.local.embedded import Valkey
from service.queue import Job, open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.locks import lock_contacts
from service.storage.postgres import Pool, connect
from tests.harness.owner import as_owner
from tests.harness.waiting import until
from workers import imports

CONTACTS = Path(__file__).resolve().parents[2] / "data" / "contacts"
PATIENCE = 120
WRITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = ("
WRITING += "SELECT oid FROM pg_database WHERE datname = current_database())"

Wait = Callable[[str, Any], Any]


@pytest.fixture
def wait(pool: Pool) -> Wait:
    """Waits until a query gives a value."""

    async def wait_for(query: str, value: object) -> None:
        async def given() -> bool:
            return bool(await pool.fetchval(query) == value)

        await until(given, PATIENCE, f"{query}: {value}")

    return wait_for


@pytest.fixture
async def waiting(
    pool: Pool, keyring: Keyring, now: datetime, new_department: Any, octets: Any
) -> UUID:
    """The 20,000-row county file, uploaded."""
    data = (CONTACTS / "county-20000-dirty-gb18030.csv").read_bytes()
    async with pool.acquire() as conn:
        await area_store.load_areas(conn)
        department = await new_department(conn, "县局")
        request = ImportRequest(department.id, department.user_id, "全县", "a.csv")
        made = await create_import(conn, keyring, request, octets(data), limit=10**7, now=now)
    return made.id


@pytest.fixture
async def worker(
    database_url: str, valkey: Valkey, redis: Any, tmp_path: Path
) -> AsyncIterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers of imports; they are killed at the end."""
    key_file = tmp_path / "key"
    key_file.write_text((b"\x01" * 32).hex())
    key_file.chmod(0o600)
    settings = {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(key_file),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", "imports"]
        process = subprocess.Popen(command, env={**os.environ, **settings})
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def _context(url: str, keyring: Keyring, pool: Pool, now: datetime) -> dict[str, Any]:
    """What a job gets."""
    settings = Settings(database_url=url, redis_url="redis://x", key_file=Path("/nowhere"))
    clock: Any = type("Still", (), {"now": staticmethod(lambda: now)})
    unused: Any = None
    return {"runtime": Runtime(settings, clock, keyring, pool, unused, unused)}


@pytest.mark.slow
async def test_the_import_of_a_killed_worker_is_done_by_another(
    pool: Pool, worker: Any, waiting: UUID, wait: Wait, valkey: Valkey
) -> None:
    async with open_queue(valkey.url) as queue:
        first = worker()
        await queue.enqueue(Job.READ_IMPORT, waiting)
        await wait(WRITING, 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        await wait(WRITING, 0)
        for table in ("contacts", "links", "rosters", "import_rejects"):
            assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
        assert await pool.fetchval("SELECT state FROM imports") == "reading"
        worker()

        async def is_read() -> bool:
            await queue.enqueue(Job.READ_IMPORT, waiting)  # as the sweep does
            return bool(await pool.fetchval("SELECT state FROM imports") != "reading")

        await until(is_read, PATIENCE, every=0.5)
    async with pool.acquire() as conn:
        done = await store.get_import(conn, waiting)
    assert done.report is not None
    people = done.report["recipients"]["total"]
    assert people > 18_000
    assert await pool.fetchval("SELECT count(*) FROM contacts") == people
    assert await pool.fetchval("SELECT attempts FROM imports") == 2


@pytest.mark.slow
async def test_a_worker_that_stands_still_loses_its_import(
    pool: Pool,
    keyring: Keyring,
    waiting: UUID,
    now: datetime,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thawed = threading.Event()
    read = loading._open

    def frozen(*arguments: Any) -> Any:
        thawed.wait(PATIENCE)
        return read(*arguments)

    with monkeypatch.context() as slow:
        slow.setattr(store, "LONGEST_PAUSE_SECONDS", 1)
        slow.setattr(loading, "_open", frozen)
        conn = await connect(database_url)
        standing = asyncio.create_task(run_import(conn, keyring, waiting, now))
        await until(conn.is_closed, PATIENCE)
    async with pool.acquire() as other:
        assert await run_import(other, keyring, waiting, now)
    before = await pool.fetchval("SELECT count(*) FROM links")
    thawed.set()
    with pytest.raises(Exception, match="closed|terminat"):
        await standing
    assert await pool.fetchval("SELECT count(*) FROM links") == before


async def test_a_job_only_starts_the_reading(
    pool: Pool,
    keyring: Keyring,
    waiting: UUID,
    now: datetime,
    database_url: str,
    wait: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job has a minute; a province's file takes longer."""
    started = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(*arguments: Any) -> bool:
        await arguments[-1](7)
        started.set()
        await go_on.wait()
        return await run_import(*arguments)

    monkeypatch.setattr(imports, "run_import", slow)
    ctx = _context(database_url, keyring, pool, now)
    async with asyncio.timeout(5):
        await imports.read_import(ctx, str(waiting))
        await imports.read_import(ctx, str(waiting))
    assert len(imports._under_way) == 1
    await started.wait()
    async with pool.acquire() as other:
        seen = await store.get_import(other, waiting)
    assert (seen.state, seen.rows_read) == ("reading", 7)
    go_on.set()
    await wait("SELECT state FROM imports", "done")
    await until_idle()


async def test_the_rows_read_so_far_are_seen_from_outside(
    pool: Pool, keyring: Keyring, waiting: UUID, now: datetime
) -> None:
    seen = []
    async with pool.acquire() as conn, pool.acquire() as beside:

        async def note(rows: int) -> None:
            await store.note_progress(beside, waiting, rows)
            found = await store.get_import(beside, waiting)
            seen.append((found.state, found.rows_read))

        await run_import(conn, keyring, waiting, now, note)
        done = await store.get_import(beside, waiting)
    assert seen == [("reading", 10_000), ("reading", 20_000)]
    assert (done.state, done.rows_read) == ("done", 20_000)
    assert await pool.fetchval("SELECT count(*) FROM import_progress") == 0


async def test_a_job_takes_an_import_back_and_waits_for_whoever_writes(
    pool: Pool, keyring: Keyring, waiting: UUID, now: datetime, database_url: str, wait: Wait
) -> None:
    async with pool.acquire() as conn:
        assert await run_import(conn, keyring, waiting, now)
        done = await store.get_import(conn, waiting)
        async with conn.transaction():
            await ask_undo(conn, done, done.created_by, now)
        assert await store.waiting_undos(conn) == [waiting]
        people = await conn.fetchval("SELECT count(*) FROM contacts")
        links = await conn.fetchval("SELECT count(*) FROM links")
        async with conn.transaction():
            await lock_contacts(conn, done.department_id)
            await imports.undo_import(_context(database_url, keyring, pool, now), str(waiting))
            await wait("SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
            assert await conn.fetchval("SELECT count(*) FROM contacts") == people
        await wait("SELECT count(*) FROM imports WHERE undone_at IS NOT NULL", 1)
        taken_back = await store.get_import(conn, waiting)
    assert taken_back.undo == {"state": "done", "links": links, "restored": 0, "contacts": people}
    for table in ("contacts", "links", "rosters"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    await until_idle()


async def test_an_import_is_taken_back_in_time_whatever_the_statistics_knew(
    pool: Pool, keyring: Keyring, waiting: UUID, now: datetime
) -> None:
    """They may have been collected amid the import, when none of its rows was there yet."""
    await as_owner(
        pool,
        "UPDATE pg_class SET reltuples = 0, relpages = 1 WHERE relname IN ('contacts', 'links')",
    )
    async with pool.acquire() as conn:
        assert await run_import(conn, keyring, waiting, now)
        done = await store.get_import(conn, waiting)
        async with conn.transaction():
            await ask_undo(conn, done, done.created_by, now)
        async with asyncio.timeout(PATIENCE / 4):  # it takes a second, and took minutes
            assert await run_undo(conn, waiting, now)
        assert await conn.fetchval("SELECT count(*) FROM contacts") == 0


class Files:
    """Files of departments that wait to be read, small ones with a roster each."""

    def __init__(self, pool: Pool, keyring: Keyring, octets: Any, new_department: Any) -> None:
        self.pool, self._keyring, self._octets = pool, keyring, octets
        self._new_department = new_department
        self._count = 0
        self.limit = 10**6

    async def department(self, name: str) -> Any:
        async with self.pool.acquire() as conn:
            return await self._new_department(conn, name)

    async def wait(self, department: Any, count: int, now: datetime) -> list[UUID]:
        found = []
        async with self.pool.acquire() as conn:
            for _ in range(count):
                self._count += 1
                asked = ImportRequest(department.id, department.user_id, f"r{self._count}", "a.csv")
                data = b"phone\n19790001234\n"
                made = await create_import(
                    conn, self._keyring, asked, self._octets(data), limit=self.limit, now=now
                )
                found.append(made.id)
        return found


@pytest.fixture
def files(pool: Pool, keyring: Keyring, octets: Any, new_department: Any) -> Files:
    return Files(pool, keyring, octets, new_department)


async def until_idle() -> None:
    await until(lambda: not imports._under_way, PATIENCE)


async def test_a_process_reads_few_files_at_once_and_says_why_one_broke_off(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    files: Files,
) -> None:
    go_on = asyncio.Event()

    async def broken(*_: Any) -> bool:
        await go_on.wait()
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(imports, "run_import", broken)
    ctx = _context(database_url, keyring, pool, now)
    for name in ("甲", "乙"):
        await files.wait(await files.department(name), 5, now)
    await asyncio.gather(*(imports.read_import(ctx, str(UUID(int=n))) for n in range(5)))
    assert len(imports._under_way) == imports.MOST_AT_ONCE
    readings = [reading.task for reading in imports._under_way.values()]
    go_on.set()
    await asyncio.gather(*readings)
    assert "an import broke off" in caplog.text
    assert "the disk is full" in caplog.text
    assert not imports._under_way, "what broke off is not begun again at once"


@pytest.mark.slow
@pytest.mark.attack
async def test_a_hundred_files_of_one_department_hold_up_none_of_another(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    files: Files,
) -> None:
    order: list[UUID] = []
    go_on = asyncio.Event()

    async def noted(*arguments: Any) -> bool:
        order.append(arguments[2])
        await go_on.wait()
        return await run_import(*arguments)

    monkeypatch.setattr(imports, "run_import", noted)
    ctx = _context(database_url, keyring, pool, now)
    many, few, last = [await files.department(name) for name in ("甲", "乙", "丙")]
    hundred = await files.wait(many, 100, now)
    for _ in range(3):
        await imports.read_import(ctx, str(hundred[0]))
    await _begun(order, imports.MOST_OF_ONE)
    assert {*order} == {*hundred[: imports.MOST_OF_ONE]}, "a place is kept for others"
    (mine,) = await files.wait(few, 1, now)
    (another,) = await files.wait(last, 1, now)
    await imports.read_import(ctx, str(hundred[-1]))  # whatever the job names
    await _begun(order, imports.MOST_OF_ONE + 1)
    assert order[imports.MOST_OF_ONE :] == [mine]
    go_on.set()
    await until(lambda: another in order, PATIENCE)
    assert order.index(another) <= 4

    async def all_are_done() -> bool:  # and nothing waits for a sweep
        return bool(await pool.fetchval("SELECT bool_and(state = 'done') FROM imports"))

    await until(all_are_done, PATIENCE)


async def _begun(order: list[UUID], count: int) -> None:
    """Until all files that have a place have begun; these are so many."""
    await until(lambda: len(order) >= max(count, len(imports._under_way)), PATIENCE)
    assert len(order) == count


@pytest.mark.attack
async def test_departments_take_turns(
    pool: Pool, keyring: Keyring, now: datetime, files: Files
) -> None:
    names = "甲乙丙"
    departments = {name: await files.department(name) for name in names}
    for name in names:
        await files.wait(departments[name], 3, now)
    whose = {department.id: name for name, department in departments.items()}
    order = ""
    async with pool.acquire() as conn, pool.acquire() as other:
        while found := await store.next_import(conn, [], []):
            import_id, department_id = found
            order += whose[department_id]
            async with other.transaction():
                await store.claim_import(other, import_id)
                beside = await store.next_import(conn, [], [])
                assert beside is None or beside[0] != import_id, "another worker reads it"
            assert await run_import(conn, keyring, import_id, now)
    assert order == 3 * names


@pytest.mark.attack
@pytest.mark.parametrize("bound", ["files", "octets", "at the same time"])
async def test_what_waits_of_a_department_is_bounded(
    pool: Pool, now: datetime, files: Files, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    if bound == "octets":  # of a file each 18
        monkeypatch.setattr(loading, "MAX_WAITING_OCTETS", 36)
        files.limit = 18
    else:
        monkeypatch.setattr(loading, "MAX_WAITING_FILES", 2)
    department, other = await files.department("甲"), await files.department("乙")
    if bound == "at the same time":
        made = await asyncio.gather(
            *(files.wait(department, 1, now) for _ in range(4)), return_exceptions=True
        )
        refused = [error for error in made if isinstance(error, Conflict)]
        assert len(refused) == 2
        assert refused[0].code == "too_much_waits"
    else:
        with pytest.raises(Conflict, match="wait to be read: at most") as too_much:
            await files.wait(department, 9, now)
        assert too_much.value.code == "too_much_waits"
    waiting = await pool.fetchval("SELECT count(*) FROM imports")
    assert waiting == 2
    await files.wait(other, 1, now)
    assert await pool.fetchval("SELECT count(*) FROM imports") == waiting + 1
