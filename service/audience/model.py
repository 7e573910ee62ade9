"""The words of a contact import: what one row says, and what becomes of it (import rules §10).

Named tuples, since a county's file makes 20,000 of each and a province's five million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

BASES = ("duty", "contract_hr", "consent", "emergency")
"""Why a department may write to the people of a roster."""

Report = dict[str, Any]
"""The report of an import, shaped as §12 says."""


class Link(NamedTuple):
    """What one row says about each of its recipients, in stored form; equal links are one."""

    name: str
    gender: str
    age_band: str
    area: str
    carrier: str
    roles: tuple[str, ...]
    group: str
    org: str
    org_type: str
    school: str
    grade: str
    class_: str
    guardian_of: str
    consent_basis: str
    source_dept: str
    valid_until: str
    note: str


class Origin(NamedTuple):
    """The row that made a recipient."""

    sheet: str
    row: int


class Recipient(NamedTuple):
    """A number that no earlier row of the file has, and the carrier that serves it."""

    number: str
    carrier: str


class Accepted(NamedTuple):
    """A row that made a recipient (`new`) or told more of a known one (`linked`)."""

    sheet: str
    row: int
    numbers: tuple[str, ...]
    link: Link
    synthetic: bool
    fixes: tuple[str, ...]
    warnings: tuple[str, ...]
    new: tuple[Recipient, ...]
    linked: tuple[str, ...]
    suppressed: tuple[str, ...]
    merged: str | None = None
    origin: Origin | None = None


class Duplicate(NamedTuple):
    """A row that says nothing that an earlier row did not say."""

    sheet: str
    row: int
    numbers: tuple[str, ...]
    origin: Origin


class Rejected(NamedTuple):
    """A row without a usable number, or about a child; the cell is kept in masked form only."""

    sheet: str
    row: int
    code: str
    masked: str
    suggestion: str | None = None


class Skipped(NamedTuple):
    """A row that is no person: blank, comment, repeated header, total."""

    sheet: str
    row: int
    code: str


RowResult = Accepted | Duplicate | Rejected | Skipped


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What an uploader asks for; `expires_on` None means twelve months."""

    department_id: UUID
    user_id: UUID
    roster: str
    file_name: str
    basis: str = "duty"
    expires_on: date | None = None
    encoding: str | None = None
    columns: Mapping[str, str] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """One uploaded file: what was asked of it, and what became of it."""

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
    state: str
    report: Report | None
    created_at: datetime
    finished_at: datetime | None
