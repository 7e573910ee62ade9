"""Contact files into contacts, and out again; the whole audit trail, verified; and the county's
packs of weekly reports, built.

A province's file takes minutes, a job has one: so the job only starts the reading, which goes on
beside the arq worker (that is rebuilt whenever Redis hiccups) and has a connection of its own. If
this process dies, PostgreSQL ends the connection, nothing of the file is left, and whoever the
sweep wakes next reads it anew.

Which file is read next is not what a job says, but whose turn it is: departments take turns, and
none has all the places, so that the many files of one do not hold up another's.

Packs are built one after the other in a process. One that dies with it is built by whoever is woken
once its lease is over.

A check of the trail has a place of its own. One that dies with this process is not begun again: it
counts as broken off, and whoever looks begins another.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable
from functools import partial
from typing import Any, NamedTuple

from service.accounts.audit.trail_checks import run_check
from service.audience.imports import store
from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from service.reports.weekly.packs import build_next
from service.runtime import Runtime
from service.storage.postgres import LONG_SECONDS, connected
from workers.context import WorkerKind, runtime_of

MOST_AT_ONCE = 3
"""Files under way in one process; the sweep wakes it for the others."""

MOST_OF_ONE = 2
"""… of one department: each wants a processor, and whoever comes next finds a place."""


class _FileReading(NamedTuple):
    task: "asyncio.Task[None]"
    department_id: uuid.UUID | None


_under_way: dict[uuid.UUID, _FileReading] = {}
_checks: dict[uuid.UUID, "asyncio.Task[None]"] = {}
_packing: list["asyncio.Task[None]"] = []
log = logging.getLogger(__name__)


async def read_import(ctx: dict[str, Any], import_id: str) -> None:  # noqa: ARG001  # see above
    """Start to read the waiting files whose turn it is, unless this process has enough to do."""
    await _read_next(runtime_of(ctx))


async def undo_import(ctx: dict[str, Any], import_id: str) -> None:
    """Start to take one import back, likewise."""
    wanted = uuid.UUID(import_id)
    if wanted not in _under_way and len(_under_way) < MOST_AT_ONCE:
        runtime = runtime_of(ctx)
        _start(runtime, wanted, None, _undo(runtime, wanted))


async def check_trail(ctx: dict[str, Any], check_id: str) -> None:
    """Start to verify the audit trail, if nobody does."""
    wanted = uuid.UUID(check_id)
    if wanted not in _checks:
        _checks[wanted] = asyncio.create_task(_check(runtime_of(ctx), wanted))


async def build_packs(ctx: dict[str, Any]) -> None:
    """Start to build the packs that wait, unless this process does."""
    if not _packing:
        _packing.append(asyncio.create_task(_pack(runtime_of(ctx))))


async def _pack(runtime: Runtime) -> None:
    try:
        pool, keyring = runtime.pool, runtime.keyring
        while await build_next(pool, keyring, runtime.clock, runtime.settings):
            pass
    except Exception:
        log.exception("packs are not built at the moment")  # the scheduler wakes again
    finally:
        _packing.clear()


async def _check(runtime: Runtime, check_id: uuid.UUID) -> None:
    try:
        await run_check(runtime.settings.database_url, runtime.keyring, runtime.clock, check_id)
    except Exception:
        log.exception("a check of the audit trail broke off", extra={"check_id": str(check_id)})
    finally:
        del _checks[check_id]


async def _read_next(runtime: Runtime) -> None:
    """Fill the places that are free."""
    while len(_under_way) < MOST_AT_ONCE:
        of = Counter(reading.department_id for reading in _under_way.values())
        busy = [one for one, count in of.items() if one is not None and count >= MOST_OF_ONE]
        async with runtime.pool.acquire() as conn:
            found = await store.next_import(conn, list(_under_way), busy)
        if found is None:
            return
        import_id, department_id = found
        # Another job may have filled places meanwhile, even with this file: then look again.
        mine = sum(reading.department_id == department_id for reading in _under_way.values())
        if import_id in _under_way or len(_under_way) >= MOST_AT_ONCE or mine >= MOST_OF_ONE:
            continue
        _start(runtime, import_id, department_id, _read(runtime, import_id))


def _start(
    runtime: Runtime,
    import_id: uuid.UUID,
    department_id: uuid.UUID | None,
    work: Awaitable[bool],
) -> None:
    task = asyncio.create_task(_logged(runtime, work, import_id))
    _under_way[import_id] = _FileReading(task, department_id)


async def _logged(runtime: Runtime, work: Awaitable[bool], import_id: uuid.UUID) -> None:
    """Do the work; when it is done, begin what is next. What broke off waits for the sweep."""
    try:
        done = await work
    except Exception:
        # All is as it was; the sweep wakes again, for a file until its attempts are used up.
        log.exception("an import broke off", extra={"import_id": str(import_id)})
        done = False
    finally:
        del _under_way[import_id]
    if not done:
        return
    try:
        await _read_next(runtime)
    except Exception:
        log.exception("the next import was not begun")  # the sweep wakes again


async def _read(runtime: Runtime, import_id: uuid.UUID) -> bool:
    url = runtime.settings.database_url
    async with connected(url, seconds=LONG_SECONDS) as reading, connected(url) as beside:
        progress = partial(store.note_progress, beside, import_id)
        now = runtime.clock.now()
        return await run_import(reading, runtime.keyring, import_id, now, progress)


async def _undo(runtime: Runtime, import_id: uuid.UUID) -> bool:
    async with connected(runtime.settings.database_url, seconds=LONG_SECONDS) as conn:
        return await run_undo(conn, import_id, runtime.clock.now())


KIND = WorkerKind("imports", [read_import, undo_import, check_trail, build_packs])
