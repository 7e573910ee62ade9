"""Health, readiness, the access log, and serving until asked to stop."""

import asyncio
import logging
import os
import re
import signal
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from service.api.system.health import ACTS
from service.app import create_app, serve
from service.dispatch.handoff import sweep_store
from service.errors import Misconfigured
from service.liveness.offset import ClockOffset
from service.liveness.process_store import Process, write_beat
from service.messages.lint import wording
from service.runtime import Runtime, open_runtime
from service.storage.migrate import BEFORE_BASELINE, FIRST_BEFORE_BASELINE
from service.storage.postgres import (
    Connection,
    OwnConnection,
    TooManyConnections,
    connect,
    open_pool,
)
from tests.harness.owner import as_owner
from tests.harness.waiting import until
from tests.integration.api.conftest import Api


async def end_turns(runtime: Runtime, *acts: str, seconds_ago: int = 0) -> None:
    """As if a scheduler had ended these acts."""
    async with runtime.pool.acquire() as conn:
        for act in acts:
            await sweep_store.note_turn(conn, act, 0.01)
        await conn.execute(
            "UPDATE turns SET ended_at = ended_at - make_interval(secs => $1) WHERE act = ANY($2)",
            seconds_ago,
            acts,
        )


async def test_it_is_up_and_ready_without_a_key(api: Api) -> None:
    assert (await api.get("//healthz", None)).json == {"status": "ok"}
    await end_turns(api.runtime, *ACTS)
    ready = await api.get("//readyz", None)
    assert ready.status == 200
    assert ready.json == {
        "status": "ok",
        "checks": dict.fromkeys(
            ("postgresql", "redis", "scheduler", "role", "clock", "commits"), "ok"
        ),
    }


async def test_without_a_scheduler_at_work_it_is_degraded_and_says_so(api: Api) -> None:
    ready = await api.get("//readyz", None)
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert ready.json["checks"]["scheduler"] == "none has been at work yet"
    await end_turns(api.runtime, *ACTS)
    await end_turns(api.runtime, "recover", seconds_ago=45)
    ready = await api.get("//readyz", None)
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert ready.json["checks"]["scheduler"] == "late for 45 s: recover"


@pytest.mark.attack
async def test_it_says_if_the_services_role_could_change_the_audit_trail(
    runtime: Runtime, owner_url: str
) -> None:
    async with open_pool(owner_url, size=2) as pool:
        settings = runtime.settings.model_copy(update={"database_url": owner_url})
        app = create_app(replace(runtime, pool=pool, settings=settings))
        async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
            assert response.status == 200
            assert (await response.json())["checks"]["role"] == "it is a superuser"


async def test_it_is_not_ready_for_a_user_who_may_not_read_the_tables(
    runtime: Runtime, owner: Connection
) -> None:
    await owner.execute("REVOKE SELECT ON migrations FROM tocsin_service")
    app = create_app(runtime)
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
        assert response.status == 503
        said = (await response.json())["checks"]["postgresql"]
    assert said == "the user of TOCSIN_DATABASE_URL may not use the tables: run tocsin migrate"


async def test_it_is_not_ready_for_a_database_that_is_newer(api: Api) -> None:
    await as_owner(api.runtime.pool, "INSERT INTO migrations VALUES ('9999_later.sql', '')")
    ready = await api.get("//readyz", None)
    assert ready.status == 503
    assert ready.json["checks"]["postgresql"].startswith(
        "the database is newer than this program: it has 9999_later.sql, beside which version"
    )


async def test_no_process_starts_on_a_database_from_before_the_baseline(
    api: Api, key_file: Path
) -> None:
    """A process that runs on one already says so to whoever asks."""
    pool = api.runtime.pool
    settings = api.runtime.settings.model_copy(update={"key_file": key_file})
    async with open_runtime(settings):
        pass
    await as_owner(pool, "INSERT INTO migrations VALUES ($1, '')", FIRST_BEFORE_BASELINE)
    with pytest.raises(Misconfigured, match="before version 0.2"):
        async with open_runtime(settings):
            pass
    ready = await api.get("//readyz", None)
    assert ready.status == 503
    assert ready.json["checks"]["postgresql"] == BEFORE_BASELINE


async def take_every_connection(url: str) -> list[OwnConnection]:
    taken = []
    while True:
        try:
            taken.append(await connect(url))
        except TooManyConnections:
            return taken


