"""Two channel processes and two connections share one TPS, by the writers' own clocks (I5)."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.busiest import busiest_second
from tests.harness.live import MORNING, Live
from tests.harness.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("matrix"),  # no three whole systems at once
]

TPS = 400
PEOPLE = 4_000


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    system = Live(
        tmp_path / "data",
        *("--protocols", "cmpp", "--clock", MORNING, "--tps", str(TPS), "--connections", "2"),
        *("--channel-processes", "0", "--profile", "carrier", "--max-delay", "1"),
    )
    system.start()
    try:
        lines = [f"{19790000001 + n},张{n % 7}" for n in range(PEOPLE)]
        asyncio.run(system.people("\n".join(["手机号,姓名", *lines]).encode()))
        yield system
    finally:
        system.stop()


def start_writer(live: Live, notes: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TOCSIN_DATABASE_URL": live.summary["database_url"],
        "TOCSIN_REDIS_URL": live.summary["redis_url"],
        "TOCSIN_KEY_FILE": str(live.folder) + ".key",
        "TOCSIN_CONNECTIONS_PER_PROCESS": "1",
        "TOCSIN_CLOCK_START": MORNING,
        "TOCSIN_CLOCK_ANCHOR": str(live.folder.stat().st_ctime),
    }
    with notes.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.harness.recording_channel", str(notes)],
            env=environment,
            stdout=log,
            stderr=log,
        )


async def test_two_processes_together_never_exceed_the_tps(live: Live, tmp_path: Path) -> None:
    notes = [tmp_path / "writer-0", tmp_path / "writer-1"]
    writers = [start_writer(live, path) for path in notes]
    try:

        async def both_up() -> bool:
            up: int = await live.query("SELECT count(*) FROM connections WHERE state = 'up'")
            return up == 2

        await until(both_up, 30)
        sent = await live.launch()
        await sent.handed_off()
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGTERM)
        for writer in writers:
            assert writer.wait(40) == 0
    written = [[float(line) for line in path.read_text().split()] for path in notes]
    assert all(len(instants) > PEOPLE * 0.2 for instants in written), "one process did it all"
    together = [instant for instants in written for instant in instants]
    assert busiest_second(together) <= TPS
    received = busiest_second([entry["at"] for entry in live.journal()])
    assert received <= TPS + max(2, TPS * 0.02)
    print(f"busiest second: written {busiest_second(together)}, received {received}, TPS {TPS}")
    assert len(live.journal()) == PEOPLE
