"""Kill -9 of the scheduler between levels of a relay: nobody gets a text twice, none is lost."""

import time
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from service.clock import Clock
from service.local.embedded import Valkey, write_private
from service.storage.postgres import transaction
from tests.harness.chats import VILLAGE, add_group, add_person
from tests.harness.processes import running
from tests.harness.relayed import begin, build
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

STAFF, GROUPS = 60, 600
ROUNDS = 4
LEAST_SECONDS, STEP_SECONDS = 29.9, 0.25
"""Into a real minute, at whose second 30 relays are looked at; each round dies later."""


async def add_people(api: Api) -> None:
    """Further staff of a village, and groups that are shared out among them."""
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        for _ in range(STAFF):
            await add_person(api, conn, department, role="village_staff", area=VILLAGE)
    for n in range(GROUPS):
        await add_group(api, name=f"第{n}组群", area=VILLAGE)


def _is_over(at: float) -> bool:
    return time.time() >= at


def _until(second: float) -> float:
    """Seconds to that second of a minute, with time to start before it."""
    wait = (second - time.time()) % 60
    return wait if wait > 20 else wait + 60


@pytest.mark.slow
async def test_a_scheduler_killed_between_levels_sends_nobody_a_text_twice(
    api: Api, database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    write_private(tmp_path / "key", "01" * 32)
    station = await build(api)
    await add_people(api)
    answer = await begin(api, station)
    assert answer.status == 201, answer.body
    # The first level has passed it on: its text is not waited for, and all below are due at once.
    await api.runtime.pool.execute(
        "UPDATE relay_nodes SET state = 'done', done_at = $1, via = 'page', done_by = $2"
        " WHERE level = 1 AND no % 2 = 0",
        api.clock.at,
        api.teams["county"].operator.id,
    )
    count = api.runtime.pool.fetchval
    waiting = "SELECT count(*) FROM relay_nodes WHERE state = 'waiting'"
    killed_with: list[int] = []
    for number in range(ROUNDS + 1):
        start = api.clock.at + timedelta(hours=number)
        clock = Clock(start, time.time())
        assert clock.start is not None
        environment = {
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_REDIS_URL": valkey.url,
            "TOCSIN_KEY_FILE": str(tmp_path / "key"),
            "TOCSIN_WORKER_NICENESS": "0",
            "TOCSIN_CLOCK_START": clock.start.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": str(clock.anchor),
            "TOCSIN_CLOCK_SPEED": "1",
        }
        async with AsyncExitStack() as stack:
            dies = time.time() + _until(LEAST_SECONDS + number * STEP_SECONDS)
            process = await stack.enter_async_context(
                running(tmp_path / f"s{number}", environment, "scheduler")
            )
            await process.starts()
            if number < ROUNDS:
                await until(partial(_is_over, dies), 120, "its moment", every=0.005)
                process.process.kill()
                assert await process.ends() != 0
                killed_with.append(await count(waiting))
                continue

            async def all_asked() -> bool:
                open_below = f"{waiting} AND (parent_no IS NULL OR parent_no % 2 = 0)"
                return not await count(open_below)

            await until(all_asked, 150, "whoever is due has the text", every=0.5)
    twice = await count(
        "SELECT count(*) FROM (SELECT phone_hash FROM messages GROUP BY 1 HAVING count(*) > 1) t"
    )
    assert twice == 0, killed_with
    orphans = await count(
        "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT FROM relay_nodes n"
        " WHERE n.run_id = m.run_id AND n.message_no = m.no)"
    )
    assert orphans == 0, "no text without the place that it is for"
    due = await count("SELECT count(*) FROM relay_nodes WHERE state = 'sent' AND run_id IS NULL")
    assert due == 0, "no place is noted as sent without a text"
