"""`make sentinel-test`: Valkey's primary is lost during a broadcast, and sending goes on by itself.

Run: python -m tests.sentinel.takeover [--people 3000] [--tps 60] [--only STRIKE…]

Three Valkeys and three sentinels with the files of deploy/ha, and the whole of Tocsin by
`sentinel://…`, with two channel processes that share each channel. A strike falls in the middle of
a broadcast of its own. The simulated carrier's journal decides: nobody lost, nobody twice, no
channel above its limit in any second, and on again within 40 s. A line a strike is printed; the
exit code is 1 if a promise is broken.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.book import Entry, silence_of
from tests.chaos.cell import check_report
from tests.chaos.system import Breach, Campaign, System
from tests.containers.table import Table
from tests.harness.busiest import busiest_second
from tests.sentinel.guarded import Guarded, Server

ON_AGAIN_SECONDS = 40.0
MIDWAY = 0.25


@dataclass(frozen=True, slots=True)
class Struck:
    """When it fell, and when another primary was there; 0: none was needed."""

    at: float
    over: float = 0.0


Strike = Callable[[Guarded], Awaitable[Struck]]


async def _taken_over(guarded: Guarded, old: Server, at: float) -> Struck:
    await guarded.another_than(old)
    return Struck(at, time.time())


async def kill_primary(guarded: Guarded) -> Struck:
    """kill -9; it is started again once another has taken over."""
    old, at = guarded.present(), time.time()
    old.kill()
    struck = await _taken_over(guarded, old, at)
    old.start()
    return struck


async def freeze_primary(guarded: Guarded) -> Struck:
    """SIGSTOP: its connections stay open and say nothing. It thaws once another has taken over, and
    takes itself for the primary at first.
    """
    old, at = guarded.present(), time.time()
    old.signal(signal.SIGSTOP)
    try:
        return await _taken_over(guarded, old, at)
    finally:
        old.signal(signal.SIGCONT)


async def switch(guarded: Guarded) -> Struck:
    """SENTINEL FAILOVER: the old primary works on until it learns of it."""
    old, at = guarded.present(), time.time()
    if guarded.sentinels[0].ask("SENTINEL", "FAILOVER", "tocsin") is None:
        raise Breach("the sentinel refuses a switchover")
    return await _taken_over(guarded, old, at)


async def kill_sentinel_and_primary(guarded: Guarded) -> Struck:
    """kill -9 of the first sentinel of the address, then of the primary: two sentinels agree."""
    first = guarded.sentinels[0]
    first.kill()
    struck = await kill_primary(guarded)
    first.start()
    return struck


async def freeze_sentinel_and_kill_primary(guarded: Guarded) -> Struck:
    """SIGSTOP of the first sentinel of the address, which takes what it is asked and says nothing;
    then kill -9 of the primary: the other two agree.
    """
    first = guarded.sentinels[0]
    first.signal(signal.SIGSTOP)
    try:
        return await kill_primary(guarded)
    finally:
        first.signal(signal.SIGCONT)


async def kill_sentinel(guarded: Guarded) -> Struck:
    """kill -9 of the first sentinel of the address, and nothing else."""
    first, at = guarded.sentinels[0], time.time()
    first.kill()
    first.start()
    return Struck(at)


STRIKES: dict[str, Strike] = {
    "kill -9 of the primary": kill_primary,
    "primary frozen, then thawed": freeze_primary,
    "SENTINEL FAILOVER": switch,
    "kill -9 of a sentinel": kill_sentinel,
    "kill -9 of a sentinel and primary": kill_sentinel_and_primary,
    "a sentinel frozen, primary killed": freeze_sentinel_and_kill_primary,
}


class SentinelSystem(System):
    """Tocsin with two of each process, to which Valkey is the primary that sentinels name."""

    def __init__(self, folder: Path, people: int, tps: int) -> None:
        super().__init__(folder / "data", people, tps=tps, max_delay=1.0)
        self.guarded = Guarded(folder / "valkeys")

    async def start(self) -> None:
        """Valkeys and sentinels first."""
        await asyncio.to_thread(self.guarded.start)
        self.live.environment |= {"TOCSIN_REDIS_URL": self.guarded.url}
        await super().start()

    def stop(self) -> None:
        """Valkeys and sentinels last."""
        try:
            super().stop()
        finally:
            self.guarded.stop()


def busiest_of(entries: Sequence[Entry]) -> dict[str, int]:
    """The most that each account took within one second."""
    accounts = sorted({entry.account for entry in entries})
    return {
        name: busiest_second([entry.at for entry in entries if entry.account == name])
        for name in accounts
    }


async def strike(system: SentinelSystem, fall: Strike) -> str:
    """A broadcast, a strike in it, and the reckoning; says what was seen.

    Raises:
        Breach: a promise is broken.
    """
    await system.guarded.whole()
    campaign = await system.plan()
    await system.approve(campaign)
    await system.under_way(campaign, MIDWAY)
    before = len(system.book.of(campaign.text))
    struck = await fall(system.guarded)
    account = await system.settled(campaign)
    if account.uncertain_count:
        raise Breach(f"{account.uncertain_count} stay uncertain")
    return await reckon(system, campaign, struck, before)


async def reckon(system: SentinelSystem, campaign: Campaign, struck: Struck, before: int) -> str:
    """Hold the carrier's journal against what is promised."""
    entries, account = system.book.of(campaign.text), await system.account(campaign)
    breaches: list[str] = []
    await check_report(system, campaign, breaches)
    if account.twice or account.lost:
        breaches.append(f"{len(account.twice)} twice, {len(account.lost)} lost")
    silence, busiest = silence_of(entries, struck.at), busiest_of(entries)
    if silence > ON_AGAIN_SECONDS:
        breaches.append(f"{silence:.1f} s of silence")
    for name, most in busiest.items():
        if most > system.tps:
            breaches.append(f"{name}: {most} in a second, and {system.tps} are allowed")
    after = sum(entry.at > struck.at for entry in entries)
    if not 0 < before < account.target or not after:
        breaches.append("the strike did not fall into the broadcast")
    if breaches:
        raise Breach("; ".join(breaches))
    took = f"other primary {struck.over - struck.at:.1f} s, " if struck.over else ""
    return (
        f"{account.taken} of {account.target} taken, {len(account.lost)} lost, "
        f"{len(account.twice)} twice, {took}silence {silence:.1f} s, "
        f"busiest second {max(busiest.values())} of {system.tps}"
    )


async def run_all(table: Table, system: SentinelSystem, chosen: Sequence[str]) -> None:
    """Each strike on the same system, one after another."""
    try:
        with table.row("up by sentinel://") as row:
            await system.start()
            await system.ready()
            row.says(f"{system.connections} connections, {len(system.people)} people")
        if table.broken:
            return
        for name in chosen:
            with table.row(name) as row:
                row.says(await strike(system, STRIKES[name]))
    finally:
        await asyncio.to_thread(system.stop)


def main() -> int:
    """Run it; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=3_000, help="people in each broadcast")
    parser.add_argument("--tps", type=int, default=60, help="of each of the three channels")
    parser.add_argument("--only", action="append", default=[], help="part of a strike's name")
    parser.add_argument("--data", type=Path, help="folder to keep; default: a temporary one")
    options = parser.parse_args()
    chosen = [name for name in STRIKES if not options.only or any(o in name for o in options.only)]
    # Whoever ends a run leaves no process behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    table = Table("sentinel-test")
    with tempfile.TemporaryDirectory(prefix="tocsin-sentinel-") as temporary:
        folder = options.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(run_all(table, SentinelSystem(folder, options.people, options.tps), chosen))
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
