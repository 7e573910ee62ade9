"""A county's broadcast that does not fit before the end of the hours: 118,000 people at 100 a
second, begun at 19:50.

Run as `python -m benchmarks.evening [--people N] [--speed N] [--minutes N]`. A whole system runs at
a simulated time that goes `speed` times as fast, with a TPS that is as many times as high: 100
parts a second of that time. The campaign fires so many minutes before 20:00; once nothing leaves
any more the system is stopped, and started again at 7:59 of the next morning, as the night would
take too long. It fails unless nothing was written from 20:00 on (by the instants at which texts
were marked and at which the carrier took them), the rest went on at 8:00, and everybody got it
once; a text that failed for a passing reason is tried once more, as everywhere.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.carrier import contact_file, numbers
from service.clock import Clock
from tests.harness.live import Launched, Live
from tests.harness.waiting import until

TPS = 100
SHANGHAI = ZoneInfo("Asia/Shanghai")
END = datetime(2027, 1, 12, 20, tzinfo=SHANGHAI)
OPENING = datetime(2027, 1, 13, 8, tzinfo=SHANGHAI)
MORNING = (OPENING - timedelta(minutes=1)).isoformat()
GRACE = timedelta(seconds=1)
"""What was written just before the end may reach the carrier just after it."""
MOST_SECONDS = 1_800.0
TRIED_AGAIN = """
    SELECT count(*) FROM messages m
    WHERE m.state <> 'queued' AND EXISTS (
        SELECT FROM attempts a
        WHERE a.run_id = m.run_id AND a.no = m.no AND a.next_at IS NOT NULL)
"""


class Failed(Exception):
    """Something was not as it has to be."""


def _clock(folder: Path) -> Clock:
    start, anchor, speed = json.loads((folder / "clock.json").read_text())
    return Clock(datetime.fromisoformat(start), anchor, speed)


def _seen(live: Live, since: float) -> tuple[list[datetime], Counter[str]]:
    """When the carrier took each text since a real instant, and how often each number's."""
    clock = _clock(live.folder)
    assert clock.start is not None
    entries = live.journal(since)
    instants = [
        clock.start + timedelta(seconds=(entry["at"] - clock.anchor) * clock.speed)
        for entry in entries
    ]
    return instants, Counter(entry["phone"] for entry in entries)


def _check(what: str, holds: bool) -> None:
    print(f"{'ok  ' if holds else 'FAIL'} {what}")
    if not holds:
        raise Failed(what)


def _at(instant: datetime) -> str:
    return f"{instant.astimezone(SHANGHAI):%m-%d %H:%M:%S.%f}"[:-3]


async def run(people: int, speed: float, before: timedelta, folder: Path) -> None:
    """Take the campaign through the evening and the morning."""
    arguments = (
        *("--speed", str(speed), "--tps", str(int(TPS * speed)), "--protocols", "cmpp"),
        *("--window", "256", "--max-delay", "0.5"),
    )
    early = Live(folder, *arguments, "--clock", "2027-01-12T09:30+08:00")
    early.start()
    try:
        await early.people(contact_file(numbers(people)))
    finally:
        early.stop()
    evening = Live(folder, *arguments, "--clock", (END - before).isoformat())
    evening.start()
    try:
        launched = await evening.launch(validity_minutes=1_440)
        sent_by_night = await _evening(evening, launched)
    finally:
        evening.stop()
    morning = Live(folder, *arguments, "--clock", MORNING)
    began = time.time()
    morning.start()
    try:
        await _morning(morning, began, people, sent_by_night)
    finally:
        morning.stop()


async def _morning(live: Live, began: float, people: int, sent_by_night: int) -> None:
    async def everybody() -> bool:
        return len(_seen(live, 0.0)[1]) == people

    await until(everybody, MOST_SECONDS, every=2.0)
    instants = sorted(_seen(live, began)[0])
    _check(f"went on at {_at(instants[0])}", instants[0] >= OPENING)
    span = (instants[-1] - instants[0]).total_seconds()
    pace = f"{len(instants) / span:.1f} a second"
    print(f"     {len(instants):,} until {_at(instants[-1])}: {pace}")
    _, seen = _seen(live, 0.0)
    twice = sum(count > 1 for count in seen.values())
    tried = await live.query(TRIED_AGAIN)
    _check(f"{people:,} people got it, {sent_by_night:,} of them by night", len(seen) == people)
    _check(
        f"nobody twice but {twice:,} of the {tried:,} whose first text failed for a passing reason",
        twice <= tried and max(seen.values()) <= 2,
    )


async def _evening(live: Live, launched: Launched) -> int:
    async def waits() -> bool:
        if await live.query("SELECT count(*) FROM slices WHERE not_before >= $1", OPENING) == 0:
            return False
        return await launched.count("submitting") == 0

    await until(waits, MOST_SECONDS, every=1.0)
    instants, _ = _seen(live, launched.began)
    marked = await live.query("SELECT max(marked_at) FROM messages")
    span = (max(instants) - min(instants)).total_seconds()
    print(f"     from {_at(min(instants))}: {len(instants):,}, {len(instants) / span:.1f} a second")
    _check(f"last marked at {_at(marked)}", marked < END)
    _check(f"last seen by the carrier at {_at(max(instants))}", max(instants) < END + GRACE)
    return len(instants)


def main() -> None:
    """Run once, in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=118_000)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long before 20:00")
    options = parser.parse_args()
    before = timedelta(minutes=options.minutes)
    with tempfile.TemporaryDirectory(prefix="tocsin-evening-") as parent:
        asyncio.run(run(options.people, options.speed, before, Path(parent) / "data"))


if __name__ == "__main__":
    main()
