"""PostgreSQL's own programs, run with the password out of sight."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from service.errors import TocsinError, Unavailable
from service.local.embedded import postgres_binaries
from service.storage.postgres import UNREACHABLE, NoRight, NoTable
from service.storage.roles import login_of
from service.words.phrase import phrase

STOP_SECONDS = 10.0

TROUBLE: tuple[type[Exception], ...] = (TocsinError, NoTable, NoRight, *UNREACHABLE)
"""What passes: whoever copies says it and tries again."""


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs.

    Raises:
        Misconfigured: they are not installed.
    """
    return str(postgres_binaries() / name)


def connection_words(url: str) -> list[str]:
    """The arguments that tell a program where the server is, without the password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")
    user = place[0].partition(":")[0]
    shown = parts._replace(netloc=f"{user}@{place[2]}").geturl()
    return ["--dbname", shown, "--no-password"]


def environment(url: str = "") -> dict[str, str]:
    """That of a program: English messages, and the password of an address."""
    words = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "tocsin_backup"}
    return words | ({"PGPASSWORD": login_of(url).password} if url else {})


async def run(command: Sequence[str], url: str = "") -> None:
    """Run a program to its end; cancelled, it is ended.

    Raises:
        Unavailable: it failed; with its last words.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        await end(process)
        raise
    if process.returncode:
        raise failed(command, errors.decode(errors="replace"))


def run_now(command: Sequence[str], prefix: Sequence[str] = ()) -> None:
    """The same, while nothing else is to be done. prefix: under which it runs."""
    done = subprocess.run(
        [*prefix, *command], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise failed(command, done.stderr)


def failed(command: Sequence[str], errors: str) -> Unavailable:
    """What is said of a program that failed."""
    last = "\n  ".join(errors.strip().splitlines()[-6:])
    return Unavailable(phrase("{program} failed: {last}", program=Path(command[0]).name, last=last))


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask a program to end, and make it after a while."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
