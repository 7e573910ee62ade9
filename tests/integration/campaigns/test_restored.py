"""A restored backup starts on hold (I6): it does not know what left after it was taken."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import store
from service.campaigns.runs.firing import fire_due
from service.campaigns.stops import restored, stop_store
from service.runtime import Runtime
from service.storage.postgres import Pool, connect, open_pool, transaction
from tests.factories import make_scheduled, make_team
from tests.harness.valkey import answered

HOUR = timedelta(hours=1)


async def _campaigns(pool: Pool, now: datetime) -> None:
    """One that is scheduled and one that runs."""
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        await make_scheduled(conn, team, now=now, schedule=Schedule("once", now + HOUR))
        await make_scheduled(conn, team, now=now)
    (run,) = await fire_due(pool, now)
    await pool.execute("UPDATE runs SET state = 'running' WHERE id = $1", run)


async def _states(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT state FROM campaigns UNION ALL SELECT state FROM runs")
    return sorted(row["state"] for row in rows)


async def _is_held(runtime: Runtime, *, why: str) -> None:
    assert await restored.check(runtime)
    async with transaction(runtime.pool) as conn:
        stop = await stop_store.stop_in_force(conn)
        assert stop is not None
        assert (stop.cause, stop.stopped_by) == ("restored", None)
        assert why in stop.reason
        for campaign in await store.list_campaigns(conn, None, None, 10, None):
            last = (await store.list_moves(conn, campaign.id))[-1]
            assert (last.user_id, last.reason) == (None, stop.reason)
    assert await _states(runtime.pool) == ["held", "paused", "paused"]
    assert await fire_due(runtime.pool, runtime.clock.now() + 2 * HOUR) == []
    assert not await restored.check(runtime), "it is noticed once"


async def test_a_database_that_only_lives_on_is_not_held(runtime: Runtime, now: datetime) -> None:
    assert not await restored.check(runtime)
    for _ in range(3):
        assert not await restored.beat(runtime)
    await runtime.redis.flushall()
    assert not await restored.beat(runtime), "a witness that was lost proves nothing"
    async with runtime.pool.acquire() as conn:
        assert await stop_store.stop_in_force(conn) is None


@pytest.mark.attack
async def test_a_copy_in_place_of_the_database_is_held(
    runtime: Runtime, database_url: str, owner_url: str, now: datetime
) -> None:
    """The copy is taken, the original goes on, and then the copy takes its place."""
    await restored.beat(runtime)
    await _campaigns(runtime.pool, now)
    name = urlsplit(database_url).path.strip("/")
    copy_url = database_url.replace(f"/{name}?", f"/{name}_copy?")
    admin = await connect(owner_url.replace(f"/{name}?", "/postgres?"))
    try:
        await runtime.pool.expire_connections()
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        await admin.execute(f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
        await restored.beat(runtime)
        async with open_pool(copy_url, size=2) as pool:
            await _is_held(replace(runtime, pool=pool), why="1 beats are missing")
        await admin.execute(f'DROP DATABASE "{name}_copy" WITH (FORCE)')
    finally:
        await admin.close()


async def test_another_cluster_is_held(runtime: Runtime, now: datetime) -> None:
    await restored.beat(runtime)
    await _campaigns(runtime.pool, now)
    await runtime.redis.flushall()
    await runtime.pool.execute("UPDATE generation SET cluster = '7000000000000000001/00000001'")
    await _is_held(runtime, why="in another cluster")


@pytest.mark.attack
async def test_a_file_outside_the_folder_outlives_redis(
    runtime: Runtime, tmp_path: Path, now: datetime
) -> None:
    settings = runtime.settings.model_copy(update={"witness_file": tmp_path / "witness"})
    watched = replace(runtime, settings=settings)
    for _ in range(3):
        assert not await restored.beat(watched)
    await _campaigns(runtime.pool, now)
    await runtime.redis.flushall()
    await runtime.pool.execute("UPDATE generation SET beat = 1")
    assert not await restored.check(runtime)
    await _is_held(watched, why="2 beats are missing")


async def test_a_file_that_cannot_be_written_is_said_once_until_it_can(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "witness"
    settings = runtime.settings.model_copy(update={"witness_file": path})
    watched = replace(runtime, settings=settings)
    for times in (1, 2):
        for _ in range(3):
            await restored.beat(watched)
        said = [r for r in caplog.records if "witness file cannot be used" in r.getMessage()]
        assert [r.levelname for r in said] == ["WARNING"] * times
        assert vars(said[-1])["path"] == str(path)
        path.parent.mkdir()
        await restored.beat(watched)
        assert path.exists()
        path.unlink()
        path.parent.rmdir()


async def test_a_file_that_cannot_be_read_is_said(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await restored.beat(runtime)
    settings = runtime.settings.model_copy(update={"witness_file": tmp_path})
    await restored.check(replace(runtime, settings=settings))
    assert "witness file cannot be used" in caplog.text


@pytest.mark.attack
async def test_late_words_do_not_lower_what_redis_remembers(runtime: Runtime) -> None:
    await restored.beat(runtime)
    async with transaction(runtime.pool) as conn:
        earlier = await stop_store.get_generation(conn)
    assert earlier is not None
    for _ in range(2):
        await restored.beat(runtime)
    await restored._remember(runtime, earlier)
    await runtime.pool.execute("UPDATE generation SET beat = 2")
    assert await restored.check(runtime)


def _beat_key(database: object) -> str:
    return f"tocsin:beat:{database}"


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        b"999999999999999999",
        b"3",
        b"9" * 100_000,
        b"\xff\x00",
        b"",
        b"7:" + b"0" * 32,
        b"9223372036854775808:" + b"0" * 32,
        ["a list"],
    ],
)
async def test_a_beat_that_somebody_else_wrote_to_redis_holds_nothing(
    runtime: Runtime, value: bytes | list[str], caplog: pytest.LogCaptureFixture
) -> None:
    await restored.beat(runtime)
    async with runtime.pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
    assert known is not None
    key = _beat_key(known.id)
    await runtime.redis.delete(key)
    if isinstance(value, bytes):
        await runtime.redis.set(key, value)
    else:
        await answered(runtime.redis.rpush(key, *value))
    assert not await restored.check(runtime)
    assert not await restored.beat(runtime)
    assert (restored.ABSURD in caplog.messages) == (value != b"")
    told, _ = await restored._told(runtime, known.id)
    assert told == known.beat + 1, "it was written anew"
    async with runtime.pool.acquire() as conn:
        assert await stop_store.stop_in_force(conn) is None


@pytest.mark.attack
async def test_the_signed_beat_of_another_database_is_none_of_this_one(runtime: Runtime) -> None:
    await restored.beat(runtime)
    async with runtime.pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
    assert known is not None
    other = restored._signed(runtime.keyring, uuid4(), known.beat + 500)
    await runtime.redis.set(_beat_key(known.id), other)
    assert not await restored.check(runtime)
    await runtime.redis.set(
        _beat_key(known.id), restored._signed(runtime.keyring, known.id, known.beat + 500)
    )
    assert await restored.check(runtime), "a true beat is what the database has lost"
