"""The disk of PostgreSQL is full in the middle of a broadcast: sending stops, nobody is lost or
gets it twice, and it goes on by itself once there is room again.

The database's folder is a small file system of its own, which a ballast fills to the last octet:
once tables cannot grow, once PostgreSQL ends itself because its log cannot.
"""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.local.embedded import Postgres
from service.storage.postgres import UNREACHABLE, connect
from tests.chaos.cell import Outcome, reckon
from tests.chaos.system import System, until

pytestmark = pytest.mark.crash

PEOPLE = 1_500
TPS = 80
PANIC_SECONDS = 20.0
DISK_MEGABYTES = 400
QUIET_SECONDS = 3.0
GOES_ON_SECONDS = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of a database on a file system of its own."""
    folder = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True, mode=0o700)
    options = f"size={DISK_MEGABYTES}m,mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tocsin-disk", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write a file until there is no room left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for octets in (1 << 20, 4096):
            try:
                while file.write(bytes(octets)) == octets:
                    pass
            except OSError:
                continue
    return ballast


async def use_up_the_log(system: System) -> None:
    """Go on to new files of the write-ahead log until there is no room for one."""
    port = int(parse_qs(urlsplit(system.live.summary["database_url"]).query)["port"][0])
    owner = Postgres(system.live.folder / "postgres", port=port).url

    async def gone() -> bool:
        try:
            conn = await connect(owner)
            try:
                await conn.execute("SELECT pg_logical_emit_message(false, 'chaos', 'x')")
                await conn.execute("SELECT pg_switch_wal()")
            finally:
                conn.terminate()
        except UNREACHABLE:
            return True
        return False

    await until(gone, PANIC_SECONDS, "PostgreSQL runs out of log", every=0)


async def fill_midway(system: System, disk: Path, *, log_too: bool) -> None:
    """Fill the disk in the middle of a broadcast, make room again, and account for everybody."""
    campaign = await system.plan()
    await system.approve(campaign)
    await system.under_way(campaign, 0.3)
    ballast = await asyncio.to_thread(fill, disk)
    try:
        if log_too:
            await use_up_the_log(system)

        async def quiet() -> bool:
            return time.time() - system.book.of(campaign.text)[-1].at > QUIET_SECONDS

        await until(quiet, 60, "sending stops")
        taken = len(system.book.of(campaign.text))
        assert taken < PEOPLE, "it was all over before the disk was full"
    finally:
        ballast.unlink()
    freed = time.time()

    async def goes_on() -> bool:
        return len(system.book.of(campaign.text)) > taken

    await until(goes_on, GOES_ON_SECONDS, "sending goes on")
    print(f"stopped at {taken}, on after {time.time() - freed:.1f} s")
    outcome = Outcome("full disk")
    await reckon(system, campaign, await system.settled(campaign), outcome)
    assert not outcome.breaches
    assert outcome.target == outcome.taken == PEOPLE


async def test_a_full_disk_stops_sending_and_loses_nobody(disk: Path) -> None:
    system = System(disk.parent, PEOPLE, tps=TPS)
    try:
        await system.start()
        await system.ready()
        await fill_midway(system, disk, log_too=False)
        await fill_midway(system, disk, log_too=True)
    finally:
        system.stop()
