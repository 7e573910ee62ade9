"""A thread that watches the process of an event loop, and ends it when its own work stands still.

A thread, since a loop that is blocked cannot look at itself. It touches the file that deploy/
health.py and `tocsin up` look at, and tells systemd the same. A thread that holds the interpreter's
lock stops this one, too: then the file grows old, and whoever supervises the process acts.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from service.liveness.alive_file import TOUCH_SECONDS, AliveFile
from service.liveness.exit_codes import ExitCode
from service.liveness.stacks import task_stacks, thread_stacks
from service.liveness.systemd import SystemdSocket
from service.liveness.turns import START, LoopTurns
from service.liveness.verdict import Absent, Judge, Verdict
from service.servers import find_faults

log = logging.getLogger(__name__)

ASK_SECONDS = 12.0
"""How long both servers may take to show that they answer; twice what one of them is given."""
LAST_WORDS_SECONDS = 5.0
"""How long the stacks may take to be logged: the log may be what the process stands still at."""


class Watchdog:
    """Watches one process from its own thread."""

    def __init__(
        self,
        turns: LoopTurns,
        absent: Callable[[], Absent],
        *,
        late_seconds: float,
        folder: Path | None,
        systemd: SystemdSocket,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """absent: see `Judge`; folder: where the file is, None: nowhere."""
        self._systemd = systemd
        self._turns = turns
        self._loop = loop
        self._file = AliveFile(folder) if folder is not None else None
        self._judge = Judge(late_seconds, TOUCH_SECONDS, time.monotonic, absent)
        self._over = threading.Event()
        self._waits_since: float | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """The process ends by itself. A look that is under way is not waited for."""
        self._over.set()
        self._systemd.end()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                self._look()
            except Exception:
                log.exception("the watchdog cannot look")  # and the file grows old
            self._over.wait(TOUCH_SECONDS)

    def _look(self) -> None:
        verdict = self._judge.look(ages := self._turns.ages())
        if self._over.is_set():
            return
        if verdict is Verdict.LATE:
            self._end()
        if verdict in (Verdict.LIVES, Verdict.WAITS):
            self._show_life(works=START not in ages)
        self._tell(verdict)

    def _show_life(self, *, works: bool) -> None:
        self._systemd.show_life(works=works)
        if (file := self._file) is not None:
            with contextlib.suppress(OSError):  # it was closed this moment
                file.touch(works=works)

    def _tell(self, verdict: Verdict) -> None:
        """Say once that the process waits for a server, and once that it works again."""
        if verdict is Verdict.WAITS and self._waits_since is None:
            self._waits_since = time.monotonic()
            log.warning("the process waits for a server", extra={"why": self._judge.why})
        elif verdict is Verdict.LIVES and self._waits_since is not None:
            seconds = round(time.monotonic() - self._waits_since, 1)
            self._waits_since = None
            log.warning("the process works again", extra={"seconds": seconds})

    def _end(self) -> None:
        """Say where everything stands, and end the process, whatever hangs in it."""
        last = threading.Timer(LAST_WORDS_SECONDS, os._exit, (ExitCode.LATE,))
        last.daemon = True
        last.start()
        for name, places in thread_stacks():
            log.error("a thread stands here", extra={"of": name, "stack": places})
        for name, places in task_stacks(self._loop):
            log.error("a task stands here", extra={"of": name, "stack": places})
        log.critical(
            "the process ends: its own work stands still, and both servers answer",
            extra={"late": self._judge.why, "code": int(ExitCode.LATE)},
        )
        os._exit(ExitCode.LATE)


def ask_servers(database_url: str, redis_url: str) -> Absent:
    """What is wrong with either server, over fresh connections of a loop of its own."""

    async def ask() -> Absent:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                faults = await find_faults(database_url, redis_url)
        except TimeoutError:
            return ["the servers do not answer in time"]
        return [fault.sentence for fault in faults]

    return asyncio.run(ask())
