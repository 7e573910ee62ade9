"""What lies in a folder of backups, what is missing in it, and what is due or too old.

One module: all of it follows from the names of files and from `backup.json`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from service.errors import Misconfigured
from service.words.phrase import phrase

SEGMENT_OCTETS = 16 * 1024 * 1024
"""The length of a segment of the write-ahead log; `initdb` makes no other unless it is told to."""

KEPT_FULL = 2
"""So many full backups are kept, however old they are."""

FULL_AFTER = timedelta(days=6, hours=12)
"""A night makes a full backup if the last one is older than this: one a week, at a fixed hour."""

BASE_LATE = timedelta(hours=26)
LOG_LATE = timedelta(minutes=5)
"""Older than this, the last base backup and the last piece of the log are a fault."""

BaseKind = Literal["full", "incremental"]

_PIECE = re.compile(r"([0-9A-F]{24})(\.partial)?\.gz\.age|([0-9A-F]{8}\.history)\.gz\.age")


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A copy of the data folder. full: the name of the full one that it builds on, its own for a
    full one. Instants are by the server's clock. files: octets and SHA-256 of each encrypted file.
    unpacked: octets of all that is in it. key_checks: what the database kept of its master keys.
    """

    name: str
    kind: BaseKind
    full: str
    cluster: str
    timeline: int
    start_lsn: str
    end_lsn: str
    started_at: datetime
    ended_at: datetime
    unpacked: int
    files: Mapping[str, tuple[int, str]]
    key_checks: Mapping[int, bytes]
    superuser: str
    database: str

    @property
    def first_segment(self) -> int:
        """The number of the segment of the log with which it begins."""
        return segment_of(self.start_lsn)

    @property
    def octets(self) -> int:
        """What its files take."""
        return sum(octets for octets, _ in self.files.values())

    def as_json(self) -> str:
        """What `backup.json` holds."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "name"}
        fields["key_checks"] = {str(n): value.hex() for n, value in self.key_checks.items()}
        return json.dumps(fields, default=datetime.isoformat, indent=1)


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A segment of the log. partial: the last one, as far as it was written at `at`."""

    name: str
    path: Path
    partial: bool
    at: datetime

    @property
    def number(self) -> int:
        """Its place in the log, whatever its timeline."""
        return int(self.name[8:16], 16) * 256 + int(self.name[16:], 16)


