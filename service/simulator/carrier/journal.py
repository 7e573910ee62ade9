"""What was accepted and what was acknowledged: a file of JSON lines that is only appended to.

A line is with the operating system before the answer it belongs to is, so killing the simulator
loses no receipt. The file holds phone numbers in clear: they are synthetic. docs/simulator.md has
the format.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from service.errors import Misconfigured
from service.words.phrase import phrase

_quoted = json.encoder.encode_basestring
"""A text as JSON, characters beyond ASCII as they are. A line is put together by hand, since an
encoder costs more than all the rest of the journal."""

_LEGACY_SEQUENCE_MASK = 0xFFFF
"""Journals that have no `sequence` are of CMPP alone, which keeps it in these bits of its ids."""


@dataclass(slots=True)
class Accepted:
    """One accepted part for one recipient.

    id: the reference, as raw octets. sequence: the number it was made of, or of the last before.
    at, due: seconds since the epoch; due is when its receipt is to be sent, None for never.
    sender: the number it came from, to which the receipt goes.
    digest: of the characters: equal for equal texts. text: "" unless asked for. shared: whether
    other recipients have the same id. callback: where its statuses go, if the submit said so.
    """

    id: bytes
    account: str
    phone: str
    sender: str
    number: int
    total: int
    fate: str
    stat: str
    at: float
    due: float | None
    protocol: str = "cmpp"
    sequence: int = 0
    digest: str = ""
    text: str = ""
    shared: bool = False
    callback: str = ""


_FIELDS = [field.name for field in fields(Accepted)]
_NEEDED = {"event", *(field.name for field in fields(Accepted) if field.default is MISSING)}
"""What every submit says, in journals of all ages."""


class Journal:
    """The file, or nothing at all if there is no path.

    owed: what an earlier run accepted, has a receipt to come and no acknowledgement.
    last_sequence: of the last submit it accepted.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lines: list[str] = []
        self._file: int | None = None
        self.owed: dict[str, Accepted] = {}
        self.last_sequence = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            for entry in _lines(self._file, path):
                self._recall(entry)

    def accepted(self, part: Accepted) -> None:
        """Note an accepted submit."""
        if self._file is None:
            return
        due = "null" if part.due is None else part.due
        line = (
            f'{{"event":"submit","at":{part.at},"id":"{part.id.hex()}"'
            f',"protocol":"{part.protocol}","account":{_quoted(part.account)}'
            f',"phone":"{part.phone}","sender":{_quoted(part.sender)}'
            f',"number":{part.number},"total":{part.total}'
            f',"fate":"{part.fate}","stat":"{part.stat}","due":{due}'
            f',"sequence":{part.sequence},"digest":"{part.digest}"'
        )
        if part.text:
            line += f',"text":{_quoted(part.text)}'
        if part.callback:
            line += f',"callback":{_quoted(part.callback)}'
        if part.shared:
            line += ',"shared":true'
        self._lines.append(line + "}\n")

    def acknowledged(self, message_id: bytes, at: float, phone: str = "") -> None:
        """Note an acknowledged receipt; with its phone if others share the id."""
        if self._file is not None:
            whose = f',"phone":"{phone}"' if phone else ""
            self._lines.append(f'{{"event":"ack","at":{at},"id":"{message_id.hex()}"{whose}}}\n')

    def flush(self) -> None:
        """Hand all notes to the operating system."""
        if self._file is not None and self._lines:
            data = "".join(self._lines).encode()
            self._lines.clear()
            while data:
                data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _recall(self, entry: dict[str, Any]) -> None:
        if entry.pop("event") == "ack":
            self.owed.pop(_key(entry["id"], entry.get("phone", "")), None)
            return
        octets = bytes.fromhex(entry["id"])
        legacy = int.from_bytes(octets, "big") & _LEGACY_SEQUENCE_MASK
        self.last_sequence = entry.get("sequence", legacy)
        if entry["due"] is not None:
            key = _key(entry["id"], entry["phone"] if entry.get("shared") else "")
            known = {name: entry[name] for name in _FIELDS if name in entry}
            self.owed[key] = Accepted(**{**known, "id": octets})


def submits(path: Path) -> Iterator[dict[str, Any]]:
    """Every accepted submit in a journal, in the order of acceptance, one at a time.

    A last line that is not whole yet is left out, so a journal in use can be read.

    Raises:
        Misconfigured: the file cannot be read, or a line is not a journal's.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.endswith(b"\n"):
                    entry = _entry(line, number, path)
                    if entry["event"] == "submit":
                        yield entry
    except OSError as error:
        raise Misconfigured(
            phrase(
                "the simulator's journal {path} cannot be read: {strerror}",
                path=path,
                strerror=error.strerror,
            )
        ) from error


def _key(hexadecimal: str, phone: str) -> str:
    return f"{hexadecimal}/{phone}"


def _lines(file: int, path: Path) -> Iterator[dict[str, Any]]:
    """Every entry; a last line without its end was torn by a kill, and is cut off."""
    with os.fdopen(os.dup(file), "rb") as lines:
        whole = 0
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            yield _entry(line, number, path)
    os.ftruncate(file, whole)


def _entry(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or not _is_whole(entry):
        raise Misconfigured(
            phrase(
                "line {number} of the simulator's journal {path} is unreadable; move the"
                " file away to start anew",
                number=number,
                path=path,
            )
        )
    return entry


def _is_whole(entry: dict[str, Any]) -> bool:
    needed = _NEEDED if entry.get("event") == "submit" else {"event", "id"}
    try:
        bytes.fromhex(entry["id"])
    except (KeyError, TypeError, ValueError):
        return False
    return entry.keys() >= needed
