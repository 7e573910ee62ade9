"""The write-ahead log is copied as it comes.

`pg_receivewal` writes it into the work folder, from a slot, which keeps it at the server until it
is on the disk here. Every few seconds what is new is compressed, encrypted and put beside the
backups, the segment that is not full included; then full segments leave the work folder.
"""

import asyncio
import logging
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from service.backup import programs
from service.backup.backup_store import SLOT, note_backup, read_cluster, read_slot
from service.backup.base import no_target, sync_folder
from service.backup.crypt import encrypt_compressed, read_recipients
from service.backup.programs import TROUBLE
from service.errors import Misconfigured
from service.logs import seldom
from service.settings import BackupSettings
from service.storage.postgres import connected

log = logging.getLogger(__name__)

SHIP_SECONDS = 20.0
"""How long something of the log may lie in the work folder alone."""

MOST_SEGMENTS = 256
"""More than 4 GiB do not wait in the work folder, which may be on the database's own disk: then the
server keeps the log, up to its own bound."""

PAUSE_SECONDS = 2.0
"""Before the receiver is started again."""

_NAME = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")


class ClusterChanged(Exception):
    """The address leads to another cluster than before, whose log must not be mixed with this."""


@dataclass
class LogReceiver:
    """Copies the log of one cluster; `shipped` holds what the last segment was when it was sent."""

    settings: BackupSettings
    cluster: str
    shipped: dict[str, tuple[int, int]] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def spool(self) -> Path:
        """Where the receiver writes."""
        return self.settings.work / "log" / self.cluster

    @property
    def target(self) -> Path:
        """Where the encrypted pieces lie."""
        return self.settings.target / self.cluster / "log"

    def prepare(self) -> None:
        """Make the folders."""
        self.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.target.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def receive(self) -> None:
        """Keep the receiver running until cancelled."""
        while True:
            try:
                await self._make_slot()
                if not self.full:
                    await self._receive_once()
            except TROUBLE as error:
                seldom(log, logging.WARNING, "the log is not received", why=str(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _make_slot(self) -> None:
        """Make the slot; anew, where the server gave it up because it kept too much."""
        async with connected(self.settings.url) as conn:
            slot, facts = await read_slot(conn), await read_cluster(conn)
        if facts.cluster != self.cluster:
            raise ClusterChanged
        if slot is not None and not slot.lost:
            return
        command = [programs.program("pg_receivewal"), "--slot", SLOT]
        command += programs.connection_words(self.settings.url)
        if slot is not None:
            log.error("the server has given up the slot of the log: a part of the log is missing")
            await programs.run([*command, "--drop-slot"], self.settings.url)
        await self.ship()
        shutil.rmtree(self.spool)  # else the receiver would ask for what follows the last segment
        self.prepare()
        await programs.run([*command, "--create-slot", "--if-not-exists"], self.settings.url)

    async def _receive_once(self) -> None:
        command = [
            *_with_us(),
            programs.program("pg_receivewal"),
            *("--directory", str(self.spool), "--slot", SLOT, "--no-loop"),
            *programs.connection_words(self.settings.url),
        ]
        self.process = process = await asyncio.create_subprocess_exec(
            *command,
            env=programs.environment(self.settings.url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        (self.settings.work / "receiver.pid").write_text(str(process.pid))
        try:
            _, errors = await process.communicate()
        finally:
            await programs.end(process)
        raise programs.failed(["pg_receivewal"], errors.decode(errors="replace"))

    async def keep_shipping(self) -> None:
        """Send what is new every few seconds until cancelled, and the rest at the end."""
        try:
            while True:
                try:
                    await self._ship_and_note()
                except TROUBLE as error:
                    seldom(log, logging.WARNING, "the log is not copied", why=str(error))
                    await self._stop_if_full()
                await asyncio.sleep(SHIP_SECONDS)
        finally:
            with suppress(*TROUBLE):
                await self.ship()

    @property
    def full(self) -> bool:
        """Whether too much of the log waits in the work folder."""
        return sum(1 for _ in self.spool.iterdir()) > MOST_SEGMENTS

    async def _stop_if_full(self) -> None:
        if self.full and self.process is not None and self.process.returncode is None:
            log.error("too much of the log waits in the work folder: it is left to the server")
            await programs.end(self.process)

    async def _ship_and_note(self) -> None:
        if octets := await self.ship():
            async with connected(self.settings.url) as conn:
                await note_backup(conn, "log", datetime.now(UTC), octets)

    async def ship(self) -> int:
        """Send what is new; returns how many octets."""
        return await asyncio.to_thread(self._ship)

    def _ship(self) -> int:
        if not self.target.is_dir():
            raise Misconfigured(no_target(self.settings.target))
        octets = 0
        for path in sorted(self.spool.iterdir()):
            with suppress(FileNotFoundError):  # the receiver gave a full segment its name meanwhile
                octets += self._ship_one(path)
        return octets

    def _ship_one(self, path: Path) -> int:
        name, partial = path.name.removesuffix(".partial"), path.suffix == ".partial"
        if not _NAME.fullmatch(name):
            return 0
        state = path.stat()
        seen = (state.st_mtime_ns, state.st_size)
        if self.shipped.get(path.name) == seen:
            return 0
        to = self.target / f"{path.name}.gz.age"
        part = to.with_name(f".{to.name}.part")
        recipients = read_recipients(self.settings.backup_recipients)
        octets = encrypt_compressed(path, part, recipients).octets
        os.utime(part, ns=(state.st_mtime_ns, state.st_mtime_ns))
        part.rename(to)
        sync_folder(self.target)
        if partial or path.suffix == ".history":
            self.shipped[path.name] = seen
            return octets
        self.target.joinpath(f"{name}.partial.gz.age").unlink(missing_ok=True)
        self.shipped.pop(f"{name}.partial", None)
        path.unlink()
        return octets


def _with_us() -> list[str]:
    """The prefix that ends the receiver when this process is killed, where there is one (Linux)."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "INT"] if found else []
