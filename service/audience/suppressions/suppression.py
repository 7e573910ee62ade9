"""Numbers that are never sent to, and the opt-out lists that carriers hand over (§11)."""

import time
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.accounts.people.model import User
from service.audience.areas.area import AreaTree
from service.audience.imports.model import Rejected
from service.audience.imports.rejects import BOM, csv_line
from service.audience.imports.rows import RefusedRecord, RowReader, Rules, SkippedRecord
from service.audience.numbers.number import to_e164
from service.audience.numbers.prefix import Prefixes
from service.audience.suppressions import suppression_store
from service.audience.suppressions.suppression_store import (
    NewSuppression,
    Suppression,
    SuppressionFilter,
)
from service.audience.tables.files import Chunks, Sheet, no_phone_column, open_source
from service.audience.tables.header import SEARCHED_RECORDS, Header, Vocabulary, find_header
from service.audience.tables.workbook_process import OF_LISTS
from service.audience.vocabulary.cells import neutral
from service.clock import written
from service.crypto import Keyring
from service.errors import FileRefused, Forbidden, Invalid
from service.ledger.message_class import CLASSES, NOTICE, REFUSABLE
from service.ledger.reasons import SUPPRESSIONS, Reason
from service.storage.locks import lock_suppressions
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

MOST_ROWS = 500_000
"""Rows of an opt-out list, blank ones and those of all sheets included."""
READ_SECONDS = 30.0
"""How long its rows may take to read, once it is unpacked."""


NOTE = "suppression_note"
"""The kind of field that a person's note is encrypted as."""

NOTICES = (NOTICE,)
"""The class of a department's work notices, the only one that is refused of one alone."""


def stopped_classes(reason: str, department_id: UUID | None = None) -> tuple[str, ...]:
    """The classes that a suppression of this reason stops where nobody says otherwise; a department
    that is named is one whose work notices alone are refused.
    """
    if department_id is not None:
        return NOTICES
    return REFUSABLE if reason == Reason.OPTED_OUT else CLASSES


def whose_notices(
    user: User, reason: str, classes: Collection[str], department_id: UUID | None
) -> UUID | None:
    """Whose work notices what a user enters stops; None: everybody's, or none at all.

    A department refuses its own for people, never another's; the county's lead those of one that
    is named, or of all.

    Raises:
        Invalid: a department is named, and nobody refuses its notices.
        Forbidden: it is not the user's own.
    """
    refused = reason == Reason.OPTED_OUT and NOTICE in classes
    if department_id is None:
        return user.scope if refused else None
    if not refused:
        problem = phrase("only an opt-out of class service is of one department's texts")
        raise Invalid(
            phrase("department_id: {problem}", problem=problem), fields={"department_id": problem}
        )
    if not user.sees(department_id):
        raise Forbidden(phrase("you may stop the notices of your own department only"))
    return department_id


class OptOuts(NamedTuple):
    """The numbers of an opt-out list in E.164, and the rows without a valid one."""

    phones: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def read_optouts(chunks: Chunks, prefixes: Prefixes, *, encoding: str | None = None) -> OptOuts:
    """The numbers of an opt-out list: a file with a phone column; other columns do not matter. It
    is read while its request waits, and bounded for that; for a thread.

    Raises:
        FileRefused: the file cannot be read as a whole, or passes a limit: code `file_too_large`.
    """
    words = Vocabulary()
    source = open_source(chunks, words, encoding=encoding, limits=OF_LISTS)
    phones: dict[str, None] = {}
    rejected: list[Rejected] = []
    limit = _Limit()
    try:
        for sheet in source.sheets:
            header = find_header(list(islice(sheet.records(), SEARCHED_RECORDS + 1)), words)
            if header is None:
                raise no_phone_column()
            only_phone = replace(header, columns={"phone": header.columns["phone"]}, refused=())
            reader = RowReader(only_phone, words, Rules(AreaTree(()), prefixes))
            _read_sheet(sheet, only_phone, reader, limit, phones, rejected)
    finally:
        source.close()
    return OptOuts(tuple(phones), tuple(rejected))


