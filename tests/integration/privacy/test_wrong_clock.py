"""A wrong clock destroys nothing: the real scheduler's retention, by a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.cron import cron

from service.accounts.people.model import Role
from service.accounts.sending import guest_store
from service.crypto import Keyring
from service.privacy import clock_watch_store
from service.privacy.clock_watch import DIFFER, JUMP, LASTS, Watch
from service.reports.work_store import KINDS, what_waits
from service.runtime import Runtime
from service.storage.postgres import Pool, transaction
from tests.factories import make_user, phone
from tests.harness.clocks import HandClock
from tests.harness.waiting import until
from workers import scheduler
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

pytestmark = pytest.mark.attack
STEP, YEARS = JUMP - timedelta(minutes=1), timedelta(days=8 * 365)
GUESTS = 40


@dataclass
class County:
    """A running service with something that will be past its term."""

    runtime: Runtime
    clock: HandClock

    async def guests(self) -> int:
        count: int = await self.runtime.pool.fetchval("SELECT count(*) FROM guests")
        return count

    async def turn(self) -> int:
        """One turn of the scheduler's retention; how many guests are left."""
        await scheduler.apply_retention({"runtime": self.runtime})
        return await self.guests()

    async def stand(self) -> clock_watch_store.Stand:
        async with self.runtime.pool.acquire() as conn:
            return await clock_watch_store.read_stand(conn)

    async def waits(self) -> list[str]:
        """Why `GET /work` says that nothing is deleted."""
        (kind,) = (kind for kind in KINDS if kind.name == "retention")
        async with self.runtime.pool.acquire() as conn:
            found = await what_waits(conn, kind, None, self.clock.at, 10)
        return [item.code for item in found.items]

    async def last(self, span: timedelta) -> None:
        """Let time go on as it does, a turn at least each hour."""
        end = self.clock.at + span
        while self.clock.at < end:
            self.clock.at = min(end, self.clock.at + STEP)
            await self.turn()


@pytest.fixture
def clock(now: datetime) -> HandClock:
    return HandClock(now, simulated=True)


@pytest.fixture
async def county(
    runtime: Runtime, clock: HandClock, pool: Pool, keyring: Keyring, now: datetime
) -> County:
    async with transaction(pool) as conn:
        user = await make_user(conn, Role.OPERATOR, now=now)
        ciphers = {
            keyring.phone_index(phone(n)): keyring.encrypt("phone", phone(n)) for n in range(GUESTS)
        }
        await guest_store.insert_guests(conn, user, ciphers, "", now)
    made = County(runtime, clock)
    assert await made.turn() == GUESTS
    return made


@asynccontextmanager
async def retaining(county: County) -> AsyncIterator[None]:
    """A real worker that retains each second."""
    each_second = cron(scheduler.apply_retention, second=set(range(60)), keep_result=0, timeout=60)
    kind, stop = WorkerKind("scheduler", [], [each_second]), asyncio.Event()
    runtime = county.runtime
    task = asyncio.create_task(
        supervise(lambda: make_worker(runtime, kind, {}), stop, runtime.queue.note_loss)
    )
    try:
        yield
    finally:
        stop.set()
        await task


async def test_a_clock_that_jumps_by_years_deletes_nothing_and_says_so(
    county: County, caplog: pytest.LogCaptureFixture
) -> None:
    async def held() -> bool:
        return (await county.stand()).held_for == "clock_jumped"

    async def released() -> bool:
        return (await county.stand()).held_for is None

    before = county.clock.at
    async with retaining(county):
        county.clock.at = before + YEARS
        await until(held, 30)
        assert await county.guests() == GUESTS
        assert await county.waits() == ["clock_jumped"]
        assert "nothing is deleted for its age" in caplog.text
        county.clock.at = before + timedelta(minutes=3)
        await until(released, 30)
    assert await county.waits() == []
    assert (await county.stand()).watch == Watch(county.clock.at)
    assert await county.guests() == GUESTS


async def test_a_jump_that_lasts_waits_for_a_person_if_it_is_much(county: County) -> None:
    county.clock.at += YEARS
    await county.turn()
    await county.last(LASTS - timedelta(minutes=1))
    assert await county.waits() == ["clock_jumped"]
    await county.last(timedelta(days=3))
    assert await county.guests() == GUESTS
    assert await county.waits() == ["needs_agreement"]
    stand = await county.stand()
    assert stand.due["guests"] == (GUESTS, GUESTS)
    async with transaction(county.runtime.pool) as conn:
        user = await make_user(conn, Role.ADMIN, now=county.clock.at)
        await clock_watch_store.write_agreement(conn, user.id, county.clock.at)
    assert await county.turn() == 0
    assert (await county.stand())[1:] == (None, None, {}, None, None)


