"""`tocsin restore`: put the database together from its backups, and prove that it is whole."""

import argparse
import asyncio
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from service.backup.contents import DatabaseContents, look_into
from service.backup.restore import Restore, plan_restore
from service.clock import parse_instant, written
from service.crypto import Keyring, read_key_file
from service.ledger.state_words import MESSAGE_STATES
from service.ledger.states import MessageState
from service.settings import BackupSettings, clock_of_environment, read_backup_settings
from service.words.catalogues import of_shell
from service.words.phrase import Phrase, listing, phrase, told
from service.words.terms import term


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin restore`."""
    parser.add_argument(
        "--at",
        help=phrase(
            "the last instant that is kept, e.g. 2027-01-12T09:30:00+08:00; without it all "
            "that there is"
        ),
    )
    parser.add_argument(
        "--into", type=Path, required=True, help=phrase("a folder that is not there yet")
    )
    parser.add_argument(
        "--identity", type=Path, required=True, help=phrase("the private key of backups")
    )
    parser.add_argument("--folder", type=Path, help=phrase("instead of TOCSIN_BACKUP_FOLDER"))
    parser.add_argument(
        "--key-file",
        type=Path,
        help=phrase(
            "the master key; default: TOCSIN_KEY_FILE. Without it, neither the keys nor the "
            "audit trail are checked"
        ),
    )
    parser.add_argument(
        "--timeline",
        type=_timeline,
        default="latest",
        help=phrase(
            "the branch that is followed after a restore: latest, current (that of the base "
            "backup) or a number"
        ),
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=phrase("throw it away after the checks: the monthly drill"),
    )
    parser.add_argument(
        "--stay",
        action="store_true",
        help=phrase("leave the server running until Ctrl-C, and print its address"),
    )
    parser.set_defaults(run=_restore)


def _timeline(text: str) -> str:
    if text in ("latest", "current") or (text.isascii() and text.isdigit()):
        return text
    raise argparse.ArgumentTypeError(phrase("write latest, current or a number"))


def _restore(options: argparse.Namespace) -> int:
    settings, language = read_backup_settings(), of_shell()

    def tell(sentence: str) -> None:
        print(told(sentence, language), file=sys.stderr, flush=True)

    keyring = _keyring(options.key_file)
    at = parse_instant(options.at) if options.at else None
    plan = plan_restore(options.folder or settings.target, at)
    restore = Restore(plan, options.into, options.identity, tell)
    try:
        restore.unpack()
        with restore.started(options.timeline) as url:
            now = clock_of_environment().now()
            contents = asyncio.run(look_into(url, keyring, now))
            for line in _lines(contents, keyring is not None, settings):
                print(told(line, language))
            for fault in contents.faults:
                tell(fault)
            if options.stay:
                _stay(url)
        if not options.check:
            restore.tidy()
            data = restore.folder / "data"
            print(told(phrase("restored into {data}, and stopped", data=data), language))
    finally:
        if options.check:
            shutil.rmtree(restore.folder, ignore_errors=True)
    return 1 if contents.faults else 0


def _keyring(given: Path | None) -> Keyring | None:
    path = given or os.environ.get("TOCSIN_KEY_FILE")
    return Keyring(read_key_file(Path(path))) if path else None


def _stay(url: str) -> None:
    """Print the address and wait for SIGINT or SIGTERM."""
    ended = threading.Event()
    for sign in (SIGINT, SIGTERM):
        signal(sign, lambda *_: ended.set())
    print(url, flush=True)
    ended.wait()


def _lines(contents: DatabaseContents, keyed: bool, settings: BackupSettings) -> Iterator[Phrase]:
    """What the database holds, a line each."""
    last = contents.last
    yield phrase("last transaction: {at}", at=_instant(last, settings) if last else "–")
    yield phrase("migrations: {count}", count=contents.migrations)
    yield phrase("open runs: {count}", count=len(contents.runs))
    for run in contents.runs:
        states = [
            phrase("{state} {count}", state=MESSAGE_STATES[MessageState(state)], count=count)
            for state, count in run.states.items()
        ]
        yield phrase(
            "run {run_id} ({state}): {target} people: {states}",
            run_id=run.run_id,
            state=term(run.state),
            target=run.target,
            states=listing(states),
        )
    if contents.trail is not None:
        yield phrase(
            "audit trail: {entries} entries as they were sealed, {waiting} not sealed yet",
            entries=contents.trail.entries,
            waiting=contents.trail.waiting,
        )
    elif not keyed:
        yield phrase("without --key-file, neither the master key nor the audit trail was checked")
    if not contents.faults:
        yield phrase("nothing is wrong")


def _instant(at: datetime, settings: BackupSettings) -> str:
    return written(at, settings.zone)