class _Limit:
    """Counts the rows of a list, and the time that they take."""

    def __init__(self) -> None:
        self._rows = 0
        self._ends_at = time.monotonic() + READ_SECONDS

    def count(self) -> None:
        """One row more.

        Raises:
            FileRefused: there are too many, or they take too long.
        """
        self._rows += 1
        if self._rows > MOST_ROWS or time.monotonic() > self._ends_at:
            raise FileRefused(
                phrase(
                    "the list has more than {most_rows:,} rows, or takes more than"
                    " {read_seconds:g} s to read; delete blank rows and other columns, or"
                    " split it into several",
                    most_rows=MOST_ROWS,
                    read_seconds=READ_SECONDS,
                ),
                code="file_too_large",
            )


def _read_sheet(
    sheet: Sheet,
    header: Header,
    reader: RowReader,
    limit: _Limit,
    phones: dict[str, None],
    rejected: list[Rejected],
) -> None:
    for row, record in header.below(sheet.records()):
        limit.count()
        verdict = reader.read(reader.cells(record))
        if isinstance(verdict, RefusedRecord):
            rejected.append(Rejected(sheet.name, row, *verdict))
        elif not isinstance(verdict, SkippedRecord):
            phones.update(dict.fromkeys(map(to_e164, verdict.numbers)))


@dataclass(frozen=True, slots=True)
class Entered:
    """How many numbers there were, and how many of them were not stopped for that reason."""

    numbers: int
    added: int


def check_new(new: NewSuppression, now: datetime) -> None:
    """Refuse what nobody can enter.

    Raises:
        Invalid: a reason that is not one of SUPPRESSIONS, or an end that has passed.
    """
    if new.reason not in SUPPRESSIONS:
        problem = phrase("write one of {reasons}", reasons=listing(SUPPRESSIONS))
        raise Invalid(phrase("reason: {problem}", problem=problem), fields={"reason": problem})
    if new.expires_at is not None and new.expires_at <= now:
        raise Invalid(
            phrase("the end has passed"), fields={"expires_at": phrase("give a later instant")}
        )


async def add_suppressions(
    conn: Connection, keyring: Keyring, phones: Iterable[str], new: NewSuppression, now: datetime
) -> Entered:
    """Stop what it stops to these numbers (E.164 or 11 digits). Once that is committed, nothing of
    it is marked as leaving for them (invariant I7). From here to the commit no mark begins: the
    caller has little left to do.

    Raises:
        Invalid: as `check_new`.
    """
    check_new(new, now)
    hashes = {keyring.phone_index(to_e164(phone)) for phone in phones}
    entered = Entered(*await suppression_store.enter_suppressions(conn, hashes, new, now))
    await lock_suppressions(conn)
    return entered


def encrypted_note(keyring: Keyring, note: str) -> bytes:
    """What is stored of a person's note, which may name somebody."""
    return keyring.encrypt(NOTE, note) if note else b""


def decrypted_note(keyring: Keyring, cipher: bytes) -> str:
    """A person's note."""
    return keyring.decrypt(NOTE, cipher) if cipher else ""


def with_note(keyring: Keyring, suppression: Suppression) -> Suppression:
    """The suppression with its note in clear, a person's or the program's."""
    cipher = suppression.note_cipher
    return replace(suppression, note=decrypted_note(keyring, cipher)) if cipher else suppression


_COLUMNS = (
    *("phone_hash", "reason", "classes", "owner", "source", "note"),
    *("created_at", "expires_at", "department"),
)


async def suppressions_csv(
    conn: Connection, keyring: Keyring, which: SuppressionFilter, zone: ZoneInfo
) -> AsyncIterator[str]:
    """The suppressions as lines of CSV for a spreadsheet: the keyed hash stands for the number."""
    yield BOM + csv_line(_COLUMNS)
    async for phone_hash, found in suppression_store.each_suppression(conn, which):
        one = with_note(keyring, found)
        expires = written(one.expires_at, zone) if one.expires_at else ""
        yield csv_line(
            (
                phone_hash.hex(),
                one.reason,
                " ".join(one.classes),
                neutral(one.owner),
                one.source,
                neutral(one.note),
                written(one.created_at, zone),
                expires,
                neutral(one.department or ""),
            )
        )
