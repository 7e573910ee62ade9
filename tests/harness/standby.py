"""A primary with all migrations and a standby that streams from it, and the API on both."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from service.app import create_app
from service.crypto import Keyring
from service.local.embedded import Postgres
from service.messages.lint.lint_store import policy_set
from service.queue import open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.migrate import migrate
from service.storage.postgres import connected, open_pool
from service.storage.replica import ReadReplica, open_replica
from service.storage.roles import admit, login_of
from tests.factories import make_team, make_token
from tests.harness.clocks import HandClock
from tests.harness.promotion import add_standby
from tests.harness.waiting import until
from tests.integration.api.conftest import Api


@dataclass
class Pair:
    """Both servers."""

    primary: Postgres
    standby: Postgres

    async def _say(self, statement: str) -> None:
        async with connected(self.standby.url) as conn:
            await conn.execute(statement)

    async def pause(self) -> None:
        """From now on the standby shows nothing new, though it gets all."""
        await self._say("SELECT pg_wal_replay_pause()")

        async def paused() -> bool:
            async with connected(self.standby.url) as conn:
                return bool(
                    await conn.fetchval("SELECT pg_get_wal_replay_pause_state()") == "paused"
                )

        await until(paused, what="a standby that stands still")

    async def resume(self) -> None:
        """Let it go on."""
        await self._say("SELECT pg_wal_replay_resume()")

    def kill(self) -> None:
        """kill -9 of the standby."""
        os.kill(self.standby.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.standby.pid, 0)
        self.standby.pid = 0


@asynccontextmanager
async def pair_of(folder: Path, now: datetime) -> AsyncIterator[Pair]:
    """Both, started."""
    (folder / "primary").mkdir(parents=True, mode=0o700)
    primary = Postgres(folder / "primary", fsync=False)
    primary.start()
    standby = None
    try:
        primary.create_database()
        async with connected(primary.url) as conn:
            await migrate(conn)
            await admit(conn, login_of(primary.service_url))
            await policy_set(conn, {"levels": {"R02": "warn"}}, "for tests", None, now)
        standby = add_standby(primary, folder / "standby")
        yield Pair(primary, standby)
    finally:
        for server in (standby, primary):
            if server is not None:
                server.stop()


@dataclass
class ReplicaApi:
    """The API, and the replica that it reads."""

    api: Api
    replica: ReadReplica
    pair: Pair

    async def follow(self) -> datetime:
        """Wait until the standby has seen all that was done by now, on the API's clock."""
        now = self.api.clock.now()

        async def followed() -> bool:
            await self.replica.look()
            async with self.replica.reading(10) as reads:
                return reads is not None and reads.as_of >= now

        await until(followed, 30, "a standby that follows", every=0.05)
        return now


@asynccontextmanager
async def api_with_replica(
    pair: Pair,
    settings: Settings,
    keyring: Keyring,
    redis: Redis,
    now: datetime,
    *,
    most_behind: float = 3_600,
) -> AsyncIterator[ReplicaApi]:
    """The API on both servers, its clock at an instant; the county and a school have all roles."""
    clock = HandClock(now)
    url = pair.primary.service_url
    settings = settings.model_copy(update={"database_url": url})
    async with (
        open_pool(url, size=8) as pool,
        open_queue(settings.redis_url) as queue,
        open_replica(
            pair.standby.service_url, pool, clock, size=4, most_behind=most_behind
        ) as replica,
    ):
        runtime = Runtime(settings, clock, keyring, pool, redis, queue, replica=replica)
        teams, tokens = {}, {}
        async with pool.acquire() as conn, conn.transaction():
            for name, kind in (("county", "county"), ("school", "school")):
                team = teams[name] = await make_team(conn, now=now, kind=kind)
                for role in ("admin", "operator", "approver", "viewer", "inspector"):
                    token = await make_token(conn, keyring, getattr(team, role), now)
                    tokens[name, role] = token
        async with TestClient(TestServer(create_app(runtime))) as client:
            made = ReplicaApi(Api(client, runtime, teams, tokens), replica, pair)
            await made.follow()
            yield made
