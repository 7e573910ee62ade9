"""A steady rate for a long time: do memory, queues, delays and tables stay flat?

Run: python -m tests.chaos.soak [--minutes 20] [--rate 2000] [--every 30] [--protocols cmpp]
    [--headroom 1.05]

A channel of each protocol, whose TPS together are a little above the rate, for the pace keeps three
hundredths below a TPS and throws away what a busy machine did not use in time, more with several
channels; two of each process; broadcasts to a minute's worth of people one after the other without
a gap. A line every 30 s. The first fifth warms up and is left aside; of the rest the second half is
held against the first, and of memory the last quarter against the one before it, as `not_flat`
says. At the end nobody may be left or have got a text twice. The exit status is 1 if anything was
not flat, or somebody was. A trial of few lines shows that all runs; its verdict means little.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from uuid import UUID

from service.simulator.carrier.journal import submits
from tests.chaos.account import is_repeated
from tests.chaos.book import Entry
from tests.chaos.gauges import PROCESSES, TABLES, Reading, Tally, read
from tests.chaos.system import Campaign, System, until
from tests.harness.pauses import delay

PEOPLE_SECONDS = 60
AHEAD_SECONDS = 20
"""The next broadcast is made when the last one has no more than this to hand off."""

WARM_UP = 0.2
HEADROOM = 1.05
HEADROOM_OF_SEVERAL = 1.2
"""The TPS of one channel, and of several together, over the rate that must be kept. A machine that
is busy for more than some milliseconds loses what a TPS allows in them.
"""

MORE_MEMORY, MORE_MEGABYTES = 1.05, 5.0
MORE_DELAY, MORE_SECONDS = 1.25, 0.1
MORE_TABLE, MORE_TABLE_MEGABYTES = 1.5, 8.0
MORE_ROW = 1.05

HEADER = (
    f"{'s':>5} {'msg/s':>6} {'queued':>7} {'inbox':>6} {'p50 s':>6} {'p99 s':>6} "
    + " ".join(f"{name + ' MB':>12}" for name in PROCESSES)
    + f" {'conns':>5} "
    + " ".join(f"{name + ' dead/MB':>22}" for name in TABLES)
    + f" {'row B':>6}"
)


def line(reading: Reading) -> str:
    """A reading as a line of the table."""
    tables = [f"{reading.dead[name]}/{reading.size[name]:.0f}" for name in TABLES]
    return (
        f"{reading.seconds:5.0f} {reading.rate:6.0f} {reading.queued:7} {reading.inbox:6} "
        f"{reading.p50:6.2f} {reading.p99:6.2f} "
        + " ".join(f"{reading.memory[name]:12.0f}" for name in PROCESSES)
        + f" {reading.connections:5} "
        + " ".join(f"{cell:>22}" for cell in tables)
        + f" {reading.row_octets:6.0f}"
    )


def _memory(name: str, reading: Reading) -> float:
    return reading.memory[name]


def _size(name: str, reading: Reading) -> float:
    return reading.size[name]


def not_flat(readings: Sequence[Reading], rate: int) -> list[str]:
    """What grew, or what was too slow, after the warm-up: the second half against the first.

    Flat means: the rate is full in both halves; p99 at most a quarter and 0.1 s more; waiting
    receipts at most a second's worth; the tables that are emptied again at most half and 8 MB more;
    the ledger at most a twentieth more octets a row. The memory of each kind of process is at most
    a twentieth and 5 MB more in the last quarter than in the third: a session of PostgreSQL keeps
    what it has once planned, so that its memory rises for a good quarter of an hour and then stays.
    """
    rest = readings[int(len(readings) * WARM_UP) :]
    first, second = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    third, last = second[: len(second) // 2], second[len(second) // 2 :]
    if not first or not third:
        return ["there are too few readings to judge by"]

    def grew(
        what: str,
        value: Callable[[Reading], float],
        share: float,
        more: float,
        halves: tuple[Sequence[Reading], Sequence[Reading]] = (first, second),
    ) -> list[str]:
        before, after = (fmean(map(value, half)) for half in halves)
        return [f"{what}: {before:.2f} → {after:.2f}"] if after > before * share + more else []

    found = [
        f"the rate was {mean:.0f}, of {rate}"
        for half in (first, second)
        if (mean := fmean(r.rate for r in half)) < rate
    ]
    found += grew("p99 s", lambda r: r.p99, MORE_DELAY, MORE_SECONDS)
    for name in PROCESSES:
        memory = partial(_memory, name)
        found += grew(f"{name} MB", memory, MORE_MEMORY, MORE_MEGABYTES, (third, last))
    if (most := max(r.inbox for r in rest)) > rate:
        found.append(f"{most} receipts waited")
    for name in ("receipt_inbox", "slices"):
        found += grew(f"{name} MB", partial(_size, name), MORE_TABLE, MORE_TABLE_MEGABYTES)
    found += grew("ledger octets a row", lambda r: r.row_octets, MORE_ROW, 0)
    return found


async def run_soak(
    folder: Path,
    minutes: float,
    rate: int,
    every: float,
    protocols: Sequence[str],
    headroom: float | None = None,
) -> list[str]:
    """Run it, printing each reading; what was not as it should be."""
    people = rate * PEOPLE_SECONDS
    if headroom is None:
        headroom = HEADROOM if len(protocols) == 1 else HEADROOM_OF_SEVERAL
    tps = int(rate * headroom / len(protocols))
    system = System(folder, people, tps=tps, window=64, protocols=protocols, max_delay=1.0)
    try:
        await system.start()
        await system.ready()
        campaigns: list[Campaign] = []
        feeding = asyncio.create_task(_feed(system, campaigns, rate))
        readings = await _watch(system, minutes * 60, every)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        return not_flat(readings, rate) + await _left(system, campaigns)
    finally:
        system.stop()


async def _feed(system: System, campaigns: list[Campaign], rate: int) -> None:
    """Broadcast without a gap."""
    while True:
        campaign = await system.plan()
        await system.approve(campaign)
        campaigns.append(campaign)

        async def nearly_done(last: Campaign = campaign) -> bool:
            left = await system.value(_LEFT, UUID(last.id))
            return left is not None and left < rate * AHEAD_SECONDS

        # Seldom, and by slices: what counts a ledger all the time takes half of a core for itself.
        await until(nearly_done, PEOPLE_SECONDS * 5, "a broadcast nearly done", every=1.0)


_LEFT = """
SELECT CASE WHEN count(*) > 0 THEN
    coalesce(sum(s.last_no - s.first_no + 1) FILTER (WHERE s.done_at IS NULL), 0) END
