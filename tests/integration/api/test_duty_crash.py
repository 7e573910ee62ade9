"""Kill -9 of both schedulers at 15:59:59 of a Friday, and a standstill over 16:00."""

import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.clock import CHINA, Clock
from service.local.embedded import Valkey, write_private
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.owed import FRIDAY, choose_texts, name_people, set_obligation, turn
from tests.harness.processes import Running, running
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

UNITS = 300
KILLED = datetime(2027, 1, 15, 15, 59, 59, tzinfo=CHINA)
STARTING_SECONDS = 25
"""So long before the act's turn the processes are started."""
TURN_SECOND = 30
"""Of each real minute, in which the scheduler does its act."""


def _until_turn() -> float:
    """Seconds to the next turn of the act that leaves time to start."""
    wait = (TURN_SECOND - time.time()) % 60
    return wait if wait > STARTING_SECONDS else wait + 60


@pytest.fixture
def environment(database_url: str, valkey: Valkey, tmp_path: Path) -> dict[str, str]:
    write_private(tmp_path / "key", "01" * 32)
    return {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
        "TOCSIN_WORKER_NICENESS": "0",
    }


async def add_units(api: Api) -> None:
    """Further schools, each with a liaison and a leader."""
    keyring = api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        for n in range(UNITS):
            department = await conn.fetchval(
                "INSERT INTO departments (name, kind) VALUES ($1, 'school') RETURNING id",
                f"第{n}小学",
            )
            for k, duty in enumerate(("liaison", "leader")):
                number = phone(1_000 + 2 * n + k)
                await conn.execute(
                    "INSERT INTO department_people (department_id, duty, name_cipher,"
                    " phone_cipher, phone_hash, since, set_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    department,
                    duty,
                    keyring.encrypt("name", "李四"),
                    keyring.encrypt("phone", number),
                    keyring.phone_index(number),
                    api.clock.at,
                    api.teams["county"].admin.id,
                )


def at_clock(environment: dict[str, str], clock: Clock) -> dict[str, str]:
    assert clock.start is not None
    return environment | {
        "TOCSIN_CLOCK_START": clock.start.isoformat(),
        "TOCSIN_CLOCK_ANCHOR": str(clock.anchor),
        "TOCSIN_CLOCK_SPEED": "1",
    }


@pytest.mark.slow
async def test_both_schedulers_killed_a_second_before_the_deadline_tell_nobody_twice(
    api: Api, environment: dict[str, str], tmp_path: Path
) -> None:
    await name_people(api)
    await choose_texts(api)
    await add_units(api)
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO group_robots (department_id, kind, name, address_cipher, language, kinds,"
            " made_by, made_at) SELECT id, 'wecom', '群', '', 'zh', '{reminder,late}', $1, $2"
            " FROM departments WHERE kind = 'school'",
            api.teams["county"].admin.id,
            api.clock.at,
        )
    for title in ("周报", "台账"):
        await set_obligation(api, departments=[], kinds=["school"], title=title)
    assert (await turn(api)).made == 2 * (UNITS + 1)
    count = api.runtime.pool.fetchval

    # The clock shows 15:59:59 a moment after the turn has begun.
    ahead = timedelta(seconds=_until_turn() + 0.2)
    before = Clock(KILLED - ahead, time.time())
    async with AsyncExitStack() as stack:
        first: list[Running] = [
            await stack.enter_async_context(
                running(tmp_path / f"a{n}", at_clock(environment, before), "scheduler")
            )
            for n in range(2)
        ]
        for one in first:
            await one.starts()
        await until(lambda: before.now() >= KILLED, 120, "15:59:59", every=0.005)
        for one in first:
            one.process.kill()
        for one in first:
            assert await one.ends() != 0

    after = Clock(FRIDAY + timedelta(minutes=1), time.time())
    open_steps = (
        "SELECT count(*) = $1 FROM duty_steps WHERE step = 'late' AND settled_at IS NOT NULL"
    )
    async with AsyncExitStack() as stack:
        second = [
            await stack.enter_async_context(
                running(tmp_path / f"b{n}", at_clock(environment, after), "scheduler")
            )
            for n in range(2)
        ]
        for one in second:
            await one.starts()

        async def all_told() -> bool:
            return bool(await count(open_steps, 2 * (UNITS + 1)))

        await until(all_told, 150, "everybody is told that it is late", every=0.5)
    late = await count("SELECT count(*) FROM duty_steps WHERE step = 'late' AND run_id IS NOT NULL")
    assert late == 2 * (UNITS + 1), "each is told, none was lost"
    twice = await count(
        "SELECT count(*) FROM (SELECT m.phone_hash, r.text FROM messages m JOIN runs r"
        " ON r.id = m.run_id GROUP BY 1, 2 HAVING count(*) > 1) t"
    )
    assert twice == 0, "nobody got a text twice"
    people = await count(
        "SELECT count(DISTINCT (s.run_id, s.no)) FROM duty_steps s WHERE s.step = 'late'"
    )
    assert people == UNITS + 1, "both duties of a unit are one text"
    orphans = await count(
        "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT FROM duty_steps s"
        " WHERE s.run_id = m.run_id AND s.no = m.no)"
    )
    assert orphans == 0, "no text without the step that it is of"
    untold = await count("SELECT count(*) FROM duty_steps WHERE settled_at IS NULL")
    assert untold == 0
    owed = await count(
        "SELECT array_agg(DISTINCT n.id IS NOT NULL) FROM duty_steps s LEFT JOIN robot_unit_notices"
        " n ON n.duty_id = s.duty_id AND n.step = s.step"
        " WHERE s.step IN ('late', 'two_hours_before') AND s.skipped <> 'overtaken'"
    )
    assert owed == [True], "the unit's group is owed each step that was taken"
