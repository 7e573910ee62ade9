"""`tocsin backup run`: the log as it comes, a base backup each night, and what is too old goes."""

import asyncio
import fcntl
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from service.backup.backup_store import read_cluster, read_slot
from service.backup.base import find_cluster, manifest_of, no_target, take_base, throw_away
from service.backup.catalogue import due, read_catalogue
from service.backup.crypt import read_recipients
from service.backup.programs import TROUBLE
from service.backup.receiver import ClusterChanged, LogReceiver
from service.errors import Conflict, Misconfigured, Unavailable
from service.liveness.pulse import showing_life
from service.local.embedded import prepare_folder
from service.settings import BackupSettings
from service.storage.postgres import UNREACHABLE, connected
from service.words.phrase import phrase

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks whether a base backup is due."""

RETRY_SECONDS = 600.0
"""After a base backup that failed."""


async def keep_backups(settings: BackupSettings) -> None:
    """Copy until SIGTERM or SIGINT.

    Raises:
        Misconfigured: a folder, a key or the server is of no use.
        Conflict: another process does it.
    """
    read_recipients(settings.backup_recipients)
    check_folders(settings)
    has_started = asyncio.Event()
    with _one_keeper(settings):
        async with showing_life(settings.alive_folder, has_started):
            await _keep(settings, has_started)


async def _keep(settings: BackupSettings, has_started: asyncio.Event) -> None:
    cluster = await _first_look(settings)
    receiver = LogReceiver(settings, cluster)
    receiver.prepare()
    work = asyncio.gather(
        receiver.receive(), receiver.keep_shipping(), _keep_bases(settings, cluster)
    )
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, work.cancel)
    has_started.set()
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped")
    except ClusterChanged as error:
        raise Misconfigured(
            phrase("the database is another cluster now: start `tocsin backup run` again")
        ) from error


def check_folders(settings: BackupSettings) -> None:
    """Refuse folders that are not there. The target is never made: an empty mount point is none.

    Raises:
        Misconfigured: says which, and what to do.
    """
    prepare_folder(settings.work)
    if not settings.target.is_dir():
        raise Misconfigured(no_target(settings.target))


async def _first_look(settings: BackupSettings) -> str:
    """The cluster; the server is waited for."""
    while True:
        try:
            return (await find_cluster(settings)).cluster
        except UNREACHABLE as error:
            log.warning("PostgreSQL cannot be reached", extra={"why": str(error)})
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def _one_keeper(settings: BackupSettings) -> Iterator[None]:
    with (settings.work / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                phrase("another `tocsin backup run` uses {folder}", folder=settings.work)
            ) from error
        yield


async def _keep_bases(settings: BackupSettings, cluster: str) -> None:
    while True:
        pause = LOOK_SECONDS
        try:
            await _make_what_is_due(settings, cluster)
        except TROUBLE as error:
            log.error("no base backup", extra={"why": str(error)})  # noqa: TRY400  # one sentence
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)


async def _make_what_is_due(settings: BackupSettings, cluster: str) -> None:
    """The log is received before: a base backup is of no use without the log of its time."""
    now = datetime.now(UTC)
    found = read_catalogue(settings.target, cluster)
    async with connected(settings.url) as conn:
        slot, timeline = await read_slot(conn), (await read_cluster(conn)).timeline
    manifest = manifest_of(settings, found.last("full")) is not None
    kind = due(found, last_night(settings, now), manifest=manifest, timeline=timeline)
    if kind is None or slot is None or not slot.started or slot.lost:
        return
    checkpoint: Literal["fast", "spread"] = "spread" if found.bases else "fast"
    try:
        await take_base(settings, kind, checkpoint)
    except Unavailable as error:
        if kind == "full":
            raise
        # The server may have no list of changes any more, or have gone back behind the full one.
        log.warning("no incremental backup, so a full one is made", extra={"why": str(error)})
        await take_base(settings, "full", checkpoint)
    for name in throw_away(settings, read_catalogue(settings.target, cluster), now):
        log.info("thrown away", extra={"backup": name})


def last_night(settings: BackupSettings, now: datetime) -> datetime:
    """The last instant at which a base backup is made, by the county's clock."""
    here = now.astimezone(settings.zone)
    hour = time.fromisoformat(settings.backup_at)
    night = datetime.combine(here.date(), hour, settings.zone)
    return night if night <= here else night - timedelta(days=1)
