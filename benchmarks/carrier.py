"""The simulated carrier of the benchmarks: one process, whoever the client is.

It takes whatever comes as fast as it can, keeps its journal, and throttles and forgets nobody:
`numbers` leaves out those that would be refused once or get no receipt, so that every run ends
with exactly one receipt a number, and nothing is measured but work. Receipts over SMPP are all by
the book: Kannel knows them by their bit in esm_class alone.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientSession

from benchmarks.process import processor_seconds
from service.local.embedded import free_port
from service.simulator.carrier.outcomes import fates
from tests.harness.links import account_of
from tests.harness.simulated import ACCOUNT, SECRET

TEXT = (
    "【旌德县公安局】凡是自称公检法要求把钱转到安全账户的，都是诈骗。"
    "不点陌生链接，不告诉别人验证码，拿不准就请拨96110。"
)
"""60 characters: one part in UCS-2."""

PROFILE, SEED, NETWORK_NAME = "carrier", 341825, "china_mobile"
FIRST = 19790000001
ROUND = 10_000
"""A number that ends in so many zeros is taken for one that a spreadsheet has cut."""
START_SECONDS = 20.0
SENDER = "1065720001234"


def numbers(count: int) -> list[int]:
    """So many national numbers, each of which is accepted at once and gets one receipt.

    None is a round one, which an import would refuse.
    """
    judge = fates(PROFILE, SEED, NETWORK_NAME)
    found: list[int] = []
    number = FIRST
    while len(found) < count:
        verdict = judge(f"+86{number}")
        if verdict.stat and not verdict.throttled and number % ROUND:
            found.append(number)
        number += 1
    return found


class Carrier:
    """The process, for as long as the block runs.

    delay: the longest a receipt takes, seconds. receipts_window: how many receipts a connection may
    have unacknowledged. answers: how long each submit's answer takes, seconds.
    """

    def __init__(
        self,
        folder: Path,
        protocol: str,
        delay: float,
        clock: Path | None = None,
        receipts_window: int = 128,
        answers: float = 0.0,
    ) -> None:
        self.journal = folder / "carrier.journal"
        self.protocol = protocol
        self.delay = delay
        self.receipts_window = receipts_window
        self.answers = answers
        self._folder = folder
        self._environment = dict(os.environ) | _environment(clock)
        self._ports = {name: free_port() for name in (protocol, "admin", "listener")}
        self._before = 0.0

    @property
    def port(self) -> int:
        """Where it speaks the protocol."""
        return self._ports[self.protocol]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def channel(self) -> dict[str, Any]:
        """The config of a channel to it."""
        where: dict[str, Any] = {"host": "127.0.0.1", "port": self.port}
        if self.protocol == "sgip":
            where |= {"listen_host": "127.0.0.1", "listen_port": self._ports["listener"]}
        return account_of(self.protocol, number=SENDER, **where)

    async def accepted_and_acknowledged(self) -> tuple[int, int]:
        """How many submits it has taken and how many of its receipts were acknowledged."""
        url = f"http://127.0.0.1:{self._ports['admin']}/stats"
        async with ClientSession() as session, session.get(url) as answer:
            (account,) = (await answer.json())["accounts"]
        return account["accepted"], account["receipts_acknowledged"]

    def processor_seconds(self) -> float:
        """What it has used of the processor since it was ready."""
        return processor_seconds(self.pid) - self._before

    def accepted_at(self) -> dict[str, float]:
        """When each number's text was taken, seconds since the epoch."""
        with self.journal.open(encoding="utf-8") as lines:
            entries = (json.loads(line) for line in lines if '"submit"' in line)
            return {entry["phone"]: entry["at"] for entry in entries}

    def __enter__(self) -> Self:
        config = self._folder / "carrier.json"
        config.write_text(json.dumps(self._settings()), encoding="utf-8")
        with (self._folder / "carrier.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "simulate", "--config", str(config)],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while "listening" not in (self._folder / "carrier.log").read_text(encoding="utf-8"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the carrier did not start; see {self._folder}/carrier.log")
            time.sleep(0.05)
        self._before = processor_seconds(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _settings(self) -> dict[str, Any]:
        account: dict[str, Any] = {"account": ACCOUNT, "secret": SECRET}
        if self.protocol == "sgip":
            door = {"port": self._ports["listener"], "login": ACCOUNT, "password": SECRET}
            account["listener"] = door
        shares = ("duplicate_receipts", "early_receipts", "unknown_receipts")
        return {
            "cmpp_port": None,
            f"{self.protocol}_port": self.port,
            "admin_port": self._ports["admin"],
            "accounts": [account],
            "profile": PROFILE,
            "seed": SEED,
            "lane": NETWORK_NAME,
            "max_delay_seconds": self.delay,
            "response_delay_seconds": self.answers,
            "deliver_window": self.receipts_window,
            "journal": str(self.journal),
            "receipts_by_the_book": True,
            "faults": dict.fromkeys(shares, 0.0),
        }


def _environment(clock: Path | None) -> dict[str, str]:
    """The variables of a clock that `tocsin up` has written down; none for the world's own."""
    if clock is None:
        return {}
    start, anchor, speed = json.loads(clock.read_text(encoding="utf-8"))
    return {
        "TOCSIN_CLOCK_START": start,
        "TOCSIN_CLOCK_ANCHOR": repr(anchor),
        "TOCSIN_CLOCK_SPEED": repr(speed),
    }


def contact_file(people: Sequence[int]) -> bytes:
    """A clean file of contacts."""
    lines = (f"{number},张{number % 7}" for number in people)
    return "\n".join(["手机号,姓名", *lines]).encode()
