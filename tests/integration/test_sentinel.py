"""Clients that find the primary by sentinels, and follow it: queue, pace, wakes, health."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service import queue as queues
from service.dispatch.limits.pace import Pace, channel_limit
from service.errors import Unavailable
from service.queue import Job, open_queue, open_redis, queue_name
from service.servers import find_faults
from tests.harness.sentinels import ScriptedSentinel, scripted_sentinels, url_of, valkey_on_tcp
from tests.harness.valkey import answered
from tests.harness.waiting import PATIENCE_SECONDS, until


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    folder = tmp_path_factory.mktemp("valkeys")
    with valkey_on_tcp(folder / "one") as one, valkey_on_tcp(folder / "two") as two:
        yield one, two


@pytest.fixture
async def servers(ports: tuple[int, int]) -> AsyncIterator[tuple[Redis, Redis]]:
    """Two empty primaries, which know nothing of one another."""
    async with Redis(port=ports[0]) as one, Redis(port=ports[1]) as two:
        for server in (one, two):
            await answered(server.replicaof("NO", "ONE"))
            await answered(server.config_set("min-replicas-to-write", 0))
            await answered(server.flushall())
        yield one, two


@pytest.fixture
async def sentinels(ports: tuple[int, int]) -> AsyncIterator[list[ScriptedSentinel]]:
    """Three that name the first of them."""
    async with scripted_sentinels(ports[0]) as three:
        yield three


def promote(sentinels: list[ScriptedSentinel], port: int) -> None:
    """They have agreed on another primary."""
    for one in sentinels:
        one.primary, one.epoch = port, one.epoch + 1


async def test_the_newest_answer_of_most_sentinels_counts(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel], ports: tuple[int, int]
) -> None:
    """One that was cut off still names the old primary, whichever place it has in the URL."""
    promote(sentinels[1:], ports[1])
    for turn in range(3):
        async with open_redis(url_of(sentinels[turn:] + sentinels[:turn])) as redis:
            await answered(redis.set("place", turn))
    assert await answered(servers[0].exists("place")) == 0
    assert await answered(servers[1].get("place")) == b"2"


@pytest.mark.parametrize("how", ["demoted", "without replicas"])
async def test_a_server_that_takes_no_writes_any_more_is_left(
    how: str,
    servers: tuple[Redis, Redis],
    sentinels: list[ScriptedSentinel],
    ports: tuple[int, int],
) -> None:
    old, new = servers
    async with open_redis(url_of(sentinels)) as redis:
        await answered(redis.set("key", "before"))
        promote(sentinels, ports[1])
        if how == "demoted":
            await answered(old.replicaof("127.0.0.1", str(ports[1])))
        else:
            await answered(old.config_set("min-replicas-to-write", 1))
        with pytest.raises(RedisError):
            await answered(redis.set("key", "lost"))
        await answered(redis.set("key", "after"))
    assert await answered(new.get("key")) == b"after"


async def test_a_promoted_server_that_lacks_a_bucket_lets_no_burst_through(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel], ports: tuple[int, int]
) -> None:
    """What the old primary granted last is unknown to the new one: its bucket begins empty."""
    limit = channel_limit(1, 500)
    async with open_redis(url_of(sentinels)) as redis:
        await Pace(redis).take([limit], 100)

        async def granted() -> int:
            return (await Pace(redis).take([limit], 100)).count

        assert await until(granted, what="tokens of the old primary") > 0
        promote(sentinels, ports[1])
        await answered(servers[0].config_set("min-replicas-to-write", 1))
        with pytest.raises(Unavailable):
            await Pace(redis).take([limit], 100)
        assert await granted() == 0, "a burst beside what the old primary had granted"
        assert await answered(servers[1].exists(limit.key)) == 1


async def test_jobs_and_wakes_follow_the_primary(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel], ports: tuple[int, int]
) -> None:
    url, stop = url_of(sentinels), asyncio.Event()
    promote(sentinels, ports[1])
    heard: list[int] = []

    async def hear() -> None:
        async for channel in queues.heard_wakes(url, stop):
            heard.append(channel)
            stop.set()

    hearing = asyncio.create_task(hear())
    async with open_queue(url) as queue:
        await queue.enqueue(Job.DRAIN_CHANNEL, 7)
        assert await answered(servers[1].zcard(queue_name("channel"))) == 1

        async def woken() -> list[int]:
            await queue.call_out(7)
            return heard

        assert await until(woken) == [7]
    await hearing


async def test_many_tasks_at_once_lose_no_sentinel(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel], ports: tuple[int, int]
) -> None:
    """However often they were asked, the last is enough when the others tell nothing."""
    async with open_redis(url_of(sentinels)) as redis:
        for _ in range(5):
            await asyncio.gather(*(redis.incr("count") for _ in range(20)))
            await redis.connection_pool.disconnect(inuse_connections=False)
        assert {one.asked > 0 for one in sentinels} == {True}
        sentinels[0].password = sentinels[1].password = "new"
        await redis.connection_pool.disconnect(inuse_connections=False)
        assert await answered(redis.incr("count")) == 101
    assert len(servers) == len(ports)


async def test_a_silent_sentinel_is_not_waited_for(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "ANSWER_SECONDS", None)  # it would be waited for, for ever
    sentinels[0].silent = True
    async with asyncio.timeout(PATIENCE_SECONDS), open_redis(url_of(sentinels)) as redis:
        assert await answered(redis.set("key", "value"))
    assert servers


async def sentence(url: str) -> str:
    (fault,) = await find_faults(None, url)
    return fault.sentence


async def test_what_sentinels_refuse_is_told_apart(
    servers: tuple[Redis, Redis], sentinels: list[ScriptedSentinel]
) -> None:
    assert await find_faults(None, url_of(sentinels)) == []
    assert servers
    unknown = await sentence(url_of(sentinels, name="other"))
    assert "know no primary of the name in TOCSIN_REDIS_URL" in unknown
    assert "不认识 TOCSIN_REDIS_URL 中的主节点名" in unknown
    for one in sentinels:
        one.flags = "master,o_down"
    assert "cannot be reached" in await sentence(url_of(sentinels))
    for one in sentinels:
        one.flags, one.password = "master", "hunter2"
    assert await find_faults(None, url_of(sentinels, password="hunter2")) == []
    for wrong in ("", "hunter3"):
        refused = await sentence(url_of(sentinels, password=wrong))
        assert "the password is wrong or missing" in refused
        assert "hunter" not in refused
    away = await sentence("sentinel://:hunter2@127.0.0.1:1,127.0.0.1:1/tocsin/0")
    assert "nothing listens" in away
    form = await sentence("sentinel://:hunter2@127.0.0.1:1")
    assert "an address of sentinels is written sentinel://" in form
    assert "哨兵地址写作" in form
    assert "hunter2" not in away + form


async def test_a_server_in_cluster_mode_is_refused(tmp_path: Path) -> None:
    with valkey_on_tcp(tmp_path / "cluster", "--cluster-enabled", "yes") as port:
        said = await sentence(f"redis://127.0.0.1:{port}/0")
    assert "runs in cluster mode, which is not supported" in said
    assert "以集群模式运行，不支持" in said
