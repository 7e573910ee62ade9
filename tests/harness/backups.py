"""Backups of a running system in tests, by the commands that people use."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from service.backup.catalogue import BackupCatalogue, read_newest
from service.backup.crypt import make_key
from tests.harness.live import Live
from tests.harness.waiting import until_sync


@dataclass
class BackupPlace:
    """A folder of backups, with the private key that reads them. data: the folder of the system.
    master: its key.
    """

    target: Path
    identity: Path
    data: Path
    master: Path

    @classmethod
    def make(cls, folder: Path, data: Path) -> "BackupPlace":
        """An empty one."""
        (folder / "backups").mkdir()
        key = data.with_name(f"{data.name}.key")
        return cls(folder / "backups", folder / "county.key", data, key)

    def environment(self) -> dict[str, str]:
        """What makes `tocsin up` copy its database here; makes the key."""
        recipient = make_key(self.identity)
        return {
            "TOCSIN_BACKUP_FOLDER": str(self.target),
            "TOCSIN_BACKUP_RECIPIENTS": recipient,
        }

    def settings_of(self, live: Live) -> dict[str, str]:
        """What `tocsin up` gives to the process that copies."""
        password = (live.folder / "postgres/backup_password").read_text()
        parts = urlsplit(live.summary["database_url"])
        url = parts._replace(netloc=f"tocsin_backup:{quote(password)}@").geturl()
        return {
            "TOCSIN_BACKUP_DATABASE_URL": url,
            "TOCSIN_BACKUP_WORK_FOLDER": str(live.folder / "backup"),
            "TOCSIN_BACKUP_RECIPIENTS": live.environment["TOCSIN_BACKUP_RECIPIENTS"],
        }

    def command(self, *words: str) -> list[str]:
        """A command of ours, in English."""
        return [sys.executable, "-m", "service", *words]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words),
            env=self._words | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _words(self) -> dict[str, str]:
        """The folder, the language, and the simulated clock of the system, by which its audit
        trail is judged.
        """
        start, anchor, speed = json.loads((self.data / "clock.json").read_text())
        clock = {"START": start, "ANCHOR": str(anchor), "SPEED": str(speed)}
        given = {f"TOCSIN_CLOCK_{name}": value for name, value in clock.items()}
        given |= {"TOCSIN_BACKUP_FOLDER": str(self.target), "TOCSIN_LANGUAGE": "en"}
        return os.environ | given

    def restore(
        self, into: Path, *words: str, target: Path | None = None, identity: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`tocsin restore` with the keys of the place."""
        return self.run(*self._restore(into, target, identity), *words)

    def _restore(self, into: Path, target: Path | None, identity: Path | None) -> list[str]:
        given = ["--into", str(into), "--identity", str(identity or self.identity)]
        given += ["--folder", str(target or self.target)]
        return ["restore", *given, "--key-file", str(self.master)]

    @contextmanager
    def restored(self, into: Path, *words: str) -> Iterator[str]:
        """A database that `tocsin restore --stay` has restored, by its address."""
        command = self.command(*self._restore(into, None, None), "--stay", *words)
        process = subprocess.Popen(command, env=self._words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            url = ""
            while not url.startswith("postgresql://"):
                url = process.stdout.readline().strip()
                assert url, f"tocsin restore ended with {process.wait()}"
            yield url
        finally:
            process.terminate()
            process.stdout.read()
            process.stdout.close()
        assert process.wait(60) == 0

    def read(self) -> BackupCatalogue:
        """What there is."""
        return read_newest(self.target)

    def until_base(self, count: int) -> None:
        """Until there are so many base backups."""

        def there() -> bool:
            folders = list(self.target.glob("[0-9]*/base/[0-9]*"))
            return len(folders) >= count

        until_sync(there, 120)

    def until_log_of(self, instant: float) -> None:
        """Until what was written at an instant (seconds since the epoch) has been copied."""

        def copied() -> bool:
            found = self.read().log
            return bool(found) and found[-1].at.timestamp() > instant

        until_sync(copied, 90)
