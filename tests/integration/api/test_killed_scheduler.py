"""Kill -9 of the real scheduler in a step of a follow-up and between two: each is done once."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Valkey, write_private
from service.storage.postgres import connected
from tests.harness.followed import missed_some, settle
from tests.harness.processes import Running, running
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

pytestmark = [pytest.mark.slow, pytest.mark.crash]

OPERATOR = ("county", "operator")
SPEED = 60
"""A minute between two looks at a follow-up is a second."""
PATIENCE_SECONDS = 90.0
WAITS_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def environment(
    api: Api, database_url: str, valkey: Valkey, redis: Redis, tmp_path: Path
) -> dict[str, str]:
    """Of processes that begin when the server's clock stands."""
    write_private(tmp_path / "key", "01" * 32)
    return {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
        "TOCSIN_CLOCK_START": api.clock.at.isoformat(),
        "TOCSIN_CLOCK_ANCHOR": str(time.time()),
        "TOCSIN_CLOCK_SPEED": str(SPEED),
    }


async def steps(api: Api) -> list[tuple[str, str]]:
    """The steps and where they stand."""
    rows = await api.runtime.pool.fetch("SELECT step, state FROM followup_steps ORDER BY no")
    return [(row["step"], row["state"]) for row in rows]


async def resent(api: Api) -> list[uuid.UUID]:
    rows = await api.runtime.pool.fetch("SELECT id FROM runs WHERE relation = 'resend'")
    return [row["id"] for row in rows]


async def kill(scheduler: Running) -> None:
    scheduler.process.kill()
    await scheduler.process.wait()


@asynccontextmanager
async def scheduler(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Running]:
    async with running(folder, environment, "scheduler") as found:
        yield found


async def killed_in_the_middle(
    api: Api, environment: dict[str, str], folder: Path, held: str
) -> None:
    """Kill the scheduler while a statement of its step waits for rows that somebody holds."""
    async with (
        connected(environment["TOCSIN_DATABASE_URL"]) as other,
        other.transaction(),
    ):
        await other.execute(held)
        async with scheduler(folder, environment) as process:

            async def waits() -> bool:
                return bool(await api.runtime.pool.fetchval(WAITS_FOR_A_LOCK))

            await until(waits, PATIENCE_SECONDS, "a step waits for the rows", every=0.1)
            await kill(process)


async def comes_to(api: Api, wanted: list[tuple[str, str]]) -> None:
    async def there() -> bool:
        return await steps(api) == wanted

    await until(there, PATIENCE_SECONDS, f"the steps are {wanted}", every=0.05)


async def test_a_step_is_done_once_wherever_the_scheduler_is_killed(
    api: Api, environment: dict[str, str], tmp_path: Path
) -> None:
    pool = api.runtime.pool
    sending = await missed_some(api)
    body = {"run": str(sending.run), "steps": ["again", "visit"]}
    assert (await api.post("/followups", OPERATOR, body)).status == 201
    nothing_yet = [("again", "waiting"), ("visit", "waiting")]

    held = f"SELECT FROM runs WHERE id = '{sending.run}' FOR UPDATE"
    await killed_in_the_middle(api, environment, tmp_path / "in-again", held)
    assert await steps(api) == nothing_yet
    assert await resent(api) == []

    async with scheduler(tmp_path / "after-again", environment) as process:
        await comes_to(api, [("again", "under_way"), ("visit", "waiting")])
        await kill(process)
    (again,) = await resent(api)
    await expand_run(pool, again, api.clock.at)
    await pool.execute(
        "UPDATE messages SET state = 'delivered', part_count = 1, submitted_at = $2"
        " WHERE run_id = $1",
        again,
        api.clock.at,
    )
    await settle(api, again)

    held = "SELECT FROM visits WHERE state = 'waiting' FOR UPDATE"
    await killed_in_the_middle(api, environment, tmp_path / "in-visit", held)
    assert ("visit", "under_way") not in await steps(api)
    states = await pool.fetch("SELECT state, count(*) FROM followups GROUP BY state")
    assert [tuple(row) for row in states] == [("going", 1)]

    async with scheduler(tmp_path / "after-visit", environment) as process:
        await comes_to(api, [("again", "done"), ("visit", "under_way")])
        await kill(process)
    assert await resent(api) == [again]
    people = await pool.fetch("SELECT state, count(*)::int FROM visits GROUP BY state")
    assert dict(map(tuple, people)) == {"reached": 1, "open": 2}
    assert await pool.fetchval("SELECT state FROM followups") == "visiting"
