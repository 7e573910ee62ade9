"""A database is put together again from its backups, as it was at an instant.

The last base backup that ended before the instant is decrypted, checked by `pg_verifybackup` and
put together by `pg_combinebackup`; PostgreSQL reads the log up to the instant. Nothing of the
running system is touched: all of it happens in one folder.
"""

import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

from service.backup import programs
from service.backup.base import MANIFEST
from service.backup.catalogue import (
    SEGMENT_OCTETS,
    BackupCatalogue,
    BaseBackup,
    Gap,
    LogPiece,
    leads_through,
    read_newest,
    whole_path,
)
from service.backup.crypt import (
    Identities,
    damaged,
    decrypt_compressed,
    decrypt_file,
    read_identities,
)
from service.backup.recovery import recovered
from service.errors import Misconfigured
from service.local.embedded import prepare_folder
from service.words.phrase import phrase

ROOM_FACTOR = 1.2
"""So much more room is asked for than all files that are written need."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore reads. chain: the full backup, and the incremental one on it, if one is used.
    log: from the beginning of the last of them on.
    """

    found: BackupCatalogue
    chain: tuple[BaseBackup, ...]
    log: tuple[LogPiece, ...]
    at: datetime | None

    @property
    def base(self) -> BaseBackup:
        """The backup whose state is the beginning."""
        return self.chain[-1]

    @property
    def octets(self) -> int:
        """How much room it needs."""
        files = sum(base.unpacked + base.octets for base in self.chain)
        return int(ROOM_FACTOR * (files + len(self.log) * SEGMENT_OCTETS))


def plan_restore(target: Path, at: datetime | None) -> RestorePlan:
    """Choose what is read; at: None for all that there is.

    Raises:
        Misconfigured: no base backup ended before the instant, or something is missing; says what
            can be done.
    """
    found = read_newest(target)
    usable = [base for base in found.bases if at is None or base.ended_at <= at]
    if not usable:
        first = found.bases[0].ended_at.isoformat() if found.bases else "–"
        raise Misconfigured(
            phrase(
                "no base backup in {folder} ended before that instant: the first one that can be"
                " restored is {first}",
                folder=found.folder,
                first=first,
            )
        )
    base = usable[-1]
    full = found.named(base.full)
    if full is None:
        raise Misconfigured(
            phrase(
                "the full backup {full}, on which {name} builds, is missing: put its folder back,"
                " or move the folder {name} away, so that an older one is taken",
                full=base.full,
                name=base.name,
            )
        )
    chain = (full,) if base.name == full.name else (full, base)
    return RestorePlan(found, chain, _needed_log(found, base, at), at)


def _needed_log(
    found: BackupCatalogue, base: BaseBackup, at: datetime | None
) -> tuple[LogPiece, ...]:
    """From the beginning of the base backup up to that of the next one of its timeline, which began
    later than the instant; up to what is missing, if that came after the instant.
    """
    later = [
        other.first_segment
        for other in found.bases
        if at and other.started_at > at and other.timeline == base.timeline
    ]
    pieces = [piece for piece in found.log if piece.number >= base.first_segment]
    end = min(later, default=None)
    if end is not None:
        pieces = [piece for piece in pieces if piece.number <= end]
    gaps = [gap for gap in found.gaps(base.first_segment) if end is None or gap.first <= end]
    if not pieces or pieces[0].number > base.first_segment:
        number = base.first_segment
        gaps.insert(0, Gap(number, number, base.started_at))
    if gaps:
        gap = gaps[0]
        if at is None or gap.since < at:
            raise Misconfigured(_say_gap(gap))
        pieces = [piece for piece in pieces if piece.number < gap.first]
    return tuple(pieces)


def _say_gap(gap: Gap) -> str:
    return phrase(
        "the log lacks {segments}: put these files back from another copy of the backups, or"
        " restore to an instant before {since}, when the last piece before them was written",
        segments=gap.names,
        since=gap.since.isoformat(timespec="seconds"),
    )


