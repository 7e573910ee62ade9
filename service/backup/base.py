"""A base backup: PostgreSQL's own program makes it, another checks it, then it is encrypted.

It is made and checked in the work folder. What comes into the folder of the backups has a name that
begins with a dot until it is whole and on the disk.
"""

import asyncio
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from service.backup import programs
from service.backup.backup_store import (
    ClusterFacts,
    note_backup,
    read_cluster,
    read_key_checks,
)
from service.backup.catalogue import (
    SEGMENT_OCTETS,
    BackupCatalogue,
    BaseBackup,
    BaseKind,
    expired_bases,
    expired_log,
    read_catalogue,
)
from service.backup.crypt import encrypt_file, read_recipients
from service.errors import Conflict, Misconfigured
from service.settings import BackupSettings
from service.storage.postgres import connected
from service.words.phrase import Phrase, phrase

log = logging.getLogger(__name__)

MANIFEST = "backup_manifest"
DESCRIPTION = "backup.json"


def no_target(target: Path) -> Phrase:
    """What is said where the folder of the backups is away."""
    return phrase(
        "the folder of the backups {target} is not there: mount its disk or share, or make the"
        " folder",
        target=target,
    )


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def find_cluster(settings: BackupSettings) -> ClusterFacts:
    """The cluster that is copied.

    Raises:
        Misconfigured: its log cannot be copied, or the changes since a full backup not be found.
    """
    async with connected(settings.url) as conn:
        facts = await read_cluster(conn)
    if facts.segment_octets != SEGMENT_OCTETS:
        raise Misconfigured(
            phrase("segments of the log have {octets} octets here; only 16 MiB are supported: make"
                   " the cluster with initdb and no --wal-segsize", octets=facts.segment_octets)
        )  # fmt: skip
    if not facts.summarizes:
        raise Misconfigured(
            phrase(
                "PostgreSQL does not note what changes: set summarize_wal = on in postgresql.conf"
                " and reload it"
            )
        )
    return facts


def manifest_of(settings: BackupSettings, base: BaseBackup | None) -> Path | None:
    """The list of files of a full backup, as long as it lies in the work folder."""
    path = settings.work / "manifests" / base.name if base else None
    return path if path and path.exists() else None


async def take_base(
    settings: BackupSettings, kind: BaseKind, checkpoint: Literal["fast", "spread"]
) -> BaseBackup:
    """Make a base backup, check it, and put it beside the others.

    Raises:
        Conflict: another one is being made.
        Misconfigured: an incremental one has no full one to build on.
        Unavailable: one of PostgreSQL's programs failed.
    """
    read_recipients(settings.backup_recipients)
    with _alone(settings.work):
        facts = await find_cluster(settings)
        full = read_catalogue(settings.target, facts.cluster).last("full")
        made = await _copy(settings, _command(settings, kind, full, checkpoint))
        name = f"{facts.now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{kind}"
        folder = settings.target / facts.cluster / "base"
        part = folder / f".{name}.part"
        async with connected(settings.url) as conn:
            ended, checks = (await read_cluster(conn)).now, await read_key_checks(conn)
        base = BaseBackup(
            name=name,
            kind=kind,
            full=full.name if kind == "incremental" and full else name,
            cluster=facts.cluster,
            started_at=facts.now,
            ended_at=ended,
            files=await asyncio.to_thread(_encrypt, settings, made, part),
            key_checks=checks,
            superuser=facts.superuser,
            database=facts.database,
            **_range_of(json.loads((made / MANIFEST).read_text())),
        )
        _finish(part, folder / name, base)
        if kind == "full":
            _keep_manifest(settings.work, made / MANIFEST, name)
        shutil.rmtree(made)
    await _note(settings, base)
    return base


async def _note(settings: BackupSettings, base: BaseBackup) -> None:
    async with connected(settings.url) as conn:
        await note_backup(conn, base.kind, base.ended_at, base.octets)
    log.info("made a base backup", extra={"backup": base.name, "octets": base.octets})


async def _copy(settings: BackupSettings, command: list[str]) -> Path:
    """Make a base backup in the work folder, and check it."""
    made = settings.work / "base.part"
    shutil.rmtree(made, ignore_errors=True)
    await programs.run([*command, f"--pgdata={made}"], settings.url)
    verify = [programs.program("pg_verifybackup"), "--format=tar", "--no-parse-wal", "--quiet"]
    await programs.run([*verify, str(made)])
    return made


def _encrypt(settings: BackupSettings, made: Path, part: Path) -> dict[str, tuple[int, str]]:
    """Encrypt each file of a base backup into a folder that has no name yet."""
    recipients = read_recipients(settings.backup_recipients)
    shutil.rmtree(part, ignore_errors=True)
    if not part.parent.parent.is_dir():  # made when the log began: the disk is not mounted
        raise Misconfigured(no_target(settings.target))
    part.parent.mkdir(exist_ok=True, mode=0o700)
    part.mkdir(mode=0o700)
    files: dict[str, tuple[int, str]] = {}
    for path in sorted(made.iterdir()):
        to = part / f"{path.name}.age"
        files[to.name] = encrypt_file(path, to, recipients)
    return files


def _command(
    settings: BackupSettings, kind: BaseKind, full: BaseBackup | None, checkpoint: str
) -> list[str]:
    command = [
        programs.program("pg_basebackup"),
        *programs.connection_words(settings.url),
        *("--format=tar", "--compress=client-gzip:1"),
        *("--wal-method=none", f"--checkpoint={checkpoint}", "--no-estimate-size", "--no-sync"),
    ]
    if kind == "full":
        return command
    manifest = manifest_of(settings, full)
    if manifest is None:
        raise Misconfigured(
            phrase("there is no full backup that an incremental one can build on: make a full one")
        )
    return [*command, f"--incremental={manifest}"]


def _range_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Which part of the log belongs to a base backup, and how large it is unpacked."""
    (span,) = manifest["WAL-Ranges"]
    return {
        "timeline": span["Timeline"],
        "start_lsn": span["Start-LSN"],
        "end_lsn": span["End-LSN"],
        "unpacked": sum(file["Size"] for file in manifest["Files"]),
    }


def _finish(part: Path, to: Path, base: BaseBackup) -> None:
    """Give a base backup its name, once all of it is on the disk."""
    with (part / DESCRIPTION).open("w") as file:
        file.write(base.as_json())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(part)
    part.rename(to)
    sync_folder(to.parent)


def _keep_manifest(work: Path, manifest: Path, name: str) -> None:
    """Of the last full backup alone, for the incremental ones of its week."""
    folder = work / "manifests"
    folder.mkdir(mode=0o700, exist_ok=True)
    part = folder / ".part"
    shutil.copyfile(manifest, part)
    part.rename(folder / name)
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """One base backup at a time uses the work folder."""
    with (work / "base.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                phrase("a base backup is being made: wait until it has ended")
            ) from error
        yield


def throw_away(settings: BackupSettings, found: BackupCatalogue, now: datetime) -> list[str]:
    """Delete what is too old, and what nobody finished; returns the names of base backups."""
    gone = expired_bases(found.bases, now - timedelta(days=settings.backup_keep_days))
    kept = [base for base in found.bases if base not in gone]
    for base in gone:
        folder = found.files_of(base)
        hidden = folder.with_name(f".{base.name}.gone")
        folder.rename(hidden)
        shutil.rmtree(hidden)
    for piece in expired_log(found, kept):
        with suppress(FileNotFoundError):
            piece.path.unlink()
    for path in (found.folder / "base").glob(".*.gone"):
        shutil.rmtree(path, ignore_errors=True)
    return [base.name for base in gone]
