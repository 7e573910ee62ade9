"""`make failover-test`: PostgreSQL's primary is lost during a broadcast.

Run: python -m tests.failover.takeover [--people 20000] [--tps 250] [--only ROW…] [--quick]
     [--silent] [--list]

Three etcds, three PostgreSQLs under Patroni, HAProxy and PgBouncer run on the files of deploy/ha;
the whole of Tocsin with two of each process comes to the primary by a DSN of three hosts, by
HAProxy, or by PgBouncer behind it. A strike falls in the middle of a broadcast of its own, and the
simulated carrier's journal decides: nobody lost, nobody twice. Where nothing is missing, sending is
on again by itself within 40 s. Where something is, everything is held before a text leaves, and
lifting the hold with what may have left as uncertain settles every single one. A line a row is
printed; the exit code is 1 if a promise is broken. --silent: the primary stays the same, and the
way to it falls silent.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.account import Account
from tests.chaos.book import silence_of
from tests.chaos.cell import Watch, check_report
from tests.chaos.system import Breach, Campaign, until
from tests.chaos.wires import Wires
from tests.containers.table import Row, Table
from tests.failover.cluster import Cluster
from tests.failover.doors import Doors
from tests.failover.strikes import SILENT_STRIKES, STRIKES, Strike, Struck
from tests.failover.system import (
    HAPROXY,
    PGBOUNCER,
    SERVICE,
    SERVICE_PASSWORD,
    THREE_HOSTS,
    WAYS,
    FailoverSystem,
)
from tests.harness import debian
from tests.harness.shell import Shell

ON_AGAIN_SECONDS = 40.0
MIDWAY = 0.25
SLOW_SECONDS = 3.0
"""So long after a receipt was due it may have been stored, on a machine that is busy."""
BEATS = 3
"""So many further looks of the scheduler, in which texts could leave."""

PACKAGES = {
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
    "patroni": "patroni",
}
ALSO = ("python3-etcd",)
"""What Debian's Patroni needs to speak with etcd, and does not ask for."""

ROWS = (
    *((THREE_HOSTS, strike) for strike in STRIKES),
    *(
        (way, strike)
        for way in (HAPROXY, PGBOUNCER)
        for strike in ("primary killed", "primary frozen, then thawed", "switchover")
    ),
)
QUICK = tuple((PGBOUNCER, strike) for strike in ("primary killed", "switchover", "commits lost"))
"""PgBouncer is behind HAProxy, so these try every file."""

SILENT = tuple((way, strike) for way in (HAPROXY, PGBOUNCER) for strike in SILENT_STRIKES)

SEEN = (
    f"{'target':>6} {'taken':>6} {'twice':>5} {'lost':>5} {'in doubt':>8} {'held':>4} "
    f"{'primary s':>9} {'silence s':>9}"
)


@dataclass(slots=True)
class Seen:
    """What a row showed. uncertain: at the worst moment."""

    account: Account
    uncertain: int
    held: bool
    over: float
    silence: float

    def __str__(self) -> str:
        account = self.account
        return (
            f"{account.target:6} {account.taken:6} {len(account.twice):5} {len(account.lost):5} "
            f"{self.uncertain:8} {'yes' if self.held else 'no':>4} {self.over:9.1f} "
            f"{'-' if self.held else format(self.silence, '.1f'):>9}"
        )


async def strike(system: FailoverSystem, row: Row, what: Strike) -> None:
    """A broadcast, a strike in it, and the reckoning.

    Raises:
        Breach: a promise is broken.
    """
    await system.cluster.whole()
    await system.ready()
    watch = Watch(system)
    watching = asyncio.create_task(watch.run())
    campaign = await system.plan()
    try:
        await _send(system, campaign, row, what, watch)
    except Breach:
        await system.cancel(campaign)
        with suppress(Breach):  # what stays uncertain would hold up the next row
            await system.settle_uncertain(await system.account(campaign))
        raise
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _send(
    system: FailoverSystem, campaign: Campaign, row: Row, what: Strike, watch: Watch
) -> None:
    stops = await _stops(system)
    await system.approve(campaign)
    await system.under_way(campaign, MIDWAY)
    struck = await what.fall(system, campaign)
    held = await _held(system, campaign, struck) if what.loses else False
    account = await system.settled(campaign)
    if account.uncertain_count:
        await system.settle_uncertain(account)
        account = await system.settled(campaign)
    silence = silence_of(system.book.of(campaign.text), struck.at)
    if struck.back:
        silence -= struck.back - struck.at
    seen = Seen(account, watch.most, held, struck.over - struck.at, silence)
    row.says(" ".join(filter(None, (str(seen), struck.said))))
    await reckon(system, campaign, struck, seen, stops)


async def _held(system: FailoverSystem, campaign: Campaign, struck: Struck) -> bool:
    """Everything is held and nothing leaves; then somebody lifts it, and what may have left is
    uncertain: receipts settle what has, the carrier's statement the rest, and what it never had is
    sent.
    """
    stopped = "SELECT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)"
    await until(lambda: system.value(stopped), ON_AGAIN_SECONDS, "a hold")
    left = len(system.book.of(campaign.text))
    await _beats(system)
    if (more := len(system.book.of(campaign.text)) - left) > 0:
        raise Breach(f"{more} texts left before anybody decided")
    if struck.lost_from:
        system.gone = (struck.lost_from - SLOW_SECONDS, struck.at)
    await system.call("operator", "POST", "/stop-all/lift", {"reason": "looked into it"})
    account = await system.settled(campaign)
    await system.settle_uncertain(account)
    await system.call("operator", "POST", f"/campaigns/{campaign.id}/resume", {})
    return True


