"""Row results as the records that the database takes: hashed, encrypted, ready for COPY.

Phone, name, child's name and note leave here as ciphers only; look-up and uniqueness go by keyed
hash. A link's digest covers all its fields, so that the same row imported again is the same link.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from service.audience.imports.model import ListedRow, Rejected, RosterLink, RowResult
from service.audience.imports.report import remark_bits
from service.audience.numbers.number import Repair, to_e164
from service.audience.numbers.prefix import is_synthetic_segment
from service.audience.vocabulary.ages import UNKNOWN
from service.audience.vocabulary.choices import role_bits
from service.audience.vocabulary.fields import TAGS_AT, TEXT_FIELDS
from service.audience.vocabulary.texts import read_day, split_tags
from service.crypto import HASH_OCTETS, Keyring

TABLE_SHIFT = 32
"""A staged row's number is its table's number, shifted, and its row in that table."""


class StagedNumber(NamedTuple):
    """What one number of one row is; the fields are columns of the temporary table.

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


class StagedLink(NamedTuple):
    """What a row says of each of its numbers, but for free texts; the fields are columns of `links`
    and of the temporary table.

    last_day: the day that the text `valid_until` means.
    """

    row_no: int
    digest: bytes
    last_day: date | None
    synthetic: bool
    name_cipher: bytes | None
    gender: str | None
    age_band: str | None
    area_code: str | None
    carrier: str | None
    roles: tuple[str, ...]


LINK_COLUMNS = (*StagedLink._fields, *(field.column for field in TEXT_FIELDS))
"""The columns of `links` that a row fills."""

STAGED_COLUMNS = (*StagedNumber._fields, *LINK_COLUMNS)
"""The columns of the temporary table, in the order of a staged record."""

StagedRecord = tuple[object, ...]
"""A `StagedNumber`, a `StagedLink` and the free texts of one number of one row, joined."""

_ENCRYPTED = tuple((at, field.code) for at, field in enumerate(TEXT_FIELDS) if field.encrypted)
_ORIGINAL = tuple(at for at, field in enumerate(TEXT_FIELDS) if field.is_original)
_LATER = sorted((field.code, at) for at, field in enumerate(TEXT_FIELDS) if not field.is_original)


class StagedReject(NamedTuple):
    """A rejected row; the fields are columns of `import_rejects`."""

    sheet: str
    row_no: int
    code: str
    masked: str
    suggestion_cipher: bytes | None
    repair: Repair | None


@dataclass(slots=True)
class Staged:
    """A batch of records, made of so many rows of the file."""

    rows: int = 0
    numbers: list[StagedRecord] = field(default_factory=list)
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
            if isinstance(result, ListedRow):
                self._stage_listed(staged, result)
            elif isinstance(result, Rejected):
                staged.rejects.append(self._reject(result))
        return staged

    def _stage_listed(self, staged: Staged, row: ListedRow) -> None:
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
            own = StagedNumber(
                *(no, part, parts, row.kinds[part], *shown),
                phone_hash=keyring.phone_index(phone),
                phone_cipher=keyring.encrypt("phone", phone),
                synthetic_number=is_synthetic_segment(number[:7]),
                recipient_carrier=row.carriers[part],
            )
            staged.numbers.append(own + said)

    def _said(self, row: ListedRow, digest: bytes) -> StagedRecord:
        """What the row says of each of its numbers: the values of `LINK_COLUMNS`."""
        link, texts = row.link, row.link.texts
        valid_until = link.text("valid_until")
        said = StagedLink(
            row_no=row.row,
            digest=digest,
            last_day=read_day(valid_until) if valid_until else None,
            synthetic=row.synthetic,
            name_cipher=self._cipher("name", link.name),
            gender=link.gender or None,
            age_band=None if link.age_band == UNKNOWN else link.age_band,
            area_code=link.area or None,
            carrier=link.carrier or None,
            roles=link.roles,
        )
        stored: list[object] = [*texts]
        for at, kind in _ENCRYPTED:
            stored[at] = self._cipher(kind, texts[at])
        for at in TAGS_AT:
            stored[at] = split_tags(texts[at]).tags
        return (*said, *stored)

    def digest(self, link: RosterLink) -> bytes:
        """What tells a link from all others; no field holds a NUL.

        A text that came later counts where it says something: so the row of an older list is the
        link that it was.
        """
        digest = self._digest.copy()
        facts = (link.name, link.gender, link.age_band, link.area, link.carrier)
        texts = link.texts
        said: Sequence[str] = (
            *facts,
            ",".join(link.roles),
            *[texts[at] for at in _ORIGINAL],
            *[f"{code}={texts[at]}" for code, at in _LATER if texts[at]],
        )
        digest.update("\0".join(said).encode())
        return digest.digest()

    def _name_key(self, name: str) -> int:
        """Tells the names of one recipient apart, within this import and process only."""
        return hash((self._secret, name)) or 1 if name else 0

    def _reject(self, result: Rejected) -> StagedReject:
        suggestion = result.suggestion and self._keyring.encrypt(
            "phone", to_e164(result.suggestion)
        )
        return StagedReject(
            result.sheet,
            result.row,
            result.code,
            result.masked,
            suggestion or None,
            result.repair,
        )

    def _cipher(self, kind: str, text: str) -> bytes | None:
        return self._keyring.encrypt(kind, text) if text else None
