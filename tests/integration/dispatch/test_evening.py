"""The end of the hours in the middle of a run: nothing is written from then on, and the rest goes
out on the next day on which texts may leave, everybody once (I6).
"""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.calendar import county_store
from service.campaigns.calendar.holidays import CalendarChanges, Quiet
from service.crypto import Keyring
from service.dispatch.handoff.writer import Writer
from service.storage.postgres import Connection, Pool
from tests.harness.clocks import MovedClock
from tests.harness.ledger import states
from tests.harness.runs import handed_off, ready
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

SHANGHAI = ZoneInfo("Asia/Shanghai")
PEOPLE, TPS = 500, 200


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


@pytest.fixture
def clock() -> MovedClock:
    moved = MovedClock()
    moved.move(_at("2027-01-12T09:30"))
    return moved


@pytest.fixture
def written(clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When each text was written, by the writer's clock."""
    found: list[datetime] = []
    real = Writer._submit

    def submit(self: Writer, parcels: list[Any]) -> None:
        found.extend([clock.now()] * len(parcels))
        real(self, parcels)

    monkeypatch.setattr(Writer, "_submit", submit)
    return found


def _seen(journal: Path, clock: MovedClock) -> list[tuple[datetime, str]]:
    lines = map(json.loads, journal.read_text().splitlines())
    return [(clock.at(e["at"]), e["phone"]) for e in lines if e["event"] == "submit"]


async def _stopped(conn: Connection, run: UUID) -> bool:
    """Whether nothing is on its way and the rest waits for a later hour."""
    waiting = await conn.fetchval("SELECT bool_and(not_before > $1) FROM slices", _at("2027-01-12"))
    return bool(waiting) and "submitting" not in await states(conn, run)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("evening", "end", "opening"),
    [
        ("2027-01-12T19:59:59", "2027-01-12T20:00", "2027-01-13T08:00"),
        ("2027-02-04T19:59:59", "2027-02-04T20:00", "2027-02-07T08:00"),  # the festival
    ],
)
async def test_nothing_is_written_after_the_end_and_the_rest_goes_out_at_the_next_opening(
    pool: Pool,
    keyring: Keyring,
    clock: MovedClock,
    tmp_path: Path,
    simulate: Simulate,
    serve: Serve,
    written: list[datetime],
    evening: str,
    end: str,
    opening: str,
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        port = carrier.ports["cmpp"]
        _, run = await ready(pool, conn, keyring, clock, port, PEOPLE, tps=TPS)
        clock.move(_at(evening) - timedelta(seconds=1))
        await serve()
        await until(lambda: _stopped(conn, run))
        first = len(written)
        assert 0 < first < PEOPLE
        assert max(written) < _at(end)
        assert max(at for at, _ in _seen(tmp_path / "journal", clock)) < _at(end) + timedelta(
            seconds=1
        )
        opens = await conn.fetchval("SELECT min(not_before) FROM slices WHERE done_at IS NULL")
        assert opens == _at(opening)
        clock.move(_at(opening) - timedelta(seconds=1))
        await until(lambda: handed_off(conn, run), 30)
    assert min(written[first:]) >= _at(opening)
    seen = _seen(tmp_path / "journal", clock)
    assert set(Counter(phone for _, phone in seen).values()) == {1}
    assert len(seen) == PEOPLE


async def test_a_day_that_becomes_quiet_stops_what_is_on_its_way(
    pool: Pool, keyring: Keyring, clock: MovedClock, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        port = carrier.ports["cmpp"]
        _, run = await ready(pool, conn, keyring, clock, port, 2_000, tps=TPS)
        await serve()

        async def begun() -> bool:
            return (await states(conn, run)).get("queued", 0) < 1_900

        await until(begun)
        today = date(2027, 1, 12)
        body = CalendarChanges(quiet=(Quiet("哀悼日", today, today),)).as_json()
        await county_store.insert_version(conn, "calendar", body, "r", None, clock.now())
        await until(lambda: _stopped(conn, run))
        assert (await states(conn, run))["queued"] > 0
        opens = await conn.fetchval("SELECT min(not_before) FROM slices WHERE done_at IS NULL")
        assert opens == _at("2027-01-13T08:00")
