"""`make drill`: five faults on a running system, one after the other, for whoever is on duty.

Run: python -m tests.watch.drill [--try]

A whole system sends and is watched by Debian's Prometheus with our rules, in which each `for` is a
few seconds. Whoever leads the drill types the name of a fault; the person on duty sees the alert
and mends it by the runbooks alone (docs/drill.md). It is written down when the alert came and when
it was gone. With --try nobody is asked: each fault is begun and mended by its own commands, which
shows that each raises its alert; the exit code is 1 if one does not.
"""

import argparse
import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from service.local.embedded import free_port
from tests.containers.machine import NotHere, run
from tests.containers.table import Table
from tests.harness import debian
from tests.harness.backups import BackupPlace
from tests.harness.live import MORNING, Live
from tests.harness.waiting import until_sync
from tests.watch.files import ALERTS
from tests.watch.prometheus import Prometheus, prepare, scraping

TPS = "100"
LOOK_SECONDS = 2.0
FOR = re.compile(r"^(\s+for): \w+$", re.MULTILINE)
PATIENCE = 900.0
"""The log of the database must be five minutes old before it is late."""
ALONE = ("unshare", "--pid", "--fork", "--kill-child")
"""As in a container a process that is started again has the number of the one before."""
LIBRARY = "*/faketime/libfaketime.so.1"


class SecondWorker:
    """A worker beside those of `tocsin up`, on a machine whose clock may be wrong. As a container
    does, it starts again whenever it ends; nothing looks at whether it lives.
    """

    def __init__(self, live: Live) -> None:
        self.offset = live.folder / "clock-offset"
        self.offset.write_text("+0")
        self.port = free_port()
        self._log = live.folder / "second.log"
        self._pid = live.folder / "second.pid"
        self._environment = os.environ | {
            "TOCSIN_DATABASE_URL": live.summary["database_url"],
            "TOCSIN_REDIS_URL": live.summary["redis_url"],
            "TOCSIN_KEY_FILE": str(live.folder.with_name(f"{live.folder.name}.key")),
            "TOCSIN_WATCH_PORT": str(self.port),
            "LD_PRELOAD": str(next(Path("/usr/lib").glob(LIBRARY))),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def tend(self) -> None:
        """Start it, if it has ended."""
        if self._process is None or self._process.poll() is not None:
            words = [*ALONE, sys.executable, "-m", "workers", "webhooks"]
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    words, env=self._environment, stdout=log, stderr=log
                )
            until_sync(self._children)
            (self.pid,) = self._children()
            self._pid.write_text(str(self.pid))

    def _children(self) -> list[int]:
        assert self._process is not None
        one = self._process.pid
        return [int(n) for n in Path(f"/proc/{one}/task/{one}/children").read_text().split()]

    def signal(self, sign: signal.Signals) -> None:
        """Do this to it."""
        os.kill(self.pid, sign)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass
class Ground:
    """Where the drill takes place."""

    live: Live
    place: BackupPlace
    second: SecondWorker
    prometheus: Prometheus | None = None

    def command(self, *words: str) -> str:
        """A command of ours, as the administrator."""
        environment = os.environ | {
            "TOCSIN_API_URL": self.live.summary["url"],
            "TOCSIN_API_KEY": self.live.summary["keys"]["admin"],
            "TOCSIN_DATABASE_URL": self.live.summary["database_url"],
            "TOCSIN_REDIS_URL": self.live.summary["redis_url"],
            "TOCSIN_KEY_FILE": str(self.place.master),
        }
        return run([sys.executable, "-m", "service", *words], env=environment)

    def carrier(self, path: str, body: Any = None, method: str = "POST") -> None:
        """Tell the simulated carrier what to do."""
        data = None if body is None else json.dumps(body).encode()
        asked = Request(
            self.live.summary["simulator"] + path,
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urlopen(asked, timeout=30) as answer:
            answer.read()

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        assert self.prometheus is not None
        found = self.prometheus.get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}

    def fires(self, alert: str) -> bool:
        """Whether this one does."""
        return alert in self.firing()

    def tend(self) -> None:
        """What goes on while somebody thinks."""
        self.second.tend()


@dataclass(frozen=True)
class Fault:
    """What is done, the alert that must come, and what mends it."""

    alert: str
    begin: Callable[[Ground], object]
    mend: Callable[[Ground], object]


def _refuse_logins(ground: Ground) -> None:
    ground.carrier("/faults", {"login_status": 3}, "PATCH")
    ground.carrier("/disconnect", {})


def _hold(ground: Ground) -> None:
    async def begin() -> None:
        await (await ground.live.launch(validity_minutes=240)).under_way(0.05)

    asyncio.run(begin())
    ground.command("hold-all")


def _lift(ground: Ground) -> None:
    ground.command("ctl", "stop-all", "lift", "--direct-runs", "uncertain", "--reason", "drill")


def _unplug(ground: Ground) -> None:
    ground.place.target.rename(ground.place.target.with_name("unplugged"))


def _plug(ground: Ground) -> None:
    target = ground.place.target
    if target.exists():
        target.rename(target.with_name("made-anew"))
    target.with_name("unplugged").rename(target)


