"""`make compose-test`: docker-compose.yml as it is, in containers, through a bad day.

Run: python -m tests.containers.bad_day [--people 20000] [--tps 50] [--only PART…] [--quick]

Up by the first commands of docs/operating.md; a broadcast during which each container is killed in
turn; a second one with stops and new passwords; a third that is restored from a dump; the proxy.
Then the last release from the beginning, upgraded to this version, back and again, in broadcasts.
The simulated carrier's journal decides. A table is printed, and the exit code is 1 if a
promise is broken, 2 if containers cannot run here.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Sequence

from tests.containers import (
    blows,
    closed,
    image,
    machine,
    proxying,
    restores,
    standins,
    upgrades,
)
from tests.containers.engine import remove_all, service
from tests.containers.machine import NotHere
from tests.containers.podman import configure
from tests.containers.table import Table
from tests.containers.town import Broadcast, Town
from tests.harness.last_release import last_release
from tests.harness.waiting import until

NEARLY = 0.7
"""What is left of a broadcast then, lasts longer than anything that is done to it."""
PARTS = ("kills", "stops", "restore", "proxy", "upgrade")
QUICK = ("kills", "stops")


async def promised(table: Table, promise: str, seen: Awaitable[str]) -> None:
    """A row for what is awaited."""
    with table.row(promise) as row:
        row.says(await seen)


async def begin(table: Table, town: Town) -> None:
    """`up`, first people, channels and the roster; nothing goes on without them."""
    began = time.monotonic()
    await asyncio.to_thread(town.compose, "--profile", "simulator", "up", "--detach", seconds=300)
    await until(town.ready, 120, "/readyz is ok", every=0.25)
    names = [*blows.ALL]
    await until(
        lambda: all(town.compose.healthy(name) for name in names), 120, "all healthy", every=0.5
    )
    table.add("up", time.monotonic() - began, f"{len(names)} containers healthy, /readyz ok")
    began = time.monotonic()
    await town.settle_in()
    await town.make_channels()
    await town.import_people()
    told = f"bootstrap, 4 people, 4 channels, {len(town.people)} people from a file"
    table.add("people and channels", time.monotonic() - began, told)


async def look(table: Table, town: Town) -> None:
    """What containers must not be able to do."""
    for name in blows.ALL:
        with table.row(f"closed: {name}") as row:
            row.says(closed.check_closed(town.compose, name))
    for check in (closed.check_valkey, closed.check_inside):
        with table.row(check.__name__.removeprefix("check_")) as row:
            row.says(await asyncio.to_thread(check, town.compose))


class Sending:
    """Something is always on its way: where a broadcast is nearly over, the next one begins."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._all: list[Broadcast] = []

    async def now(self) -> Broadcast:
        """The broadcast that is on its way."""
        people = len(self._town.people)
        if not self._all or self._all[-1].taken() > people * NEARLY:
            self._all.append(await self._town.launch())
            await self._all[-1].reach(people // 50)
        return self._all[-1]

    async def reckon(self, table: Table, during: str) -> None:
        """A row for each broadcast."""
        for n, broadcast in enumerate(self._all, 1):
            await promised(table, f"broadcast {n} with {during}", broadcast.reckon())


async def kills(table: Table, town: Town) -> None:
    """kill -9 of every container in turn, while it sends."""
    sending = Sending(town)
    for name in blows.ALL:
        await promised(table, f"kill -9: {name}", blows.kill(town, await sending.now(), name))
    await sending.reckon(table, "kills")


async def stops(table: Table, town: Town) -> None:
    """Stops, and new passwords, while it sends."""
    sending = Sending(town)
    for name in blows.OWN:
        await promised(table, f"stop: {name}", blows.stop(town, await sending.now(), name))
    await sending.now()
    await promised(table, "new passwords", restores.rotate(town))
    await sending.reckon(table, "stops")


async def restore(table: Table, town: Town) -> None:
    """A dump in the middle of a broadcast, and its restore later in it."""
    broadcast = await town.launch()
    await broadcast.reach(len(town.people) // 20)
    await promised(table, "dump", restores.dump(town))
    await broadcast.reach(len(town.people) // 10)
    await promised(table, "restore", restores.restore(town, broadcast))
    await broadcast.give_up()
    after = await town.launch()
    await promised(table, "broadcast after the restore", after.reckon())
    with table.row("broadcast that was restored") as row:
        repeated = broadcast.taken() - len({e.phone for e in town.book.of(broadcast.text)})
        assert repeated == 0, f"{repeated} people got it twice"
        row.says(f"{broadcast.taken()} had left, nobody twice")


async def proxy(table: Table, town: Town) -> None:
    """TLS, and what providers and browsers do through it."""
    outside = await proxying.start(town)
    for name, check in (
        ("proxy: TLS", proxying.check_tls),
        ("proxy: who asks", proxying.check_addresses),
        ("proxy: console", proxying.check_console),
        ("proxy: callbacks", proxying.check_callbacks),
        ("proxy: API made anew", proxying.check_moved),
    ):
        await promised(table, name, check(outside))


async def upgrade(table: Table, people: int) -> None:
    """The last release from the beginning; to this version and back and again, while it sends."""
    remove_all()
    began = time.monotonic()
    upgraded = await asyncio.to_thread(upgrades.begin_with_last_release, people)
    table.add("last release", time.monotonic() - began, str(last_release()))
    await begin(table, upgraded.town)
    sending = Sending(upgraded.town)
    for name, step in (
        ("upgrade", upgraded.forward),
        ("back", upgraded.back),
        ("upgrade again, stopped", upgraded.stopped),
    ):
        await promised(table, name, step(await sending.now()))
    await sending.reckon(table, "upgrades")


async def run_all(table: Table, people: int, tps: int, parts: Sequence[str]) -> None:
    """The parts, one after another; each leaves a system that works for the next one."""
    doing = {"kills": kills, "stops": stops, "restore": restore, "proxy": proxy}
    if of_today := [part for part in parts if part in doing]:
        town = Town(people, tps)
        town.lay_out()
        await begin(table, town)
        await look(table, town)
        for part in of_today:
            with table.row(f"all of {part}"):
                await doing[part](table, town)
    if "upgrade" in parts:
        with table.row("all of upgrade"):
            await upgrade(table, people)


def make_images(table: Table) -> None:
    """Ours, where podman takes what `make image` has built and has not changed since; others'."""
    began = time.monotonic()
    under = image.base()
    ours = image.build(under)
    standins.make(under)
    names = ", ".join(name.partition("/")[2] for name, _, _ in standins.IMAGES)
    table.add("images", time.monotonic() - began, f"{ours.rpartition('/')[2]}, {names}")


def main() -> int:
    """Run it; 1 if a promise is broken, 2 if containers cannot run here."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000, help="people in each broadcast")
    parser.add_argument("--tps", type=int, default=50, help="of each of the four channels")
    parser.add_argument("--only", action="append", choices=PARTS, default=[], help="parts to run")
    parser.add_argument("--quick", action="store_true", help=f"{' and '.join(QUICK)} alone")
    options = parser.parse_args()
    try:
        machine.prepare()
    except NotHere as error:
        print(error, file=sys.stderr)
        return 2
    configure()
    print("\n".join(machine.described()), flush=True)
    # Whoever ends a run leaves no container behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = options.only or (QUICK if options.quick else PARTS)
    table = Table("compose-test")
    with table.row("begun and ended"):
        make_images(table)
        with service():
            asyncio.run(run_all(table, options.people, options.tps, parts))
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
