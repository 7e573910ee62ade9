"""PostgreSQL and Redis that fall silent: every exchange ends on our side, and the next one works.

The limits are short here; what they are is shown by the last tests of each part.
"""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis
from redis.exceptions import RedisError

import service.queue
from service.app import create_app
from service.clock import Clock
from service.crypto import Keyring
from service.local.embedded import Postgres, Valkey, _password
from service.peer_timeouts import Reachability
from service.queue import Job, Queue, open_queue, open_redis
from service.runtime import Runtime
from service.settings import Settings
from service.storage import postgres as door
from service.storage.postgres import (
    LONG_SECONDS,
    UNREACHABLE,
    Pool,
    TooSlow,
    connect,
    limit_statements,
    open_pool,
    transaction,
)
from tests.harness.silent import Direction, SilentProxy, silent_proxy
from tests.harness.valkey import answered
from tests.harness.waiting import turns, until
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

SHORT = 0.5
LONG = 60.0
"""Far more than any of it may take, on a busy machine as well."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "CONNECT_SECONDS", SHORT)
    monkeypatch.setattr(door, "_reach", Reachability("PostgreSQL"))
    monkeypatch.setattr(service.queue, "ANSWER_SECONDS", SHORT)
    monkeypatch.setattr(service.queue, "CONNECT_SECONDS", SHORT)
    monkeypatch.setattr(service.queue, "LOOK_AGAIN_SECONDS", 0.05)


@pytest.fixture
async def postgres_wire(postgres: Postgres) -> AsyncIterator[SilentProxy]:
    async with silent_proxy("127.0.0.1", postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def redis_wire(valkey: Valkey, redis: Redis) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(urlsplit(valkey.url).path) as proxy:
        yield proxy


@pytest.fixture
def wired_url(postgres: Postgres, postgres_wire: SilentProxy, database_url: str) -> str:
    """The test's database, through the proxy."""
    name = urlsplit(database_url).path
    password = _password(postgres.folder)
    return f"postgresql://tocsin:{password}@127.0.0.1:{postgres_wire.own_port}{name}"


@pytest.fixture
async def wired(wired_url: str) -> AsyncIterator[Pool]:
    async with open_pool(wired_url, size=4, seconds=SHORT) as pool:
        yield pool


def redis_url(wire: SilentProxy) -> str:
    return f"redis://127.0.0.1:{wire.own_port}/0"


# ---- PostgreSQL


@pytest.mark.parametrize("direction", Direction)
async def test_a_statement_that_is_not_answered_ends_with_its_connection(
    wired: Pool, postgres_wire: SilentProxy, direction: Direction
) -> None:
    async with transaction(wired) as conn:
        await conn.execute("SELECT 1")
    postgres_wire.fall_silent(direction)
    async with asyncio.timeout(LONG):
        with pytest.raises(UNREACHABLE):
            async with transaction(wired) as conn:
                await conn.execute("SELECT 2")
        postgres_wire.forward_new()
        async with transaction(wired) as conn:
            assert await conn.fetchval("SELECT 3") == 3
    assert postgres_wire.accepted >= 2


async def test_a_commit_that_is_not_answered_says_so(
    wired: Pool, postgres_wire: SilentProxy
) -> None:
    async with asyncio.timeout(LONG):
        with pytest.raises(TimeoutError):
            await _commit_into_silence(wired, postgres_wire)
        postgres_wire.forward_new()
        async with wired.acquire() as conn:
            assert await conn.fetchval("SELECT 2") == 2


async def _commit_into_silence(pool: Pool, wire: SilentProxy) -> None:
    async with transaction(pool) as conn:
        await conn.execute("SELECT 1")
        wire.fall_silent()


async def test_whoever_is_cancelled_before_a_silent_server_is_cancelled(
    wired: Pool, postgres_wire: SilentProxy
) -> None:
    """Without a rollback that fails in the place of the cancellation, and without a wait for it."""
    began = asyncio.Event()

    async def work() -> None:
        async with transaction(wired, seconds=LONG) as conn:
            await conn.execute("SELECT 1")
            postgres_wire.fall_silent()
            began.set()
            await conn.execute("SELECT 2")

    task = asyncio.create_task(work())
    await began.wait()
    await turns(100)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=LONG / 2)
    assert done
    assert task.cancelled()