FAULTS = {
    "login": Fault(
        "ConnectionsMissing",
        _refuse_logins,
        lambda ground: ground.carrier("/faults", None, "DELETE"),
    ),
    "frozen": Fault(
        "ProcessSilent",
        lambda ground: ground.second.signal(signal.SIGSTOP),
        lambda ground: ground.second.signal(signal.SIGKILL),
    ),
    "clock": Fault(
        "ClockWrong",
        lambda ground: ground.second.offset.write_text("+90"),
        lambda ground: ground.second.offset.write_text("+0"),
    ),
    "held": Fault("EverythingStopped", _hold, _lift),
    "backup": Fault("LogCopyLate", _unplug, _plug),
}
"""By the word that begins each."""
WORDS = f"""\
a fault: {", ".join(FAULTS)}. carrier: the carrier mends its side, once it has been called.
mend FAULT: give up on it. end: stop everything."""


def rules(folder: Path) -> Path:
    """Our rules, but an alert comes seconds after its cause."""
    made = folder / "alerts.yml"
    made.write_text(FOR.sub(r"\1: 5s", ALERTS.read_text("utf-8")), "utf-8")
    return made


@contextmanager
def drilling(folder: Path) -> Iterator[Ground]:
    """A system with people, backups, a second machine and Prometheus."""
    place = BackupPlace.make(folder, folder / "data")
    live = Live(
        folder / "data",
        *("--clock", MORNING, "--tps", TPS, "--max-delay", "3", "--profile", "carrier"),
        **place.environment(),
        TOCSIN_WATCH_PORT=str(free_port()),
    )
    live.start()
    second = SecondWorker(live)
    try:
        second.tend()
        (folder / "prometheus").mkdir()
        api = int(live.summary["url"].rpartition(":")[2])
        ports = [*live.summary["watched"].values(), second.port]
        key = live.summary["keys"]["operator"]
        with scraping(folder / "prometheus", [api], key, ports, rules(folder)) as prometheus:
            asyncio.run(live.people((files("service.local.demo") / "county.csv").read_bytes()))
            yield Ground(live, place, second, prometheus)
    finally:
        second.stop()
        live.stop()


def try_all(ground: Ground, table: Table) -> None:
    """Begin and mend each fault, without anybody."""
    until_sync(lambda: not ground.firing(), PATIENCE, lambda: f"{ground.firing()} before the drill")
    for name, fault in FAULTS.items():
        with table.row(name) as row:
            began = time.monotonic()
            fault.begin(ground)
            _until(ground, partial(ground.fires, fault.alert), fault.alert)
            came = time.monotonic() - began
            fault.mend(ground)
            _until(ground, lambda: not ground.firing(), "all alerts gone")
            gone = time.monotonic() - began - came
            row.says(
                f"{fault.alert} after {came:.0f} s, all alerts gone {gone:.0f} s after the end"
            )


def _until(ground: Ground, condition: Callable[[], object], what: str) -> None:
    def look() -> object:
        ground.tend()
        return condition()

    until_sync(look, PATIENCE, lambda: f"{what}; firing: {sorted(ground.firing())}")


class Session:
    """A drill that somebody leads from the keyboard."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._standing: set[str] = set()
        self._clock = time.monotonic()

    def run(self) -> None:
        """Until `end`, or the end of what is typed."""
        print(self._address(), WORDS, sep="\n\n", flush=True)
        while True:
            self._ground.tend()
            self._look()
            if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
                # Not by `readline`: it keeps what was typed after the first line from `select`.
                typed = os.read(sys.stdin.fileno(), 4096).decode()
                words = [line.strip() for line in typed.splitlines()]
                if not typed or "end" in words:
                    return
                for word in words:
                    self._do(word)

    def _do(self, line: str) -> None:
        word, _, of = line.partition(" ")
        if word in FAULTS:
            FAULTS[word].begin(self._ground)
            self._note(f"{word}: begun")
        elif word == "mend" and of in FAULTS:
            FAULTS[of].mend(self._ground)
            self._note(f"{of}: mended by whoever leads")
        elif word == "carrier":
            FAULTS["login"].mend(self._ground)
            self._note("the carrier was called: it has unlocked the account")
        elif line:
            print(WORDS, flush=True)

    def _look(self) -> None:
        now = self._ground.firing()
        for alert in sorted(now - self._standing):
            self._note(f"ALERT {alert}")
        for alert in sorted(self._standing - now):
            self._note(f"gone: {alert}")
        self._standing = now

    def _note(self, what: str) -> None:
        minutes = (time.monotonic() - self._clock) / 60
        print(f"{minutes:6.1f} min  {what}", flush=True)

    def _address(self) -> str:
        live = self._ground.live
        assert self._ground.prometheus is not None
        return "\n".join(
            (
                f"export DRILL={live.folder}",
                f"export TOCSIN_API_URL={live.summary['url']}",
                f"export TOCSIN_API_KEY={live.summary['keys']['admin']}",
                f"alerts: {self._ground.prometheus.url}/alerts",
                f"console: {live.summary['console']}  passwords: {live.summary['logins']}",
            )
        )


def main() -> int:
    """Lead it, or try it; 1 if an alert did not come, 2 if a program is missing."""
    parser = argparse.ArgumentParser(description="five faults for whoever is on duty")
    parser.add_argument(
        "--try", action="store_true", dest="alone", help="begin and mend each alone"
    )
    options = parser.parse_args()
    try:
        prepare()
        if not list(Path("/usr/lib").glob(LIBRARY)):
            debian.install(["libfaketime"], "libfaketime not found")
    except (NotHere, debian.NotInstalled) as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, drilling(Path(name)) as ground:
        if options.alone:
            table = Table("drill")
            try_all(ground, table)
            return table.verdict()
        Session(ground).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
