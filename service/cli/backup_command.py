"""`tocsin backup`: copy the database to another disk, and say how old the copies are."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.backup.base import take_base
from service.backup.catalogue import (
    BackupCatalogue,
    BaseBackup,
    BaseKind,
    find_faults,
    read_newest,
)
from service.backup.crypt import make_key
from service.backup.keeper import check_folders, keep_backups
from service.crypto import Keyring, read_key_file
from service.runtime import compare_keys
from service.settings import read_backup_settings
from service.words.catalogues import of_shell
from service.words.phrase import Phrase, phrase, told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    key = commands.add_parser(
        "key",
        help=phrase(
            "make the private key that reads backups, on another machine; prints the public one"
        ),
    )
    key.add_argument("file", type=Path, help=phrase("a file that is not there yet"))
    key.set_defaults(run=lambda options: print(make_key(options.file)))
    keep = commands.add_parser(
        "run",
        help=phrase("copy the log as it comes and make a base backup each night, until stopped"),
    )
    keep.set_defaults(run=_run, log_level="INFO")
    now = commands.add_parser("now", help=phrase("make a base backup now, beside `run`"))
    now.add_argument("--full", action="store_true", help=phrase("make it a full one"))
    now.set_defaults(run=_now)
    status = commands.add_parser(
        "status",
        help=phrase(
            "how old the backups are; exit code 1 if they are too old or the log has a gap"
        ),
    )
    status.add_argument("--folder", type=Path, help=phrase("instead of TOCSIN_BACKUP_FOLDER"))
    status.add_argument("--key-file", type=Path, help=phrase("say whether this master key fits"))
    status.set_defaults(run=_status)


def _run(_: argparse.Namespace) -> None:
    asyncio.run(keep_backups(read_backup_settings()))


def _now(options: argparse.Namespace) -> None:
    settings = read_backup_settings()
    check_folders(settings)
    kind: BaseKind = "full" if options.full else "incremental"
    base = asyncio.run(take_base(settings, kind, "fast"))
    print(base.name)


def _status(options: argparse.Namespace) -> int:
    target = options.folder or read_backup_settings().target
    found, now, language = read_newest(target), datetime.now(UTC), of_shell()
    for line in _lines(found, now):
        print(told(line, language))
    faults = find_faults(found, now)
    for fault in faults:
        print(told(fault, language), file=sys.stderr)
    if options.key_file is not None and (base := found.last()) is not None:
        print(told(_fits(base, options.key_file), language))
    return 1 if faults else 0


def _fits(base: BaseBackup, key_file: Path) -> Phrase:
    """Whether a master key is the one of a backup; raises `Misconfigured` if it is not."""
    keyring = Keyring(read_key_file(key_file))
    if not base.key_checks:
        return phrase("{name} was made before the database had a master key", name=base.name)
    compare_keys(base.key_checks, keyring)
    return phrase("the master key fits {name}", name=base.name)


def _lines(found: BackupCatalogue, now: datetime) -> list[Phrase]:
    """What there is, a line each."""
    log = found.log[-1] if found.log else None
    return [
        phrase("cluster {cluster}", cluster=found.folder.name),
        phrase("last full backup: {base}", base=_shown(found.last("full"), now)),
        phrase("last incremental backup: {base}", base=_shown(found.last("incremental"), now)),
        phrase(
            "last piece of the log: {piece}",
            piece=phrase("{name}, {age} old", name=log.name, age=_age(now - log.at))
            if log
            else phrase("none"),
        ),
        phrase(
            "{bases} base backups, {pieces} pieces of the log",
            bases=len(found.bases),
            pieces=len(found.log),
        ),
    ]


def _shown(base: BaseBackup | None, now: datetime) -> Phrase:
    if base is None:
        return phrase("none")
    return phrase(
        "{name}, {age} old, {size:.1f} MiB",
        name=base.name,
        age=_age(now - base.ended_at),
        size=base.octets / (1 << 20),
    )


def _age(age: timedelta) -> Phrase:
    seconds = max(0, int(age.total_seconds()))
    if seconds < 120:
        return phrase("{seconds} s", seconds=seconds)
    hours, minutes = divmod(seconds // 60, 60)
    return phrase("{hours} h {minutes} min", hours=hours, minutes=minutes)
