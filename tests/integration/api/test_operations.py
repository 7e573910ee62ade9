"""Health, readiness, the access log, and serving until asked to stop."""

import asyncio
import logging
import os
import signal
from dataclasses import replace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from service.app import create_app, serve
from service.runtime import Runtime
from service.storage.postgres import transaction
from tests.integration.api.conftest import Api


async def test_it_is_up_and_ready_without_a_key(api: Api) -> None:
    assert (await api.get("//healthz", None)).json == {"status": "ok"}
    ready = await api.get("//readyz", None)
    assert (ready.status, ready.json["checks"]) == (200, {"postgresql": "ok", "redis": "ok"})


async def test_it_is_not_ready_with_a_migration_missing(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("DELETE FROM migrations WHERE name = '0006_ledger.sql'")
    ready = await api.get("//readyz", None)
    assert ready.status == 503
    assert ready.json["checks"]["postgresql"] == "migrations are missing: 0006_ledger.sql"


async def test_it_is_not_ready_without_redis(runtime: Runtime) -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    app = create_app(replace(runtime, redis=nowhere))
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["checks"]["redis"] == "unreachable"
    await nowhere.aclose()


async def test_the_access_log_has_the_route_and_never_the_query(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.access"):
        await api.get("/suppressions?phone=19790000001", ("county", "viewer"))
    (record,) = caplog.records
    facts = cast(Any, record)
    assert (facts.method, facts.route, facts.status) == ("GET", "/api/v1/suppressions", 200)
    assert facts.user_id == str(api.teams["county"].viewer.id)
    assert "19790000001" not in str(vars(record))


async def test_it_serves_until_it_is_asked_to_stop(runtime: Runtime) -> None:
    ports: list[int] = []
    serving = asyncio.create_task(serve(runtime, "127.0.0.1", 0, ports.append))
    while not ports:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{ports[0]}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 10)