class Restore:
    """One restore into a folder. tell: is told each step, and how far it is, as sentences."""

    def __init__(
        self, plan: RestorePlan, folder: Path, identity: Path, tell: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.identities = read_identities(identity)
        self.folder = self._empty(folder)
        self.tell = tell

    def _empty(self, folder: Path) -> Path:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Misconfigured(
                phrase("{folder} is not empty: give --into a new folder", folder=folder)
            )
        made = prepare_folder(folder)
        free = shutil.disk_usage(made).free
        if free < self.plan.octets:
            raise Misconfigured(
                phrase(
                    "the restore needs {needed} MiB, and {folder} has {free}: give --into a folder"
                    " on a larger disk",
                    needed=-(-self.plan.octets // (1 << 20)),
                    folder=made,
                    free=free >> 20,
                )
            )
        return made

    def unpack(self) -> None:
        """Make FOLDER/data and FOLDER/log.

        Raises:
            Misconfigured: a file is cut, changed, or encrypted to another key.
            Unavailable: one of PostgreSQL's programs failed.
        """
        parts = [self._unpack_base(base) for base in self.plan.chain]
        data = self.folder / "data"
        if len(parts) == 1:
            parts[0].rename(data)
        else:
            self.tell(phrase("put together: {count} backups", count=len(parts)))
            combine = [programs.program("pg_combinebackup"), "--link", f"--output={data}"]
            programs.run_now([*combine, *map(str, parts)])
            for part in parts:
                shutil.rmtree(part)
        data.chmod(0o700)
        (data / "pg_wal").mkdir(mode=0o700, exist_ok=True)
        self._unpack_log()

    def _unpack_base(self, base: BaseBackup) -> Path:
        self.tell(phrase("decrypts and checks {name}", name=base.name))
        to = self.folder / base.name
        to.mkdir(mode=0o700)
        for name, (octets, digest) in base.files.items():
            source = self.plan.found.files_of(base) / name
            _check_whole(source, octets, digest)
            plain = self.folder / source.stem
            decrypt_file(source, plain, self.identities)
            if plain.name == MANIFEST:
                plain.rename(to / MANIFEST)
            else:
                with tarfile.open(plain, "r:gz") as archive:
                    archive.extractall(to, filter="data")
                plain.unlink()
        verify = [programs.program("pg_verifybackup"), "--no-parse-wal", "--quiet", str(to)]
        programs.run_now(verify)
        return to

    def _unpack_log(self) -> None:
        folder = self.folder / "log"
        folder.mkdir(mode=0o700)
        for path in self.plan.found.histories:
            name = path.name.removesuffix(".gz.age")
            (folder / name).write_bytes(decrypt_compressed(path, self.identities))
        count = len(self.plan.log)
        for done, piece in enumerate(self.plan.log, 1):
            if not piece.partial or not (folder / piece.name).exists():
                (folder / piece.name).write_bytes(read_segment(piece, self.identities))
            if done == count or done % 100 == 0:
                self.tell(phrase("log decrypted: {done} of {count}", done=done, count=count))

    @contextmanager
    def started(self, timeline: str = "latest") -> Iterator[str]:
        """The recovered server, for as long as the block runs; gives its address. timeline, errors:
        as for `recovered`, and Misconfigured where the timeline does not lead through the backup.
        """
        self._check_branch(timeline)
        count, told = len(self.plan.log), 0

        def tell(done: int) -> None:
            nonlocal told
            done = min(done, count)  # a piece may be read again
            if done > told:
                told = done
                self.tell(phrase("log recovered: {done} of {count}", done=done, count=count))

        with recovered(self.folder, self.plan.base, self.plan.at, timeline, tell) as url:
            yield url

    def _check_branch(self, timeline: str) -> None:
        """PostgreSQL would look for the end of the backup in the other branch's log, and advise to
        remove what says where the backup begins.
        """
        base = self.plan.base
        known = {int(path.stem, 16): path for path in (self.folder / "log").glob("*.history")}
        followed = {"latest": max(known, default=base.timeline), "current": base.timeline}
        number = followed[timeline] if timeline in followed else int(timeline)
        if number in known and number != base.timeline:
            if leads_through(known[number].read_text(), base):
                return
            raise Misconfigured(
                phrase(
                    "this instant is on a branch that a later restore left: give --timeline current"
                    " to follow that branch, or another instant"
                )
            )

    def tidy(self) -> None:
        """Leave the data folder alone, once it is recovered."""
        shutil.rmtree(self.folder / "log", ignore_errors=True)


def _check_whole(source: Path, octets: int, digest: str) -> None:
    if not source.exists():
        raise Misconfigured(
            phrase(
                "{path} is missing: put it back from another copy of the backups, or move its"
                " folder away, so that an older base backup is taken",
                path=source,
            )
        )
    with source.open("rb") as file:
        if source.stat().st_size != octets or file_digest(file, "sha256").hexdigest() != digest:
            raise Misconfigured(damaged(source))


def read_segment(piece: LogPiece, identities: Identities) -> bytes:
    """A segment of the log; one that was partial and has come to its end meanwhile, whole."""
    if piece.partial:
        with suppress(FileNotFoundError):
            return decrypt_compressed(piece.path, identities)
    return decrypt_compressed(whole_path(piece.path), identities)