class Gap(NamedTuple):
    """Segments that are not there: by number, first and last. since: when the one before ended."""

    first: int
    last: int
    since: datetime

    @property
    def names(self) -> str:
        """The first and the last of them, as the log calls them, without the timeline."""
        names = [f"{n // 256:08X}{n % 256:08X}" for n in (self.first, self.last)]
        return " … ".join(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class BackupCatalogue:
    """The backups of one cluster, from old to new, and its log in the order of its segments."""

    folder: Path
    bases: Sequence[BaseBackup] = ()
    log: Sequence[LogPiece] = ()
    histories: Sequence[Path] = ()

    def last(self, kind: BaseKind | None = None) -> BaseBackup | None:
        """The youngest base backup, of a kind or of any."""
        return next((b for b in reversed(self.bases) if kind in (None, b.kind)), None)

    def named(self, name: str) -> BaseBackup | None:
        """The base backup of this name."""
        return next((base for base in self.bases if base.name == name), None)

    def files_of(self, base: BaseBackup) -> Path:
        """The folder of a base backup."""
        return self.folder / "base" / base.name

    def gaps(self, first: int) -> list[Gap]:
        """What the log lacks between a segment and its last one. A part of a segment serves only at
        the end.
        """
        found, expected, since = [], first, datetime.fromtimestamp(0, UTC)
        last = max((piece.number for piece in self.log), default=first)
        for piece in self.log:
            if piece.number < expected or (piece.partial and piece.number != last):
                continue
            if piece.number > expected:
                found.append(Gap(expected, piece.number - 1, since))
            expected, since = piece.number + 1, piece.at
        return found


def segment_of(lsn: str) -> int:
    """The number of the segment that has a place in the log, such as 0/3000028."""
    return _octet_of(lsn) // SEGMENT_OCTETS


def _octet_of(lsn: str) -> int:
    high, low = (int(part, 16) for part in lsn.split("/"))
    return (high << 32) | low


def leads_through(history: str, base: BaseBackup) -> bool:
    """Whether a timeline begins after a base backup and on its branch. history: what PostgreSQL
    writes into the timeline's `.history`, a line for each one before it: its number, and the place
    in the log where it was left.
    """
    lines = (line.split() for line in history.splitlines() if line[:1].isdigit())
    left = {int(number): place for number, place, *_ in lines}
    place = left.get(base.timeline)
    return place is not None and _octet_of(base.end_lsn) <= _octet_of(place)


def clusters(target: Path) -> list[str]:
    """The clusters of which there are backups.

    Raises:
        Misconfigured: there is no such folder.
    """
    try:
        return sorted(path.name for path in target.iterdir() if path.name.isdigit())
    except OSError as error:
        raise Misconfigured(
            phrase(
                "the folder of the backups {target} cannot be read: mount its disk or share,"
                " or correct TOCSIN_BACKUP_FOLDER",
                target=target,
            )
        ) from error


def read_newest(target: Path) -> BackupCatalogue:
    """The backups of the cluster of which something came last.

    Raises:
        Misconfigured: there is no such folder, or no backup in it.
    """
    found = [read_catalogue(target, cluster) for cluster in clusters(target)]
    if not found:
        raise Misconfigured(
            phrase("there is no backup in {target} yet: run `tocsin backup run`", target=target)
        )
    return max(found, key=_last_change)


def _last_change(found: BackupCatalogue) -> datetime:
    instants = [piece.at for piece in found.log] + [base.ended_at for base in found.bases]
    return max(instants, default=datetime.fromtimestamp(0, UTC))


def read_catalogue(target: Path, cluster: str) -> BackupCatalogue:
    """What there is of a cluster.

    Raises:
        Misconfigured: a base backup does not say what it is.
    """
    folder = target / cluster
    bases = [
        _read_base(path)
        for path in sorted((folder / "base").glob("[0-9]*"))
        if (path / "backup.json").exists()
    ]
    log, histories = [], []
    for path in sorted((folder / "log").glob("[0-9A-F]*")):
        if (match := _PIECE.fullmatch(path.name)) is None:
            continue
        if match[3]:
            histories.append(path)
        elif piece := _read_piece(path, match[1]):
            log.append(piece)
    log.sort(key=lambda piece: (piece.number, piece.partial, piece.name))
    return BackupCatalogue(folder, sorted(bases, key=lambda b: b.ended_at), log, histories)


def whole_path(path: Path) -> Path:
    """Where a segment of the log is once it is written to its end."""
    return path.with_name(path.name.replace(".partial.", "."))


def _read_piece(path: Path, name: str) -> LogPiece | None:
    """None for one that retention has just deleted. A partial one goes when the whole is there."""
    for there in dict.fromkeys((path, whole_path(path))):
        with suppress(FileNotFoundError):
            at = datetime.fromtimestamp(there.stat().st_mtime, UTC)
            return LogPiece(name, there, ".partial." in there.name, at)
    return None


def _read_base(folder: Path) -> BaseBackup:
    try:
        fields: dict[str, Any] = json.loads((folder / "backup.json").read_text())
        for name in ("started_at", "ended_at"):
            fields[name] = datetime.fromisoformat(fields[name])
        fields["files"] = {name: (int(n), str(d)) for name, (n, d) in fields["files"].items()}
        checks = fields["key_checks"].items()
        fields["key_checks"] = {int(n): bytes.fromhex(value) for n, value in checks}
        return BaseBackup(name=folder.name, **fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(
            phrase(
                "{path} cannot be read: take it from another copy of the backups, or move its"
                " folder away and use an older base backup",
                path=folder / "backup.json",
            )
        ) from error


def due(
    found: BackupCatalogue, night: datetime, *, manifest: bool, timeline: int
) -> BaseKind | None:
    """Which base backup must be made now, if any.

    night: the last instant at which one is made. manifest: whether the list of files of the last
    full one is there, without which nothing can build on it. timeline: the server's; after a
    restore it is a new one, which the last full one may not lead to.
    """
    full, last = found.last("full"), found.last()
    if full is None or last is None or not manifest or full.timeline != timeline:
        return "full"
    if found.gaps(last.first_segment):
        return "full"
    if last.started_at >= night:
        return None
    return "full" if night - full.started_at >= FULL_AFTER else "incremental"


def expired_bases(bases: Sequence[BaseBackup], oldest: datetime) -> list[BaseBackup]:
    """What is thrown away: ended before an instant, and not one of the last full ones. What builds
    on a full backup goes with it.
    """
    fulls = [base for base in bases if base.kind == "full"]
    gone = {b.name for b in fulls[: max(0, len(fulls) - KEPT_FULL)] if b.ended_at < oldest}
    kept = {base.name for base in fulls} - gone
    return [
        base
        for base in bases
        if base.full not in kept or (base.kind == "incremental" and base.ended_at < oldest)
    ]


def expired_log(found: BackupCatalogue, kept: Iterable[BaseBackup]) -> list[LogPiece]:
    """The pieces of the log that no base backup which is kept needs."""
    first = min((base.first_segment for base in kept), default=0)
    return [piece for piece in found.log if piece.number < first]


def find_faults(found: BackupCatalogue, now: datetime) -> list[str]:
    """What is wrong with the backups of a cluster, a sentence each; nothing: all is well."""
    faults: list[str] = []
    base, log = found.last(), found.log[-1] if found.log else None
    if base is None:
        faults.append(phrase("there is no base backup: look at the log of `tocsin backup run`"))
    elif now - base.ended_at > BASE_LATE:
        faults.append(
            phrase(
                "the last base backup is older than 26 hours: look at the log of"
                " `tocsin backup run`, and whether its folder has room"
            )
        )
    if log is None or now - log.at > LOG_LATE:
        faults.append(
            phrase(
                "nothing of the log came in the last 5 minutes: see whether `tocsin backup run`"
                " and the database are running"
            )
        )
    if base is not None:
        faults += [
            phrase(
                "the log lacks {segments}: what was committed between then and the next base"
                " backup cannot be restored; that backup is made by itself",
                segments=gap.names,
            )
            for gap in found.gaps(_first_needed(found))
        ]
    return faults


def _first_needed(found: BackupCatalogue) -> int:
    """The segment from which on a recovery from the last full backup reads."""
    full = found.last("full") or found.bases[-1]
    return full.first_segment
