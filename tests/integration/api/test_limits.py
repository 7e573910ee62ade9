"""How many requests a minute: told, refused, and kept while Redis is away."""

import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.api.http import limiter, server
from service.api.http.limiter import Limiter, RequestLimit, TooManyRequests
from service.api.http.server import LIMITER
from service.local.embedded import Valkey
from service.settings import Settings
from tests.harness.keys import ADMIN, active_key, second_admin
from tests.integration.api.conftest import Api

NOW = 1_800_000_030.0  # in the middle of a minute


@pytest.fixture
def settings() -> Settings:
    return Settings(database_url="", redis_url="", key_file=Path("/"))


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Redis]:
    """A Redis that is not there."""
    client = Redis(unix_socket_path=str(tmp_path / "nothing"))
    yield client
    await client.aclose()


async def taken(subject: Limiter, limits: list[RequestLimit], times: int) -> int:
    """How many of so many requests have room."""
    count = 0
    for _ in range(times):
        try:
            await subject.take(limits)
        except TooManyRequests:
            continue
        count += 1
    return count


async def test_each_limit_is_kept_and_none_is_charged_for_the_other(
    redis: Redis, settings: Settings
) -> None:
    subject = Limiter(redis, settings)
    department = RequestLimit("department", "d", 5)
    assert await taken(subject, [RequestLimit("key", "a", 3), department], 9) == 3
    assert await taken(subject, [RequestLimit("key", "b", 9), department], 9) == 2
    # What the department refused does not count against the key.
    assert (
        await taken(subject, [RequestLimit("key", "b", 9), RequestLimit("department", "e", 99)], 9)
        == 7
    )


async def test_two_processes_share_a_limit(redis: Redis, settings: Settings) -> None:
    one, other = Limiter(redis, settings), Limiter(redis, settings)
    limits = [RequestLimit("key", "a", 10)]
    assert await taken(one, limits, 6) + await taken(other, limits, 6) == 10


async def test_who_asks_often_is_counted_ahead_and_has_not_one_request_more(
    redis: Redis, settings: Settings
) -> None:
    one, other = Limiter(redis, settings), Limiter(redis, settings)
    for name in itertools.count():
        minute = await minute_of(redis)
        limits = [
            RequestLimit("key", f"a{name}", 3_000),
            RequestLimit("department", f"d{name}", 60_000),
        ]
        await redis.config_resetstat()
        taken_first = await taken(one, limits, 20) + await taken(other, limits, 2_000)
        asked = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        left = await taken(one, limits, 2_000) + await taken(other, limits, 2_000)
        if await minute_of(redis) == minute:  # else some of what was used has faded
            break
    assert taken_first == 2_020
    assert asked < 2_020 / 4, "no more than five at once are counted ahead"
    assert 980 - 5 <= left <= 980, "what the other one was counted ahead may be lost"


async def minute_of(redis: Redis) -> int:
    """The minute of the limiter's clock."""
    seconds, _ = await redis.time()
    return int(seconds) // 60


async def test_each_of_those_counted_ahead_is_told_what_is_left(
    redis: Redis, settings: Settings
) -> None:
    subject, limits = Limiter(redis, settings), [RequestLimit("key", "a", 6_000)]
    told = [(await subject.take(limits))["RateLimit"] for _ in range(40)]
    assert [int(state.split("r=")[1].split(";")[0]) for state in told] == [*range(5_999, 5_959, -1)]


async def test_who_asks_seldom_is_not_counted_ahead(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "AHEAD_SECONDS", 0.0)
    subject, limits = Limiter(redis, settings), [RequestLimit("key", "a", 6_000)]
    assert await taken(subject, limits, 20) == 20
    counted = [int(await redis.get(key)) for key in await redis.keys("requests:a:*")]
    assert sum(counted) == 20


@pytest.mark.attack
async def test_redis_away_neither_opens_the_gate_nor_shuts_it(
    away: Redis, settings: Settings
) -> None:
    subject = Limiter(away, settings)
    assert await taken(subject, [RequestLimit("key", "a", 5)], 20) == 5
    assert await taken(subject, [RequestLimit("key", "b", 5)], 4) == 4


