"""What was accepted and what was acknowledged: a file of JSON lines that is only appended to.

A line is with the operating system before the answer it belongs to is, so killing the simulator
loses no receipt. The file holds phone numbers in clear: they are synthetic.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import Misconfigured

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class Accepted:
    """One accepted part.

    at, due: seconds since the epoch; due is when its receipt is to be sent, None for never.
    sender: the number it came from, to which the receipt goes.
    """

    id: int
    account: str
    phone: str
    sender: str
    number: int
    total: int
    fate: str
    stat: str
    at: float
    due: float | None


class Journal:
    """The file, or nothing at all if there is no path.

    owed: what an earlier run accepted, has a receipt to come and no acknowledgement, by its id.
    last_id: of the last submit it accepted.
    """

    def __init__(self, path: Path | None) -> None:
        self._lines: list[str] = []
        self._file: int | None = None
        self.owed: dict[str, Accepted] = {}
        self.last_id = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            for entry in _lines(self._file, path):
                self._recall(entry)

    def accepted(self, part: Accepted) -> None:
        """Note an accepted submit."""
        if self._file is not None:
            entry = {
                "event": "submit",
                "at": part.at,
                "id": f"{part.id:016x}",
                "account": part.account,
                "phone": part.phone,
                "sender": part.sender,
                "number": part.number,
                "total": part.total,
                "fate": part.fate,
                "stat": part.stat,
                "due": part.due,
            }
            self._lines.append(_encode(entry))

    def acknowledged(self, message_id: int, at: float) -> None:
        """Note an acknowledged receipt."""
        if self._file is not None:
            self._lines.append(_encode({"event": "ack", "at": at, "id": f"{message_id:016x}"}))

    def flush(self) -> None:
        """Hand all notes to the operating system."""
        if self._file is not None and self._lines:
            data = ("\n".join(self._lines) + "\n").encode()
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
        key = entry["id"]
        if entry.pop("event") == "ack":
            self.owed.pop(key, None)
            return
        self.last_id = int(key, 16)
        if entry["due"] is not None:
            self.owed[key] = Accepted(**{**entry, "id": self.last_id})


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
        entry: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise Misconfigured(
            f"line {number} of the simulator's journal {path} is unreadable; "
            "move the file away to start anew"
        ) from error
    return entry
