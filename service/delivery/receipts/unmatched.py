"""Receipts that met nothing, contradict what is known, or could not be read: for a person, who may
lay them aside.

A parked one waits for its text's answer and cannot be laid aside; all others stay listed until a
person has looked at them (invariant I10). What is laid aside is kept as it was, with who and why.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID
from zoneinfo import ZoneInfo

from service.accounts.people.model import By
from service.audience.imports.rejects import BOM
from service.audience.numbers.number import mask
from service.audience.vocabulary.cells import neutral
from service.clock import written
from service.crypto import Keyring
from service.delivery.receipts import unmatched_store as store
from service.delivery.receipts.unmatched_store import Kept
from service.storage.postgres import Connection, Record

PARKED = "parked"
COLUMNS = (
    "id",
    "channel",
    "ref",
    "phone",
    "state",
    "reason",
    "code",
    "done_at",
    "received_at",
    "why",
    "messages",
    "octets",
    "copies",
)


@dataclass(slots=True)
class Dismissal:
    """How many receipts were laid aside, and why the others were not."""

    dismissed: int = 0
    skipped: list[tuple[int, str]] = field(default_factory=list)


def shown_ref(ref: bytes) -> str:
    """A carrier's reference as people read it: its characters, or hexadecimal if it has others."""
    text = ref.decode("latin-1")
    return text if text.isascii() and text.isprintable() else "0x" + ref.hex()


def shown_phone(row: Record, keyring: Keyring) -> str | None:
    """The masked number of the text that a receipt may speak of; None if there is no such text."""
    cipher = row["phone_cipher"]
    return mask(keyring.decrypt("phone", cipher)) if cipher is not None else None


async def dismiss(conn: Connection, ids: Sequence[int], scope: UUID | None, by: By) -> Dismissal:
    """Lay receipts aside; those that wait, are not there or are not in scope stay as they are."""
    found = dict(await store.lock_kept(conn, ids, scope))
    skipped = [
        (id_, "not_kept" if id_ not in found else PARKED)
        for id_ in dict.fromkeys(ids)
        if found.get(id_, PARKED) == PARKED
    ]
    aside = [id_ for id_, why in found.items() if why != PARKED]
    return Dismissal(await store.dismiss(conn, aside, by), skipped)


async def kept_csv(
    conn: Connection, keyring: Keyring, kept: Kept, zone: ZoneInfo
) -> AsyncIterator[str]:
    """All of them as the lines of a CSV for Excel: masked, and no value is a formula to it."""
    yield BOM + _line(COLUMNS)
    async for row in store.stream_kept(conn, kept):
        shown = {
            **row,
            "ref": shown_ref(row["ref"]),
            "phone": shown_phone(row, keyring) or "",
            "messages": " ".join(row["messages"]),
            "done_at": written(row["done_at"], zone) if row["done_at"] else "",
            "received_at": written(row["received_at"], zone),
            "octets": row["octets"] or "",
        }
        yield _line(neutral(str(shown[name])) for name in COLUMNS)


def _line(values: Iterable[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