async def test_a_frozen_redis_holds_up_one_request_and_not_each(
    valkey: Valkey, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Limiter(redis, settings)
    monkeypatch.setattr(limiter, "ANSWER_SECONDS", 0.2)
    other = Redis.from_url(valkey.url)
    await other.client_pause(2_000, all=False)
    try:
        started = time.monotonic()
        assert await taken(subject, [RequestLimit("key", "a", 5)], 50) == 5
        assert time.monotonic() - started < 1
    finally:
        await other.client_unpause()
        await other.aclose()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the process, in a list that a test may change."""
    seconds = [NOW]
    monkeypatch.setattr("service.api.http.limiter.time.time", lambda: seconds[0])
    return seconds


async def test_the_window_slides(away: Redis, settings: Settings, at: list[float]) -> None:
    """No minute, wherever it begins, has more than the limit, as far as two counts can tell."""
    subject, limits = Limiter(away, settings), [RequestLimit("key", "a", 60)]
    assert await taken(subject, limits, 100) == 60
    with pytest.raises(TooManyRequests) as refused:
        await subject.take(limits)
    at[0] += 30  # a new minute: the last one still counts in full
    assert await taken(subject, limits, 100) == 0
    at[0] += 30
    assert await taken(subject, limits, 100) == 30
    assert refused.value.seconds == 31
    at[0] += 600
    assert await taken(subject, limits, 100) == 60


@pytest.mark.parametrize("spent", [10, 60])
async def test_who_waits_as_told_is_let_in(
    away: Redis, settings: Settings, at: list[float], spent: int
) -> None:
    subject, limits = Limiter(away, settings), [RequestLimit("key", "a", 10)]
    await taken(subject, limits, spent)
    for _ in range(5):
        with pytest.raises(TooManyRequests) as refused:
            await subject.take(limits)
        at[0] += refused.value.seconds
        await subject.take(limits)
        await taken(subject, limits, 10)


@pytest.mark.attack
async def test_a_key_is_told_of_its_limits_and_stopped_at_them(api: Api) -> None:
    key = await active_key(api, requests_per_minute=3)
    told: list[Any] = []
    for _ in range(3):
        answer = await api.get("/campaigns", key["token"])
        assert answer.status == 200
        told.append(answer.headers["RateLimit"].partition(";t=")[0])
    assert told == ['"key";r=2', '"key";r=1', '"key";r=0']
    policy = '"key";q=3;w=60, "department";q=30000;w=60'
    assert answer.headers["RateLimit-Policy"] == policy
    refused = await api.get("/campaigns", key["token"])
    assert refused.status == 429
    assert refused.json["type"].endswith("too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert (await api.get("/campaigns", ("county", "operator"))).status == 200
    new = await api.post(f"/keys/{key['id']}/rotate", ADMIN, {})
    path = f"/keys/{new.json['id']}/activate"
    assert (await api.post(path, await second_admin(api))).status == 200
    assert (await api.get("/campaigns", new.json["token"])).status == 429  # the same grant


@pytest.mark.attack
async def test_a_department_has_a_limit_for_all_its_keys(api: Api) -> None:
    path = f"/departments/{api.teams['school'].department_id}"
    await api.patch(path, ADMIN, {"requests_per_minute": 4})
    statuses = [
        (await api.get("/campaigns", ("school", role))).status
        for role in ("admin", "operator", "viewer", "admin", "operator")
    ]
    assert statuses == [200] * 4 + [429]
    assert (await api.get("/campaigns", ADMIN)).status == 200


@pytest.mark.attack
async def test_an_address_may_not_try_every_login(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOGINS", server.LOGINS._replace(a_minute=3))
    body = {"login": "nobody", "password": "x"}
    statuses = [(await api.post("/login", None, body)).status for _ in range(5)]
    assert statuses == [401] * 3 + [429] * 2


@pytest.mark.attack
async def test_reads_go_on_while_redis_is_away(api: Api, away: Redis) -> None:
    app: Any = api.client.app
    app._state[LIMITER] = Limiter(away, api.runtime.settings)
    answer = await api.get("/campaigns", ADMIN)
    assert (answer.status, answer.headers["RateLimit"][:12]) == (200, '"key";r=5999')