async def _beats(system: FailoverSystem) -> None:
    beats = "SELECT beat FROM generation"
    before = await system.value(beats)

    async def beaten() -> bool:
        return bool(await system.value(beats) >= before + BEATS)

    await until(beaten, 60, "beats of the scheduler")


async def _stops(system: FailoverSystem) -> int:
    found: int = await system.value("SELECT count(*) FROM stops")
    return found


async def reckon(
    system: FailoverSystem, campaign: Campaign, struck: Struck, seen: Seen, stops: int
) -> None:
    """Hold the carrier's journal against what is promised. stops: how often everything had been
    held before.

    Raises:
        Breach: a promise is broken.
    """
    breaches: list[str] = []
    await check_report(system, campaign, breaches)
    account = seen.account
    if account.twice:
        breaches.append(f"{len(account.twice)} twice")
    if account.lost:
        breaches.append(f"{len(account.lost)} lost: {'; '.join(sorted({*account.lost.values()}))}")
    if account.uncertain_count:
        breaches.append(f"{account.uncertain_count} stay uncertain")
    if account.taken != account.target:
        breaches.append("the carrier did not take everybody's")
    if not seen.held and seen.silence > ON_AGAIN_SECONDS:
        breaches.append(f"{seen.silence:.1f} s of silence")
    if not seen.held and await _stops(system) > stops:
        breaches.append("everything was held")
    if not any(entry.at > struck.at for entry in system.book.of(campaign.text)):
        breaches.append("the strike did not fall into the broadcast")
    if breaches:
        raise Breach("; ".join(breaches))


async def refuse_pooler(system: FailoverSystem, folder: Path) -> str:
    """What takes a lock of a session does not do so behind PgBouncer.

    Raises:
        Breach: it does.
    """
    shell = Shell(system.address, folder, processes=True)
    for words in (("migrate",), ("keys", "rotate")):
        said = await shell.run(*words)
        if not said.code or "a pooler stands before the database" not in said.err:
            raise Breach(f"tocsin {' '.join(words)}: {said.code} {said.err or said.out}")
    return "so does tocsin keys rotate"


async def run_way(table: Table, system: FailoverSystem, way: str, strikes: Sequence[str]) -> None:
    """Each strike on the same system, one after another."""
    try:
        with table.row(f"{way}: up") as row:
            await system.cluster.whole()
            await system.start()
            await system.ready()
            row.says(f"{system.connections} connections, {len(system.people)} people")
        if f"{way}: up" in table.broken:
            return
        if way == PGBOUNCER:
            with table.row(f"{way}: tocsin migrate refuses") as row:
                row.says(await refuse_pooler(system, system.live.folder.parent))
        for name in strikes:
            with table.row(f"{way}: {name}") as row:
                await strike(system, row, (STRIKES | SILENT_STRIKES)[name])
    finally:
        await asyncio.to_thread(system.stop)


async def run_all(
    table: Table, folder: Path, people: int, tps: int, rows: Sequence[tuple[str, str]]
) -> None:
    """All rows, with a system for each way."""
    cluster = Cluster(folder / "cluster")
    wires = Wires() if any(name in SILENT_STRIKES for _, name in rows) else None
    doors = Doors(folder / "doors", {SERVICE: SERVICE_PASSWORD}, wires)
    try:
        if wires is not None:
            wires.start()
        cluster.start()
        doors.start(cluster)
        for way in WAYS:
            if strikes := [name for at, name in rows if at == way]:
                place = folder / way.replace(" ", "-").lower()
                place.mkdir()
                system = FailoverSystem(place / "data", people, tps, cluster, doors, way)
                await run_way(table, system, way, strikes)
    finally:
        doors.stop()
        if wires is not None:
            wires.stop()
        cluster.stop()


def prepare() -> None:
    """Install the programs that are missing.

    Raises:
        NotInstalled: one is missing and cannot be had.
    """
    if missing := [name for name in PACKAGES if shutil.which(name) is None]:
        debian.install([*PACKAGES.values(), *ALSO], f"{', '.join(missing)} not found")


def main() -> int:
    """Run it; 1 if a promise is broken, 2 if a program is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000, help="people in each broadcast")
    parser.add_argument("--tps", type=int, default=250, help="of each of the three channels")
    parser.add_argument("--only", action="append", default=[], help="part of a row's name")
    parser.add_argument("--quick", action="store_true", help="three rows, all by PgBouncer")
    parser.add_argument("--silent", action="store_true", help="nodes that fall silent")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--data", type=Path, help="folder to keep; default: a temporary one")
    options = parser.parse_args()
    rows = [
        row
        for row in (QUICK if options.quick else SILENT if options.silent else ROWS)
        if not options.only or any(part in ": ".join(row) for part in options.only)
    ]
    if options.list:
        print("\n".join(": ".join(row) for row in rows))
        return 0
    try:
        prepare()
    except debian.NotInstalled as error:
        print(error, file=sys.stderr)
        return 2
    # Whoever ends a run leaves no process behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    table = Table(f"failover-test, {options.people} people", SEEN)
    with tempfile.TemporaryDirectory(prefix="tocsin-failover-") as temporary:
        folder = options.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(run_all(table, folder, options.people, options.tps, rows))
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
