"""The files of deploy/ha, filled in as their pages say, and whoever runs on them."""

import os
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.local.embedded import unprivileged

FILES = Path(__file__).parents[2] / "deploy/ha"
WORD = re.compile(r"@[A-Z_]+@")


def fill_in(text: str, **values: object) -> str:
    """A file of deploy/ha with what stands between @ and @; nothing of it may be left."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    assert not WORD.search(text), text
    return text


def descendants(*roots: int) -> list[int]:
    """Processes and all that they have begun; they themselves first."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            children[parent].append(int(path.parent.name))
    found = list(roots)
    for pid in found:
        found += children[pid]
    return found


def send(sign: signal.Signals, pids: Iterable[int]) -> None:
    """A signal to processes, of which some may be gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)


@dataclass
class Program:
    """A program on a file of deploy/ha, as an unprivileged user, and its process if it has one."""

    command: Sequence[str]
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it on the file that it has, as a supervisor does."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*unprivileged(), *self.command],
                cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def pids(self) -> list[int]:
        """Its processes."""
        return descendants(self.process.pid) if self.process is not None else []

    def kill(self) -> None:
        """kill -9 of all of it, and nothing starts it again by itself."""
        send(signal.SIGKILL, self.pids())
        if self.process is not None:
            self.process.wait()
            self.process = None