async def test_another_jump_takes_the_agreement_with_it(county: County) -> None:
    county.clock.at += timedelta(days=200)
    await county.turn()
    async with transaction(county.runtime.pool) as conn:
        user = await make_user(conn, Role.ADMIN, now=county.clock.at)
        await clock_watch_store.write_agreement(conn, user.id, county.clock.at)
    county.clock.at += YEARS
    await county.turn()
    await county.last(LASTS * 2)
    assert await county.waits() == ["needs_agreement"]
    assert await county.guests() == GUESTS


async def test_what_is_little_goes_once_the_jump_has_lasted(county: County) -> None:
    one = "UPDATE guests SET created_at = $1 WHERE id = (SELECT min(id::text)::uuid FROM guests)"
    await county.runtime.pool.execute(one, county.clock.at - timedelta(days=360))
    county.clock.at += timedelta(days=7)
    assert await county.turn() == GUESTS
    await county.last(LASTS + STEP)
    assert await county.guests() == GUESTS - 1
    assert await county.waits() == []


async def test_a_share_may_be_set(county: County) -> None:
    settings = county.runtime.settings.model_copy(update={"retention_share": 1.0})
    allowed = replace(county, runtime=replace(county.runtime, settings=settings))
    county.clock.at += YEARS
    await allowed.turn()
    await allowed.last(LASTS + STEP)
    assert await county.guests() == 0


@pytest.mark.parametrize("ahead", [True, False])
async def test_clocks_that_differ_delete_nothing(county: County, *, ahead: bool) -> None:
    """The process's and PostgreSQL's, of which one may be right."""
    county.clock.simulated = False
    old = "UPDATE guests SET created_at = $1"
    await county.runtime.pool.execute(old, county.clock.at - YEARS)
    county.clock.at = datetime.now(UTC) + (1 if ahead else -1) * (DIFFER + timedelta(minutes=1))
    assert await county.turn() == GUESTS
    assert await county.waits() == ["clocks_differ"]
    county.clock.at = datetime.now(UTC)
    await county.runtime.pool.execute("UPDATE retention_watch SET beat_at = $1", county.clock.at)
    assert await county.turn() == 0
    assert await county.waits() == []


async def test_in_steps_it_is_held_as_well_and_a_half_correction_is_none(county: County) -> None:
    before = county.clock.at
    for _ in range(5):
        county.clock.at += YEARS / 5
        assert await county.turn() == GUESTS
    county.clock.at -= timedelta(days=700)
    assert await county.turn() == GUESTS
    stand = await county.stand()
    assert stand.watch.jumped_from == before
    assert stand.watch.jumped_at == county.clock.at
    county.clock.at = before + timedelta(minutes=30)
    assert await county.turn() == GUESTS
    assert await county.waits() == []


async def test_a_clock_that_was_set_back_is_a_jump_when_it_is_put_right(county: County) -> None:
    county.clock.at -= YEARS
    assert await county.turn() == GUESTS
    assert await county.waits() == []
    county.clock.at += YEARS
    assert await county.turn() == GUESTS
    assert await county.waits() == ["clock_jumped"]


async def test_what_keeps_a_text_from_going_twice_is_kept_as_well(county: County) -> None:
    """Answers under an Idempotency-Key, and when a number got its latest texts."""
    pool = county.runtime.pool
    rows: dict[str, Any] = {}

    async def count() -> dict[str, int]:
        return {t: await pool.fetchval(f"SELECT count(*) FROM {t}") for t in rows}

    await pool.execute(
        "INSERT INTO idempotency (user_id, caller_id, key, fingerprint, created_at)"
        " SELECT id, id, 'k', '\\x00', $1 FROM users LIMIT 1",
        county.clock.at,
    )
    rows = {"idempotency": 1}
    county.clock.at += YEARS
    await scheduler.cleanup({"runtime": county.runtime})
    await scheduler.purge_history({"runtime": county.runtime})
    assert await count() == rows
    county.clock.at -= YEARS - timedelta(minutes=1)
    await scheduler.cleanup({"runtime": county.runtime})
    assert await count() == rows