async def test_one_silent_connection_ends_those_that_rest_beside_it(
    wired: Pool, postgres_wire: SilentProxy
) -> None:
    """Each of them would cost its whole time limit before a new one is made."""
    async with wired.acquire(), wired.acquire(), wired.acquire():
        pass
    assert postgres_wire.accepted == 3
    postgres_wire.fall_silent()
    postgres_wire.forward_new()
    failed = 0
    async with asyncio.timeout(LONG):
        for _ in range(4):
            try:
                async with wired.acquire() as conn:
                    await conn.execute("SELECT 1")
            except UNREACHABLE:
                failed += 1
    assert failed == 1


async def test_a_server_that_is_silent_from_the_start_is_given_up(
    wired: Pool, postgres_wire: SilentProxy
) -> None:
    postgres_wire.fall_silent()
    async with asyncio.timeout(LONG):
        with pytest.raises(UNREACHABLE):
            async with wired.acquire():
                pass


async def test_the_next_host_of_an_address_is_asked_when_the_first_is_silent(
    postgres: Postgres, postgres_wire: SilentProxy, wired_url: str
) -> None:
    postgres_wire.fall_silent()
    ours = f"127.0.0.1:{postgres_wire.own_port}"
    url = wired_url.replace(ours, f"{ours},127.0.0.1:{postgres.port}")
    async with asyncio.timeout(LONG):
        conn = await connect(url + "?target_session_attrs=read-write")
        assert await conn.fetchval("SELECT 1") == 1
        await conn.close()


async def test_a_connection_outside_the_pools_has_a_limit_too(
    wired_url: str, postgres_wire: SilentProxy
) -> None:
    conn = await connect(wired_url, seconds=SHORT)
    postgres_wire.fall_silent()
    async with asyncio.timeout(LONG):
        with pytest.raises(TimeoutError):
            await conn.execute("SELECT 1")
    assert conn.is_closed()


async def test_a_statement_that_takes_too_long_is_stopped_on_the_server(
    wired: Pool, pool: Pool
) -> None:
    async with asyncio.timeout(LONG):
        with pytest.raises(TimeoutError):
            async with wired.acquire() as conn:
                await conn.execute("SELECT pg_sleep(600)")

        async def is_stopped() -> bool:
            return not await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%' "
                "AND state = 'active'"
            )

        await until(is_stopped)


