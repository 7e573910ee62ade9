"""PostgreSQL recovers a copied data folder to an instant, beside the server that runs.

It listens on a socket in the folder alone, which only its owner may enter, and does nothing that
the copied configuration asks of it: it archives nothing and waits for no standby.
"""

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from service.backup import programs
from service.backup.catalogue import BaseBackup
from service.errors import Misconfigured, Unavailable
from service.local.embedded import socket_folder, unprivileged
from service.words.phrase import phrase

PORT = 5432
"""It only makes the name of the socket."""

STOP_SECONDS = 60.0
LOOK_SECONDS = 0.1

_RESTORED = 'restored log file "'
_LAST = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_TOO_EARLY = "recovery ended before configured recovery target was reached"
_INCONSISTENT = (
    "requested recovery stop point is before consistent recovery point",
    "WAL ends before end of online backup",
)


@contextmanager
def recovered(
    folder: Path, base: BaseBackup, at: datetime | None, timeline: str, tell: Callable[[int], None]
) -> Iterator[str]:
    """A server on FOLDER/data, recovered with the log in FOLDER/log; gives its address.

    at: the last instant whose transactions are kept; None: all that the log has. timeline: latest,
    current (that of the base backup) or a number. tell: is told how many pieces of the log have
    been read.

    Raises:
        Misconfigured: the log ends before the instant, or does not reach the end of the backup.
        Unavailable: the server did not come up; with its last words.
    """
    log = folder / "postgres.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(folder, at, timeline),
            env=programs.environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not _answers(folder):
            if process.poll() is not None:
                raise _why_not(log)
            tell(log.read_text(errors="replace").count(_RESTORED))
            time.sleep(LOOK_SECONDS)
        tell(log.read_text(errors="replace").count(_RESTORED))
        user, place = quote(base.superuser), quote(str(socket_folder(folder)), safe="")
        yield f"postgresql://{user}@/{quote(base.database)}?host={place}&port={PORT}"
    finally:
        _stop(process)


def _command(folder: Path, at: datetime | None, timeline: str) -> list[str]:
    data = folder / "data"
    (data / "recovery.signal").touch()
    access = folder / "pg_hba.conf"
    access.write_text("local all all trust\n")  # nobody else enters the folder
    fetch = f"cp {shlex.quote(str(folder / 'log'))}/%f %p"
    options = {
        "hba_file": str(access),
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder(folder)),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "restore_command": fetch,
        "recovery_target_timeline": timeline,
        "recovery_target_action": "promote",
        "hot_standby": "off",
        "archive_mode": "off",
        "synchronous_standby_names": "",
        "shared_preload_libraries": "",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_min_messages": "log",
        "ssl": "off",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
    }
    if at is not None:
        options["recovery_target_time"] = at.isoformat()
    command = [*unprivileged(), programs.program("postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return command


def _answers(folder: Path) -> bool:
    place = ["-h", str(socket_folder(folder)), "-p", str(PORT)]
    command = [programs.program("pg_isready"), "-q", *place]
    return subprocess.run(command, env=programs.environment(), check=False).returncode == 0


def _why_not(log: Path) -> Misconfigured | Unavailable:
    text = log.read_text(errors="replace")
    last = _LAST.search(text)
    if _TOO_EARLY in text:
        return Misconfigured(
            phrase(
                "the log of the backups ends before that instant, with {last}: give --at an earlier"
                " instant, or leave it out for all that there is",
                last=last[1] if last else "?",
            )
        )
    if any(words in text for words in _INCONSISTENT):
        return Misconfigured(
            phrase(
                "the log of the backups does not reach the end of this base backup: give --at an"
                " earlier instant, so that an older base backup is taken"
            )
        )
    return programs.failed(["postgres"], text)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
