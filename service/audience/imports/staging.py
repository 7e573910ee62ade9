"""Row results as the records that the database takes: hashed, encrypted, ready for COPY.

Phone, name, child's name and note leave here as ciphers only; look-up and uniqueness go by keyed
hash. A link's digest covers all its fields, so that the same row imported again is the same link.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from service.audience.imports.model import Link, Listed, Rejected, RowResult
from service.audience.imports.report import remark_bits
from service.audience.numbers.number import to_e164
from service.audience.numbers.prefix import is_synthetic_segment
from service.audience.vocabulary.ages import UNKNOWN
from service.audience.vocabulary.fields import read_day, role_bits, split_tags
from service.crypto import HASH_OCTETS, Keyring

TABLE_SHIFT = 32
"""A staged row's number is its table's number, shifted, and its row in that table."""


_ROLES = Link._fields.index("roles")
_LATER = Link._fields.index("college")
"""From here on are the fields that links have had since college was the first of them."""


class StagedNumber(NamedTuple):
    """One number of one row, with what the row says; the fields are the temporary table's columns.

    `no` orders the rows of the whole file, `part` the numbers of a row, of which there are `parts`.
    `content` and `name_key` tell links and names of one recipient apart (0: no name).
    """

    no: int
    part: int
    parts: int
    kind: int
    role_bits: int
    remark_bits: int
    content: int
    name_key: int
    phone_hash: bytes
    phone_cipher: bytes
    synthetic_number: bool
    recipient_carrier: str
    row_no: int
    digest: bytes
    name_cipher: bytes | None
    gender: str | None
    age_band: str | None
    area_code: str | None
    household_group: str
    roles: tuple[str, ...]
    org: str
    org_type: str
    school: str
    grade: str
    class_: str
    guardian_of_cipher: bytes | None
    carrier: str | None
    consent_basis: str
    source_dept: str
    valid_until: str
    last_day: date | None
    note_cipher: bytes | None
    college: str
    office: str
    tags: tuple[str, ...]
    synthetic: bool


class StagedReject(NamedTuple):
    """A rejected row; the fields are columns of `import_rejects`."""

    sheet: str
    row_no: int
    code: str
    masked: str
    suggestion_cipher: bytes | None


@dataclass(slots=True)
class Staged:
    """A batch of records, made of so many rows of the file."""

    rows: int = 0
    numbers: list[StagedNumber] = field(default_factory=list)
    rejects: list[StagedReject] = field(default_factory=list)


class Stager:
    """Makes records of row results under one keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        # Keyed once and copied, since a link's digest is needed for every row.
        self._digest = hashlib.blake2b(
            key=keyring.index("digests", "link"), digest_size=HASH_OCTETS
        )
        self._secret = secrets.randbits(64)

    def stage(self, results: Iterable[RowResult]) -> Staged:
        """The records of a batch of row results."""
        staged = Staged()
        for result in results:
            staged.rows += 1
            if isinstance(result, Listed):
                self._stage_listed(staged, result)
            elif isinstance(result, Rejected):
                staged.rejects.append(self._reject(result))
        return staged

    def _stage_listed(self, staged: Staged, row: Listed) -> None:
        link, keyring = row.link, self._keyring
        digest = self.digest(link)
        shown = (
            role_bits(link.roles),
            remark_bits(row.fixes, row.warnings),
            int.from_bytes(digest[:8], signed=True),
            self._name_key(link.name),
        )
        said = self._said(row, digest)
        no, parts = (row.table << TABLE_SHIFT) + row.row, len(row.numbers)
        for part, number in enumerate(row.numbers):
            phone = to_e164(number)
            staged.numbers.append(
                StagedNumber._make(
                    (
                        *(no, part, parts, row.kinds[part], *shown),
                        keyring.phone_index(phone),
                        keyring.encrypt("phone", phone),
                        is_synthetic_segment(number[:7]),
                        row.carriers[part],
                        *said,
                    )
                )
            )

    def _said(self, row: Listed, digest: bytes) -> tuple[object, ...]:
        """What the row says of each of its numbers: the fields from `row_no` on."""
        link = row.link
        return (
            row.row,
            digest,
            self._cipher("name", link.name),
            link.gender or None,
            None if link.age_band == UNKNOWN else link.age_band,
            link.area or None,
            link.group,
            link.roles,
            link.org,
            link.org_type,
            link.school,
            link.grade,
            link.class_,
            self._cipher("guardian_of", link.guardian_of),
            link.carrier or None,
            link.consent_basis,
            link.source_dept,
            link.valid_until,
            read_day(link.valid_until) if link.valid_until else None,
            self._cipher("note", link.note),
            link.college,
            link.office,
            split_tags(link.tags).tags,
            row.synthetic,
        )

    def digest(self, link: Link) -> bytes:
        """What tells a link from all others; no field holds a NUL.

        A field that came later counts where it says something: so the row of an older list is the
        link that it was.
        """
        digest = self._digest.copy()
        later = zip(Link._fields[_LATER:], link[_LATER:], strict=True)
        texts: Sequence[Any] = (
            *link[:_ROLES],
            ",".join(link.roles),
            *link[_ROLES + 1 : _LATER],
            *(f"{name}={text}" for name, text in later if text),
        )
        digest.update("\0".join(texts).encode())
        return digest.digest()

    def _name_key(self, name: str) -> int:
        """Tells the names of one recipient apart, within this import and process only."""
        return hash((self._secret, name)) or 1 if name else 0

    def _reject(self, result: Rejected) -> StagedReject:
        suggestion = result.suggestion and self._keyring.encrypt(
            "phone", to_e164(result.suggestion)
        )
        return StagedReject(
            result.sheet, result.row, result.code, result.masked, suggestion or None
        )

    def _cipher(self, kind: str, text: str) -> bytes | None:
        return self._keyring.encrypt(kind, text) if text else None