FROM runs r JOIN slices s ON s.run_id = r.id
WHERE r.campaign_id = $1 AND r.state <> 'expanding'
"""
"""How many texts are in slices that are not done; null before the run has its ledger."""


async def _watch(system: System, seconds: float, every: float) -> list[Reading]:
    """Take a reading at intervals."""
    tally = Tally(system.live.folder / "simulator.journal")

    async def begun() -> bool:
        return tally.read() > 0

    await until(begun, 60, "the first text")
    print(HEADER, flush=True)
    began = last = time.monotonic()
    count = tally.read()
    readings: list[Reading] = []
    while (now := time.monotonic()) - began < seconds:
        await delay(max(0.0, last + every - now))
        reading = await read(system, every)
        before, at = count, time.monotonic()
        count = tally.read()
        reading.seconds, reading.rate = at - began, (count - before) / (at - last)
        last = at
        readings.append(reading)
        print(line(reading), flush=True)
    return readings


async def _left(system: System, campaigns: Sequence[Campaign]) -> list[str]:
    """Whether somebody was lost or got a text twice."""

    async def handed_off() -> bool:
        return not any([await system.waiting(c) != 0 for c in campaigns])

    await until(handed_off, PEOPLE_SECONDS * 3, "everybody handed off")
    rows = await system.rows(
        "SELECT count(*) AS rows, count(DISTINCT (run_id, phone_hash)) AS people, "
        "count(*) FILTER (WHERE state = 'uncertain') AS uncertain FROM messages"
    )
    wanted = len(campaigns) * len(system.people)
    found = []
    if not rows[0]["rows"] == rows[0]["people"] == wanted:
        found.append(f"{wanted} wanted, {rows[0]['rows']} rows")
    if rows[0]["uncertain"]:
        found.append(f"{rows[0]['uncertain']} are uncertain")
    path = system.live.folder / "simulator.journal"
    taken, twice = await asyncio.to_thread(_taken_and_twice, path)
    print(f"{wanted} texts wanted, {taken} taken, {twice} twice")
    if twice:
        found.append(f"{twice} got it twice")
    if taken != wanted:
        found.append(f"{wanted - taken} never left")
    return found


def _taken_and_twice(path: Path) -> tuple[int, int]:
    """To how many the carrier took a text, and who got the same one again though it arrived.

    In two passes, for the journal is long: the first keeps a number for each, not the entry.
    """
    seen: set[int] = set()
    repeated: dict[int, list[Entry]] = {}
    for entry in submits(path):
        key = hash((entry["digest"], entry["phone"]))
        if key in seen:
            repeated[key] = []
        seen.add(key)
    if repeated:
        for entry in submits(path):
            if (found := repeated.get(hash((entry["digest"], entry["phone"])))) is not None:
                found.append(Entry(*(entry[name] for name in Entry._fields)))
    return len(seen), sum(map(is_repeated, repeated.values()))


def main() -> int:
    """Run the soak; 0 if all stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=2_000, help="parts a second to keep")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between readings")
    parser.add_argument("--protocols", default="cmpp", help="such as cmpp,sgip,smgp")
    parser.add_argument("--headroom", type=float, help="the TPS of all channels over the rate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-soak-") as folder:
        found = asyncio.run(
            run_soak(
                Path(folder) / "data",
                options.minutes,
                options.rate,
                options.every,
                options.protocols.split(","),
                options.headroom,
            )
        )
    for what in found:
        print(f"NOT FLAT: {what}")
    print("flat" if not found else "not flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
