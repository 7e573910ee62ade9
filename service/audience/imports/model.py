"""The words of a contact import: what one row says, and what is asked of an import.

Named tuples, since a county's file makes 20,000 of each and a province's five million.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.numbers.number import Repair
from service.audience.vocabulary.consent import NOTHING, Evidence
from service.audience.vocabulary.fields import TEXT_AT

BASES = ("duty", "contract_hr", "consent", "emergency")
"""Why a department may write to the people of a roster."""

MODES = ("add", "replace")
"""Whether a newer list adds to the roster, or who is not on it any more leaves."""

ReportTable = dict[str, Any]
"""The report of an import, shaped as §12 says."""

Progress = Callable[[int], Awaitable[None]]
"""Told after each batch how many rows have been read so far."""


class RosterLink(NamedTuple):
    """What one row says about each of its recipients, in stored form; equal links are one.

    texts: the free texts, in the order of `fields.TEXT_FIELDS`.
    """

    name: str
    gender: str
    age_band: str
    area: str
    carrier: str
    roles: tuple[str, ...]
    texts: tuple[str, ...]

    def text(self, code: str) -> str:
        """The free text of this code; "" if the row does not say it."""
        return self.texts[TEXT_AT[code]]


class ListedRow(NamedTuple):
    """A row with at least one valid number; `carriers` and `kinds` are those of its numbers.

    Whether a number is new to the file is found out when all rows have been staged: by number and
    content, in the database. `kind` is an index into the reading's list of kinds.
    """

    table: int
    row: int
    numbers: tuple[str, ...]
    carriers: tuple[str, ...]
    kinds: tuple[int, ...]
    link: RosterLink
    synthetic: bool
    fixes: tuple[str, ...]
    warnings: tuple[str, ...]


class Rejected(NamedTuple):
    """A row without a usable number, or about a child; the cell is kept in masked form only."""

    sheet: str
    row: int
    code: str
    masked: str
    suggestion: str | None = None
    repair: Repair | None = None


class Skipped(NamedTuple):
    """A row that is no person: blank, comment, repeated header, total."""

    sheet: str
    row: int
    code: str


RowResult = ListedRow | Rejected | Skipped


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What an uploader asks for; `expires_on` None means twelve months.

    evidence: what shows that the people of the file consented, where that is the basis.
    """

    department_id: UUID
    user_id: UUID
    roster: str
    file_name: str
    basis: str = "duty"
    expires_on: date | None = None
    encoding: str | None = None
    columns: Mapping[str, str] | None = None
    dry_run: bool = False
    mode: str = "add"
    evidence: Evidence = NOTHING


@dataclass(frozen=True, slots=True)
class Import:
    """One uploaded file: what was asked of it, and what became of it.

    While it is being read, `rows_read` grows. `undo` says what became of taking it back: `state` is
    waiting, done or refused.
    """

    id: UUID
    department_id: UUID
    created_by: UUID
    roster: str
    basis: str
    expires_on: date
    file_name: str
    file_bytes: int
    file_sha256: bytes
    encoding: str | None
    columns: Mapping[str, str] | None
    dry_run: bool
    mode: str
    state: str
    report: ReportTable | None
    created_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None
    rows_read: int
    undo: Mapping[str, Any] | None
    evidence: str
    evidence_on: date | None
    evidence_by: str
    evidence_how: str | None
    evidence_form: str
