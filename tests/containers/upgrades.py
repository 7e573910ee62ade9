"""From the last release to this version and back, by the commands of docs/operating.md, while a
broadcast goes on.
"""

import asyncio
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.book import Entry, silence_of
from tests.containers import image
from tests.containers.blows import BACK_SECONDS, OWN
from tests.containers.documented import follow
from tests.containers.machine import FOLDER, ROOT, run
from tests.containers.podman import podman
from tests.containers.town import PROJECT, Broadcast, Town, copy_files
from tests.harness.last_release import archive, last_release
from tests.harness.waiting import until

RELEASE = FOLDER / "last-release"
SILENCE_SECONDS = 60.0
TPS = 20
"""Of each channel: a broadcast of 20,000 is not over before the containers are replaced."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A town that began with the last release, and the image of that."""

    town: Town
    image: str

    async def forward(self, broadcast: Broadcast) -> str:
        """Each of our containers gets this version, and every other one that runs its files."""
        old, told = await self._replaced(broadcast, "upgrade", PROJECT)
        assert old == {self.image}, f"they were not of the last release: {old}"
        return told

    async def stopped(self, broadcast: Broadcast) -> str:
        """The same, with all of ours stopped before the tables are migrated."""
        _, told = await self._replaced(broadcast, "upgrade-stop", PROJECT)
        return told

    async def back(self, broadcast: Broadcast) -> str:
        """Each of our containers gets the image that it had, on the newer tables."""
        old, told = await self._replaced(broadcast, "upgrade-back", RELEASE)
        assert self.image not in old, "some were of the last release"
        assert _images(self.town) == {self.image}, "they are not of the last release"
        return told

    async def _replaced(self, broadcast: Broadcast, block: str, to: Path) -> tuple[set[str], str]:
        """The images that were there before, and what was seen."""
        town, before = self.town, broadcast.taken()
        assert before < len(town.people), "the broadcast is over, so this upgrade shows nothing"
        old = _images(town)
        town.move(PROJECT)  # both commands are given in the newer version's folder
        began = time.time()
        here = {"../tocsin-0.2.0": str(RELEASE), "http://127.0.0.1:8080": town.url}
        await asyncio.to_thread(follow, town, block, here)
        seconds = time.time() - began
        town.move(to)
        new = _images(town)
        assert len(new) == 1, f"they are not of one image: {new}"
        assert not new & old, f"not each has another image: {old}, then {new}"
        await until(town.ready, BACK_SECONDS, "/readyz is ok", every=0.25)
        await broadcast.reach(broadcast.taken() + 1)
        entries = town.book.of(broadcast.text)
        silence = silence_of(entries, began)
        assert silence <= SILENCE_SECONDS, f"nothing was sent for {silence:.0f} s"
        return old, (
            f"{seconds:.0f} s; nothing sent for {silence:.1f} s, on one channel for "
            f"{_longest_of_a_channel(entries, began):.1f} s, at {before} of {len(town.people)}"
        )


def begin_with_last_release(people: int) -> Upgrade:
    """The last release's files with its image, and this version's files in a folder beside it."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir(parents=True)
    release = last_release()
    run(["tar", "--extract", "--directory", str(RELEASE)], given=archive(release))
    # The carrier is no part of the release: it has an account for each channel.
    shutil.copy(ROOT / "deploy" / "simulator.json", RELEASE / "deploy" / "simulator.json")
    name = image.build(image.base(), root=RELEASE, number=release.version)
    town = Town(people, TPS, RELEASE)
    town.configure()
    copy_files(PROJECT)
    return Upgrade(town, podman("image", "inspect", "--format", "{{.Id}}", name).strip())


def _images(town: Town) -> set[str]:
    """The images of our containers."""
    return {str(town.compose.container(name)["Image"]) for name in OWN}


def _longest_of_a_channel(entries: list[Entry], since: float) -> float:
    by_account = defaultdict[str, list[Entry]](list)
    for entry in entries:
        by_account[entry.account].append(entry)
    return max(silence_of(of_one, since) for of_one in by_account.values())