async def test_a_slow_statement_is_told_from_a_silent_server(
    wired: Pool, postgres_wire: SilentProxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(LONG):
        with pytest.raises(TooSlow, match=r"_sleep did not end within 0\.5 s"):
            await _sleep(wired)
        (told,) = [r for r in caplog.records if r.getMessage() == "a statement takes too long"]
        said: Any = told
        assert (said.statement, said.limit) == (f"{__name__}._sleep", SHORT)
        assert messages(caplog) == []
        async with wired.acquire() as conn:
            await conn.execute("SELECT 1")
        postgres_wire.fall_silent()
        with pytest.raises(TimeoutError) as silent:
            await _sleep(wired)
        assert not isinstance(silent.value, TooSlow)
        assert messages(caplog) == ["PostgreSQL does not answer"]


async def _sleep(pool: Pool) -> None:
    async with transaction(pool) as conn:
        await conn.execute(f"SELECT pg_sleep({LONG})")


async def test_whoever_says_so_may_take_longer(wired: Pool) -> None:
    async with transaction(wired, seconds=LONG) as conn:
        await conn.execute(f"SELECT pg_sleep({3 * SHORT})")
    async with asyncio.timeout(LONG):
        with pytest.raises(TimeoutError):
            async with transaction(wired) as conn:
                await conn.execute(f"SELECT pg_sleep({LONG})")


def message(kind: bytes, content: bytes) -> bytes:
    """A message of PostgreSQL's protocol, version 3 (PostgreSQL's manual, 54.7)."""
    return kind + (len(content) + 4).to_bytes(4, "big") + content


HALF = (
    message(b"P", b"\0SELECT 1\0" + bytes(2))
    + message(b"B", bytes(2) + bytes(6))
    + message(b"E", b"\0" + bytes(4))
)
"""A statement without the Sync at its end: until that comes, the server is not idle."""


async def test_a_transaction_whose_statement_came_half_ends(database_url: str, pool: Pool) -> None:
    """What a proxy does that passes some octets on, and then none, and keeps its connections."""
    short = {"idle_in_transaction_session_timeout": "1s", "transaction_timeout": "2s"}
    async with (
        asyncio.timeout(LONG),
        open_pool(database_url, size=1, session=short) as silent,
        silent.acquire() as conn,
    ):
        ended = asyncio.Event()
        conn.add_termination_listener(lambda _: ended.set())
        await conn.execute("BEGIN")
        await conn.execute("SELECT pg_advisory_xact_lock(1)")
        inner: Any = conn
        inner._con._transport.write(HALF)
        await until(lambda: pool.fetchval("SELECT pg_try_advisory_lock(1)"))
        await asyncio.wait_for(ended.wait(), LONG)  # the pool takes it back


async def test_only_whoever_says_so_has_long_transactions(pool: Pool, database_url: str) -> None:
    shown = "SHOW transaction_timeout"
    async with (
        open_pool(database_url, size=1, session=door.BY_KEY) as hot,
        transaction(hot) as conn,
    ):
        assert await conn.fetchval(shown) == "20s"
    async with transaction(pool) as conn:
        assert await conn.fetchval(shown) == "1min"
    async with transaction(pool, seconds=LONG_SECONDS) as conn:
        assert await conn.fetchval(shown) == "0"
    async with transaction(pool) as conn:
        assert await conn.fetchval(shown) == "1min"


async def test_a_transaction_with_longer_statements_outlasts_the_sessions_limit(
    database_url: str,
) -> None:
    async with (
        open_pool(database_url, size=1, session={"transaction_timeout": "500ms"}) as short,
        transaction(short) as conn,
    ):
        await limit_statements(conn, 30)
        for _ in range(2):
            await conn.execute("SELECT pg_sleep(0.5)")


async def test_the_log_tells_of_a_loss_once_and_of_a_return_once(
    wired: Pool, postgres_wire: SilentProxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired.acquire() as conn:
        await conn.execute("SELECT 1")
    postgres_wire.fall_silent()
    async with asyncio.timeout(LONG):
        for _ in range(3):
            with pytest.raises(UNREACHABLE):
                async with wired.acquire() as conn:
                    await conn.execute("SELECT 1")
        assert messages(caplog) == ["PostgreSQL does not answer"]
        postgres_wire.forward()
        async with wired.acquire() as conn:
            await conn.execute("SELECT 1")
    assert messages(caplog) == ["PostgreSQL does not answer", "PostgreSQL answers again"]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "service.peer_timeouts"]


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such option")
async def test_both_ends_of_the_socket_give_up_a_peer_that_is_gone(wired_url: str) -> None:
    """Without a silent host at hand: what the kernel was told on each end."""
    conn = await connect(wired_url)
    try:
        ours = cast(Any, conn)._transport.get_extra_info("socket")
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        tcp = socket.IPPROTO_TCP
        assert [
            ours.getsockopt(tcp, socket.TCP_KEEPIDLE),
            ours.getsockopt(tcp, socket.TCP_KEEPINTVL),
            ours.getsockopt(tcp, socket.TCP_KEEPCNT),
            ours.getsockopt(tcp, socket.TCP_USER_TIMEOUT),
        ] == [5, 2, 3, 10_000]
        theirs = ("idle", "interval", "count")
        shown = [await conn.fetchval(f"SHOW tcp_keepalives_{name}") for name in theirs]
        assert [*shown, await conn.fetchval("SHOW tcp_user_timeout")] == ["5", "2", "3", "10000"]
    finally:
        await conn.close()


def test_hot_statements_end_in_time_for_a_recovery_within_thirty_seconds() -> None:
    assert door.HOT_SECONDS <= 10


# ---- Redis


async def test_a_command_that_is_not_answered_ends_with_its_connection(
    redis_wire: SilentProxy,
) -> None:
    async with open_redis(redis_url(redis_wire)) as client, asyncio.timeout(LONG):
        await client.ping()
        redis_wire.fall_silent()
        with pytest.raises(RedisError):
            await client.ping()
        redis_wire.forward_new()
        assert await client.ping()


async def test_one_silent_redis_connection_ends_those_that_rest_beside_it(
    redis_wire: SilentProxy,
) -> None:
    async with open_redis(redis_url(redis_wire)) as client, asyncio.timeout(LONG):
        await asyncio.gather(*(answered(client.eval("return 1", 0)) for _ in range(5)))
        before = redis_wire.accepted
        assert before > 1
        redis_wire.fall_silent()
        redis_wire.forward_new()
        with pytest.raises(RedisError):
            await client.ping()
        assert all(await asyncio.gather(*(client.ping() for _ in range(before))))


@pytest.mark.attack
async def test_a_wake_up_before_a_silent_redis_is_left_to_the_sweep(
    redis_wire: SilentProxy, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """One wait for an answer, then none, until Redis is back; two lines in the log."""
    async with open_queue(redis_url(redis_wire)) as queue, asyncio.timeout(LONG):
        await queue.enqueue(Job.DRAIN_CHANNEL, 1)
        redis_wire.fall_silent()
        for number in range(2, 100):
            await queue.enqueue(Job.DRAIN_CHANNEL, number)
        assert queue.reach.lost
        redis_wire.forward_new()
        await until(lambda: not queue.reach.lost)
        await queue.enqueue(Job.DRAIN_CHANNEL, 100)
    rung = {job.decode().split(":")[1] for job in await redis.zrange("tocsin:queue:channel", 0, -1)}
    assert {"1", "100"} <= rung
    assert len(rung) < 50
    assert messages(caplog) == ["Redis does not answer", "Redis answers again"]


async def test_redis_may_be_away_at_the_start() -> None:
    async with open_queue("redis://127.0.0.1:1/0") as queue:
        await queue.enqueue(Job.DRAIN_CHANNEL, 1)
        assert queue.reach.lost


@pytest.mark.attack
@pytest.mark.parametrize("old_ones_return", [True, False])
async def test_a_worker_works_again_when_redis_was_silent(
    redis_wire: SilentProxy, old_ones_return: bool
) -> None:
    done: list[str] = []
    before, after = str(uuid.uuid4()), str(uuid.uuid4())

    async def act(_: dict[str, Any], name: str) -> None:
        done.append(name)

    act.__name__ = act.__qualname__ = Job.READ_INBOUND.value
    settings = Settings(database_url="unused", redis_url=redis_url(redis_wire), key_file=Path("-"))
    async with open_queue(settings.redis_url) as queue:
        runtime: Any = replace(_EMPTY, settings=settings, queue=queue)
        kind, stop = WorkerKind("delivery", [act]), asyncio.Event()
        working = asyncio.create_task(
            supervise(lambda: make_worker(runtime, kind, {}), stop, queue.note_loss)
        )
        async with asyncio.timeout(LONG):
            await _done(queue, done, before)
            redis_wire.fall_silent()
            await until(lambda: queue.reach.lost)
            if old_ones_return:
                redis_wire.forward()
            else:
                redis_wire.forward_new()
            await _done(queue, done, after)
            stop.set()
            await working


async def _done(queue: Queue, done: list[str], name: str) -> None:
    """Ask for the job until it was done, as the sweep does."""

    async def is_done() -> bool:
        await queue.enqueue(Job.READ_INBOUND, name)
        return name in done

    await until(is_done, every=0.05)


_EMPTY = Runtime(None, None, None, None, None, None)  # type: ignore[arg-type]  # a worker needs settings and queue


async def test_the_limits_of_redis_leave_time_for_a_recovery_within_thirty_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    async with open_redis("redis://127.0.0.1:1/0") as client:
        options = client.connection_pool.connection_kwargs
    assert options["socket_timeout"] <= 5
    assert options["socket_connect_timeout"] <= 3
    assert options["health_check_interval"] <= 5
    assert options["socket_keepalive"]


# ---- the API


@pytest.fixture
async def client(
    wired_url: str, wired: Pool, redis_wire: SilentProxy, keyring: Keyring
) -> AsyncIterator[TestClient[Any, Any]]:
    settings = Settings(
        database_url=wired_url, redis_url=redis_url(redis_wire), key_file=Path("unused")
    )
    async with (
        open_queue(settings.redis_url) as queue,
        open_redis(settings.redis_url) as redis,
        TestClient(
            TestServer(create_app(Runtime(settings, Clock(), keyring, wired, redis, queue)))
        ) as client,
    ):
        yield client


@pytest.mark.slow
async def test_the_api_says_that_the_database_does_not_answer(
    client: TestClient[Any, Any], postgres_wire: SilentProxy
) -> None:
    headers = {"Authorization": f"Bearer {uuid.uuid4()}"}
    async with asyncio.timeout(LONG):
        assert (await client.get("/api/v1/users", headers=headers)).status == 401
        postgres_wire.fall_silent()
        answers = await asyncio.gather(
            *(client.get("/api/v1/users", headers=headers) for _ in range(20))
        )
        for answer in answers:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            problem = await answer.json()
            assert "database" in problem["detail"]
        assert (await client.get("/readyz")).status == 503
        postgres_wire.forward_new()
        assert (await client.get("/api/v1/users", headers=headers)).status == 401
