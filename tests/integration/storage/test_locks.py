"""The advisory locks hold the keys that processes of other versions of this program hold."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from service.storage import locks
from service.storage.postgres import Connection

ONE = UUID("01980000-0000-7000-8000-000000000001")
TWO = UUID("01980000-0000-7000-8000-000000000002")

Lock = Callable[..., Awaitable[Any]]

ALONE, SHARED = "ExclusiveLock", "ShareLock"


def named(key: str, seed: int = 0) -> str:
    return f"hashtextextended('{key}', {seed})"


CASES: list[tuple[Lock, tuple[Any, ...], dict[str, str]]] = [
    (locks.lock_edit, ("/x",), {named("edit /x"): ALONE}),
    (locks.share_pack_pictures, (), {named("pack pictures"): SHARED}),
    (locks.share_pack_weeks, (), {named("pack weeks"): SHARED}),
    (locks.lock_pack_weeks, (), {named("pack weeks"): ALONE}),
    (locks.try_lock_expansion, (ONE,), {named(f"expand {ONE}"): ALONE}),
    (locks.try_lock_failover, (7,), {named("shift", 7): ALONE}),
    (locks.try_lock_breakers, (), {named("lanes"): ALONE}),
    (locks.try_lock_reader, (), {named("inbound"): ALONE}),
    (locks.wait_for_reader, (), {named("inbound"): ALONE}),
    (locks.try_lock_answering, (), {named("replies"): ALONE}),
    (locks.try_lock_sealing, (), {"7146032": ALONE}),
    (locks.try_lock_fold, (7,), {named("fold", 7): ALONE}),
    (locks.lock_folds, ([8, 7, 8],), {named("fold", 7): ALONE, named("fold", 8): ALONE}),
    (locks.lock_contacts, (ONE,), {named(f"contacts {ONE}"): ALONE}),
    (locks.try_lock_contacts, (ONE,), {named(f"contacts {ONE}"): ALONE}),
    (locks.try_lock_facts, (ONE,), {named(f"facts of {ONE}"): ALONE}),
    (locks.share_erasures, (), {named("erasures"): SHARED}),
    (locks.lock_erasures, (), {named("erasures"): ALONE}),
    (locks.lock_entries, (), {named("suppression entries"): ALONE}),
    (locks.try_lock_owing, (), {named("owing"): ALONE}),
    (locks.lock_cases, (), {named("cases"): ALONE}),
    (
        locks.lock_for_mark,
        ([TWO, ONE], 7, 3),
        {
            named("stop_all"): SHARED,
            named(str(ONE)): SHARED,
            named(str(TWO)): SHARED,
            named("suppressions"): SHARED,
            named("connection", 7003): SHARED,
        },
    ),
    (locks.lock_all_marks, (), {named("stop_all"): ALONE}),
    (locks.lock_run, (ONE,), {named(str(ONE)): ALONE}),
    (locks.lock_each_run, ([TWO, ONE],), {named(str(ONE)): ALONE, named(str(TWO)): ALONE}),
    (locks.share_runs, ([TWO, ONE],), {named(str(ONE)): SHARED, named(str(TWO)): SHARED}),
    (locks.share_put_back, ([ONE],), {named(f"put back {ONE}"): SHARED}),
    (locks.lock_for_finish, ([ONE],), {named(str(ONE)): SHARED, named(f"put back {ONE}"): ALONE}),
    (locks.lock_suppressions, (), {named("suppressions"): ALONE}),
    (locks.lock_connection, (7, 3), {named("connection", 7003): ALONE}),
    (locks.share_connection, (7, 3), {named("connection", 7003): SHARED}),
    (locks.lock_follow_up_runs, (ONE,), {named(f"follow {ONE}"): ALONE}),
    (locks.lock_areas, (), {named("areas"): ALONE}),
    (locks.lock_segments, (ONE,), {named(f"segments of {ONE}"): ALONE}),
    (locks.lock_extensions, (), {named("extensions"): ALONE}),
    (locks.lock_signatures, (), {named("signatures"): ALONE}),
    (locks.lock_county, ("send_hours",), {named("county:send_hours"): ALONE}),
    (locks.lock_lint_changes, (), {named("lint_policies"): ALONE}),
    (locks.try_lock_noticing, (ONE,), {named(f"notices to {ONE}"): ALONE}),
    (locks.lock_cases, (), {named("cases"): ALONE}),
    (locks.lock_lookups, (ONE,), {named(f"lookups:{ONE}"): ALONE}),
    (locks.lock_department_names, (), {named("department names"): ALONE}),
    (locks.lock_administrators, (), {named("administrators"): ALONE}),
    (locks.lock_logins, (), {named("logins"): ALONE}),
    (locks.try_lock_keys, (), {named("master_keys"): ALONE}),
    (locks.lock_migration, (), {"7146031": ALONE}),
]


async def held(conn: Connection) -> dict[int, str]:
    """The keys that this connection holds, and how."""
    rows = await conn.fetch(
        """
        SELECT classid::bigint << 32 | objid::bigint AS key, mode FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
        """
    )
    return {row["key"]: row["mode"] for row in rows}


@pytest.mark.parametrize(
    ("lock", "values", "keys"), CASES, ids=lambda v: getattr(v, "__name__", "")
)
async def test_a_lock_is_known_by_its_key(
    owner: Connection, lock: Lock, values: tuple[Any, ...], keys: dict[str, str]
) -> None:
    wanted = {await owner.fetchval(f"SELECT {key}::bigint"): mode for key, mode in keys.items()}
    async with owner.transaction():
        await lock(owner, *values)
        found = await held(owner)
    await owner.execute("SELECT pg_advisory_unlock_all()")
    assert found == wanted


@pytest.mark.parametrize("part", ["RUN_ALONE", "TRY_IDEMPOTENCY"])
async def test_a_part_of_a_statement_locks_its_key(owner: Connection, part: str) -> None:
    call = getattr(locks, part).format("$1::text")
    async with owner.transaction():
        await owner.execute(f"SELECT {call} FROM (SELECT $1::text AS id) r", str(ONE))
        assert await held(owner) == {
            await owner.fetchval(f"SELECT {named(str(ONE))}"): ALONE,
        }


async def test_a_migration_lets_go_of_its_lock(owner: Connection) -> None:
    await locks.lock_migration(owner)
    await locks.unlock_migration(owner)
    assert await held(owner) == {}


def test_every_lock_is_a_case() -> None:
    functions = {
        function
        for name, function in inspect.getmembers(locks, inspect.iscoroutinefunction)
        if not name.startswith("_") and function.__module__ == locks.__name__
    }
    assert functions - {locks.unlock_migration} == {case[0] for case in CASES}
