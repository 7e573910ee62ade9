"""The last release and this version take turns at one schema, and work beside each other on it:
nobody lost, nobody twice.

docs/operating.md, "Upgrading", promises it. `deploy/last-release` says which release that is.
"""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from service.storage.migrate import migrations
from tests.harness.last_release import NoHistory, install, last_release
from tests.harness.live import MORNING, Launched, Live, order
from tests.harness.owner import owner_url
from tests.harness.waiting import until

pytestmark = [pytest.mark.xdist_group("upgrade"), pytest.mark.slow]

PEOPLE = 4_000
ANSWERS_SECONDS, WINDOW = 1.0, 4
"""So slowly the carrier answers until all processes are replaced: there is load until then, however
long that takes.
"""
PROCESSES = ("api", "scheduler", "work", "channel-0", "channel-1")
"""In the order in which they are replaced."""
NOW = migrations()[-1].name


class Installation(Live):
    """A system whose programs are those of `current`, a link that an upgrade sets anew. A process
    that ends is started again from there, as by systemd or by Kubernetes.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(folder, *arguments)
        self.current = folder.with_name("current")
        self.python, self.where = self.current / "bin" / "python", folder.parent

    def choose(self, environment: Path) -> None:
        """Take the programs of this environment from now on."""
        fresh = self.current.with_name("fresh")
        fresh.symlink_to(environment)
        fresh.replace(self.current)

    async def replace(self, name: str, known: str) -> None:
        """End a process, and wait until its successor works, which knows that migration as its
        last one."""
        before = self.pid(name)
        os.kill(before, signal.SIGTERM)

        async def beats() -> bool:
            with suppress(ValueError):  # the last release writes the number after it made the file
                pid = self.pid(name)
                return pid != before and await self.knows(pid) == known
            return False

        await until(beats, what=f"{name} of the version that knows {known}")

    async def knows(self, pid: int) -> str | None:
        """The last migration that a process knows, by its beat."""
        found: str | None = await self.query("SELECT known FROM processes WHERE pid = $1", pid)
        return found

    async def known(self) -> set[str | None]:
        """The last migrations that the processes know."""
        return {await self.knows(self.pid(name)) for name in PROCESSES}

    async def hands_off_on_each_channel(self) -> None:
        """Wait until the carrier takes something new from each of its accounts."""
        seen = len(self.journal())
        accounts = {entry["account"] for entry in self.journal()}

        def each() -> bool:
            return {entry["account"] for entry in self.journal()[seen:]} == accounts

        await until(each, what="a text on each channel")


def longest_silences(live: Live) -> dict[str, float]:
    """The longest time in which each account handed nothing off, from its first text to its last,
    in seconds.
    """
    instants = defaultdict(list)
    for entry in live.journal():
        instants[entry["account"]].append(entry["at"])
    return {
        account: max((b - a for a, b in pairwise(at)), default=0.0)
        for account, at in instants.items()
    }


async def adds_up(live: Live, sent: Launched) -> None:
    """The carrier took one text for everybody; each is accounted for, and none is uncertain."""
    await sent.handed_off()
    target = await sent.target()
    assert target > PEOPLE * 0.9
    taken = sent.submits()
    assert set(taken.values()) == {1}, "somebody got it twice"
    assert len(taken) == target, "somebody was lost"
    assert await sent.count("uncertain", "unknown") == 0

    async def receipts_are_in() -> bool:
        return await sent.count("submitted") <= target * 0.01

    await until(receipts_are_in)
    async with live.client("operator") as client:
        runs = await client.get(f"/campaigns/{sent.campaign}/runs")
        report = await client.get(f"/runs/{runs['items'][0]['id']}/report")
    assert report["target"] == target == sum(report["states"].values())


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the last release; a shallow clone has not what it is built of."""
    try:
        return install(last_release(), tmp_path_factory.mktemp("last_release"))
    except NoHistory as error:
        if "it is shallow" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def today() -> Path:
    """The environment of this version."""
    return Path(sys.prefix)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Installation]:
    system = Installation(
        tmp_path / "data",
        *("--clock", MORNING, "--profile", "carrier", "--max-delay", "3"),
        *("--window", str(WINDOW), "--connections", "2", "--channel-processes", "2"),
    )
    try:
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="module")
def people() -> bytes:
    """The first of the county's."""
    content = (files("service.local.demo") / "county.csv").read_bytes()
    return b"".join(content.splitlines(keepends=True)[: PEOPLE + 2])


async def test_the_last_release_sends_a_broadcast_on_the_schema_of_today(
    live: Installation, before: Path, people: bytes
) -> None:
    made = Live(live.folder, "--clock", MORNING, "--channels", "none")
    made.start()
    made.stop()
    live.choose(before)
    live.start()
    (before_now,) = await live.known()
    assert before_now != NOW == await live.query("SELECT max(name) FROM migrations")
    await live.people(people)
    await adds_up(live, await live.launch())


async def test_a_broadcast_goes_on_while_processes_are_replaced_one_by_one_and_back(
    live: Installation, before: Path, today: Path, people: bytes
) -> None:
    live.choose(before)
    live.start()
    (before_now,) = await live.known()
    assert before_now is not None
    await live.people(people)
    await order(live, "PATCH", "faults", {"answer_delay_seconds": ANSWERS_SECONDS})
    sent = await live.launch()
    await sent.under_way(0.01)
    migrate(live, today)
    await live.hands_off_on_each_channel()
    for environment, known in ((today, NOW), (before, before_now)):
        live.choose(environment)
        for name in PROCESSES:
            await live.replace(name, known)
            await live.hands_off_on_each_channel()
        assert await live.known() == {known}
    assert await sent.count("queued") > 0, "it was no load any more: take more people"
    silences = longest_silences(live)
    await order(live, "DELETE", "faults")
    await adds_up(live, sent)
    print("longest silence:", {account: f"{s:.1f} s" for account, s in silences.items()})


def migrate(live: Live, environment: Path) -> None:
    """`tocsin migrate` of an environment, as the owner of the tables."""
    settings = {
        "TOCSIN_DATABASE_URL": live.summary["database_url"],
        "TOCSIN_DATABASE_OWNER_URL": owner_url(live.summary["database_url"]),
        "TOCSIN_REDIS_URL": live.summary["redis_url"],
        "TOCSIN_KEY_FILE": str(live.folder.with_suffix(".key")),
    }
    done = subprocess.run(
        [environment / "bin" / "python", "-m", "service", "migrate"],
        env=os.environ | settings, cwd=live.where, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert NOW in done.stdout + done.stderr