async def test_a_database_without_a_free_connection_is_named(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.open_pool", open_pool)  # none that has a connection already
    taken = await take_every_connection(database_url)
    try:
        async with open_pool(database_url, size=2) as pool:
            app = create_app(replace(api.runtime, pool=pool))
            async with TestClient(TestServer(app)) as client:
                async with client.get("/readyz") as response:
                    assert response.status == 503
                    checks = (await response.json())["checks"]
                    assert checks["postgresql"].startswith("no connection is free: ")
                key = {"Authorization": f"Bearer {api.tokens['county', 'viewer']}"}
                async with client.get("/api/v1/campaigns", headers=key) as response:
                    assert (response.status, response.headers["Retry-After"]) == (503, "5")
                    detail = (await response.json())["detail"]
                    assert detail == "the database has no connection free; try again soon"
                await taken.pop().close()
                await taken.pop().close()

                async def answers() -> bool:
                    return (await client.get("/api/v1/campaigns", headers=key)).status == 200

                await until(answers)
    finally:
        for connection in taken:
            await connection.close()


async def test_it_is_not_ready_with_a_migration_missing(api: Api) -> None:
    missing = "DELETE FROM migrations WHERE name = '0007_baseline_ledger.sql'"
    await as_owner(api.runtime.pool, missing)
    ready = await api.get("//readyz", None)
    assert ready.status == 503
    assert ready.json["checks"]["postgresql"] == (
        "migrations are missing: 0007_baseline_ledger.sql; run `tocsin migrate`"
    )


async def test_a_newer_database_that_was_noted_to_fit_is_fine(api: Api) -> None:
    await end_turns(api.runtime, *ACTS)
    strange = "INSERT INTO migrations (name, digest, works_with) VALUES ('9999_later.sql', '', $1)"
    await as_owner(api.runtime.pool, strange, version("tocsin"))
    assert (await api.get("//readyz", None)).json["status"] == "ok"
    await as_owner(api.runtime.pool, "UPDATE migrations SET works_with = '999.0.0'")
    ready = await api.get("//readyz", None)
    assert ready.status == 503
    assert "9999_later.sql" in ready.json["checks"]["postgresql"]


@pytest.mark.parametrize(
    ("kind", "ahead", "status"),
    [
        ("channel", 12.0, "ok"),
        ("channel:china_mobile", -61.0, "degraded"),
        ("api", 61.0, "ok"),
    ],
)
async def test_a_clock_that_is_not_postgresqls_is_named(
    api: Api, kind: str, ahead: float, status: str
) -> None:
    """And where a channel process hands off nothing because of it, the system is degraded."""
    await end_turns(api.runtime, *ACTS)
    async with api.runtime.pool.acquire() as conn:
        await write_beat(conn, process("expand"), ClockOffset(timedelta(seconds=9), LONG_WAY))
        await write_beat(conn, process("imports"), None)
        offset = ClockOffset(timedelta(seconds=ahead), timedelta(seconds=0.1))
        await write_beat(conn, process(kind), offset)
    ready = (await api.get("//readyz", None)).json
    assert ready["status"] == status
    said = f"not PostgreSQL's, set it by NTP: {kind}: {ahead:+.1f} s"
    assert ready["checks"]["clock"] == said, "nor one of which that is not known"


LONG_WAY = timedelta(seconds=5)
"""Half of a round trip in which nine seconds may be four."""


def process(kind: str) -> Process:
    return Process(uuid4(), kind, "host", len(kind), version("tocsin"), "0140_add_processes.sql")


async def test_an_answer_to_a_probe_is_no_line_in_the_log_unless_it_is_bad(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.access"):
        for _ in range(3):
            await api.get("//healthz", None)
            await api.get("//readyz", None)
        assert caplog.records == []
        await as_owner(api.runtime.pool, "DELETE FROM migrations WHERE name LIKE '0007%'")
        for _ in range(3):
            await api.get("//readyz", None)
    (record,) = caplog.records
    facts = cast(Any, record)
    assert (facts.getMessage(), facts.route, facts.status) == ("a probe failed", "/readyz", 503)


async def test_it_is_not_ready_without_redis(runtime: Runtime) -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    app = create_app(replace(runtime, redis=nowhere))
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["checks"]["redis"] == "unreachable"
    await nowhere.aclose()


async def test_a_wrong_server_is_named(
    runtime: Runtime, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = re.sub(r":[^:@]*@", ":wrong@", database_url)
    async with open_pool(url, size=2) as pool:
        settings = runtime.settings.model_copy(update={"database_url": url})
        app = create_app(replace(runtime, pool=pool, settings=settings))
        async with TestClient(TestServer(app)) as client, client.get("/readyz") as response:
            assert response.status == 503
            checks = (await response.json())["checks"]
            assert checks["postgresql"] == "refuses the user or password of TOCSIN_DATABASE_URL"
    monkeypatch.setattr("service.api.system.health.POSTGRESQL_MAJOR", 99)
    monkeypatch.setattr("service.servers.REDIS_VERSION", (99, 0))
    async with TestClient(TestServer(create_app(runtime))) as client:
        checks = (await (await client.get("/readyz")).json())["checks"]
        assert checks["postgresql"] == "version 18 found, 99 needed"
        assert re.fullmatch(r"version [\d.]+ found, 99.0 needed", checks["redis"])


@pytest.mark.attack
async def test_the_access_log_has_the_route_and_never_the_query(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.access"):
        await api.get("/suppressions?phone=19790000001", ("county", "viewer"))
    (record,) = caplog.records
    facts = cast(Any, record)
    assert (facts.method, facts.route, facts.status) == ("GET", "/api/v1/suppressions", 422)
    assert facts.user_id == str(api.teams["county"].viewer.id)
    assert "19790000001" not in str(vars(record))


async def test_it_serves_until_it_is_asked_to_stop(runtime: Runtime) -> None:
    wording.shipped.cache_clear()
    ports: list[int] = []
    serving = asyncio.create_task(serve(runtime, "127.0.0.1", 0, ports.append))
    await until(lambda: ports)
    assert wording.shipped.cache_info().currsize, "the first who lints would wait for it"
    url = f"http://127.0.0.1:{ports[0]}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 10)
