"""Row results as the records that the database takes: hashed, encrypted, ready for COPY.

Phone, name, child's name and note leave here as ciphers only; look-up and uniqueness go by keyed
hash. A link's digest covers all its fields, so that the same row imported again is the same link.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from service.audience.ages import UNKNOWN
from service.audience.model import Accepted, Link, Recipient, Rejected, RowResult
from service.audience.number import is_synthetic, to_e164
from service.crypto import Keyring


class StagedContact(NamedTuple):
    """A recipient, with what its first row says; the fields are the temporary table's columns."""

    phone_hash: bytes
    phone_cipher: bytes
    name_cipher: bytes | None
    carrier: str
    area_code: str | None
    age_band: str | None
    gender: str | None
    synthetic: bool


class StagedLink(NamedTuple):
    """What a row says about a recipient; the fields are the temporary table's columns."""

    phone_hash: bytes
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
    note_cipher: bytes | None
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
    """A batch of records."""

    contacts: list[StagedContact] = field(default_factory=list)
    links: list[StagedLink] = field(default_factory=list)
    rejects: list[StagedReject] = field(default_factory=list)


def stage(results: Iterable[RowResult], keyring: Keyring) -> Staged:
    """The records of a batch of row results."""
    staged = Staged()
    for result in results:
        if isinstance(result, Accepted):
            _stage_accepted(staged, result, keyring)
        elif isinstance(result, Rejected):
            staged.rejects.append(_reject(result, keyring))
    return staged


def _stage_accepted(staged: Staged, result: Accepted, keyring: Keyring) -> None:
    link = result.link
    name = _cipher(keyring, "name", link.name)
    hashes = []
    for recipient in result.new:
        contact = _contact(recipient, link, name, keyring)
        staged.contacts.append(contact)
        hashes.append(contact.phone_hash)
    hashes += [keyring.phone_index(to_e164(number)) for number in result.linked]
    digest = keyring.index("link", json.dumps(link, ensure_ascii=False))
    staged.links += [_link(hashed, digest, result, name, keyring) for hashed in hashes]


def _contact(
    recipient: Recipient, link: Link, name: bytes | None, keyring: Keyring
) -> StagedContact:
    phone = to_e164(recipient.number)
    return StagedContact(
        phone_hash=keyring.phone_index(phone),
        phone_cipher=keyring.encrypt("phone", phone),
        name_cipher=name,
        carrier=recipient.carrier,
        area_code=link.area or None,
        age_band=_band(link),
        gender=link.gender or None,
        synthetic=is_synthetic(phone),
    )


def _link(
    hashed: bytes, digest: bytes, result: Accepted, name: bytes | None, keyring: Keyring
) -> StagedLink:
    link = result.link
    return StagedLink(
        phone_hash=hashed,
        row_no=result.row,
        digest=digest,
        name_cipher=name,
        gender=link.gender or None,
        age_band=_band(link),
        area_code=link.area or None,
        household_group=link.group,
        roles=link.roles,
        org=link.org,
        org_type=link.org_type,
        school=link.school,
        grade=link.grade,
        class_=link.class_,
        guardian_of_cipher=_cipher(keyring, "guardian_of", link.guardian_of),
        carrier=link.carrier or None,
        consent_basis=link.consent_basis,
        source_dept=link.source_dept,
        valid_until=link.valid_until,
        note_cipher=_cipher(keyring, "note", link.note),
        synthetic=result.synthetic,
    )


def _reject(result: Rejected, keyring: Keyring) -> StagedReject:
    suggestion = result.suggestion and keyring.encrypt("phone", to_e164(result.suggestion))
    return StagedReject(result.sheet, result.row, result.code, result.masked, suggestion or None)


def _cipher(keyring: Keyring, kind: str, text: str) -> bytes | None:
    return keyring.encrypt(kind, text) if text else None


def _band(link: Link) -> str | None:
    return None if link.age_band == UNKNOWN else link.age_band
