"""The audit trail: what an entry says, and the chain of hashes that proves it (pure).

An entry is written in the transaction of its effect. A seal is made once the entry is committed:
the SHA-256 of the seal before it, its own number, and the entry's id, instant and digest. Whoever
knows one seal (the scheduler logs them) can prove every entry up to it, also after entries that are
past their record duty are gone.

A seal says that an entry is as it was found. Who wrote it says its MAC: the process that carried
out the act makes it with a key that comes from the master key. An entry without a valid one is
foreign: somebody else put it into the table (decision 0285).
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from service.crypto import HASH_OCTETS, Keyring
from service.words.phrase import Phrase, phrase

KEPT = timedelta(days=3 * 365)
"""What is older may be gone (Network Data Security Regulations art. 12: three years)."""

AHEAD = timedelta(minutes=5)
"""How far the clocks of two machines may differ; an entry beyond that is of the future."""

FIRST = b"\0" * 32
"""What the first seal follows."""

NONCE_OCTETS = 8
MAC_OCTETS = NONCE_OCTETS + HASH_OCTETS
"""A MAC is a nonce, so that no two are equal, and the keyed hash of the nonce and the act."""

INVALID = phrase("no process that has the master key wrote it: its MAC is not valid")
COPIED = phrase("it is a copy of another entry: that one has the same MAC")
UNMARKED = phrase("it has no MAC, and came after entries that have one")
LATE = phrase(
    "it is older than the record duty was when it was sealed: it may copy an entry that is gone"
)

MOST_FOREIGN = 100
"""How many foreign entries are named."""

Via = Literal["api", "console", "cli", "system"]


@dataclass(frozen=True, slots=True)
class AuditAct:
    """Something that was done. Everything in it is an id, a hash, a count or a fixed word.

    actor_id: None for whoever holds the command line, and for the system itself.
    department_id: the actor's.
    request_hash: keyed, of what was asked.
    """

    action: str
    at: datetime
    via: Via
    actor_id: UUID | None = None
    department_id: UUID | None = None
    object_kind: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    request_hash: bytes | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def said(self) -> bytes:
        """Everything it says, in a notation that is the same before it is stored and after.

        What is missing is told from what is empty, and no member holds the octet that parts them:
        PostgreSQL takes no text with it. So no two acts are written alike.
        """
        hashed, details = self.request_hash, self.details
        return "\0".join(
            (
                str((self.at - _EPOCH) // _MICROSECOND),
                self.via,
                "" if self.actor_id is None else self.actor_id.hex,
                "" if self.department_id is None else self.department_id.hex,
                self.action,
                "" if self.object_kind is None else f"={self.object_kind}",
                "" if self.object_id is None else f"={self.object_id}",
                "" if self.request_id is None else f"={self.request_id}",
                "" if hashed is None else hashed.hex(),
                _encode(_as_stored(details)) if details else "{}",
            )
        ).encode()


def make_mac(keyring: Keyring, act: AuditAct) -> bytes:
    """What proves that a process which has the master key has written an act down; each is new."""
    nonce = secrets.token_bytes(NONCE_OCTETS)
    return nonce + keyring.audit_mac(nonce + act.said())


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act as stored. mac: None of one that was written before there were any."""

    id: UUID
    act: AuditAct
    mac: bytes | None = None

    def is_foreign(self, keyring: Keyring) -> bool:
        """Whether it has a MAC that no process of ours has made."""
        if self.mac is None:
            return False
        nonce, mac = self.mac[:NONCE_OCTETS], self.mac[NONCE_OCTETS:]
        return not hmac.compare_digest(mac, keyring.audit_mac(nonce + self.act.said()))

    @property
    def line(self) -> str:
        """Everything the entry says, in one fixed notation."""
        act = self.act
        said = [
            str(self.id),
            act.at.astimezone(UTC).isoformat(timespec="microseconds"),
            act.via,
            _text(act.actor_id),
            _text(act.department_id),
            act.action,
            act.object_kind,
            act.object_id,
            act.request_id,
            act.request_hash.hex() if act.request_hash is not None else None,
            dict(act.details),
        ]
        return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def digest(self) -> bytes:
        """The SHA-256 of everything the entry says."""
        return hashlib.sha256(self.line.encode()).digest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The place of one entry in the chain."""

    no: int
    entry_id: UUID
    at: datetime
    digest: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The last seal; no 0: there is none yet."""

    no: int = 0
    seal: bytes = FIRST

    def __str__(self) -> str:
        return f"{self.no}:{self.seal.hex()}"

    def next(self, entry: AuditEntry) -> Seal:
        """The seal of the entry that comes next."""
        digest, no = entry.digest(), self.no + 1
        return Seal(
            no, entry.id, entry.act.at, digest, self.chained(entry.id, entry.act.at, digest)
        )

    def chained(self, entry_id: UUID, at: datetime, digest: bytes) -> bytes:
        """The hash that follows this one."""
        instant = at.astimezone(UTC).isoformat(timespec="microseconds").encode()
        number = (self.no + 1).to_bytes(8, "big")
        return hashlib.sha256(self.seal + number + entry_id.bytes + instant + digest).digest()


_SEAL_DIGITS = 64


def read_head(text: str) -> Head | None:
    """A seal as it was printed, `4711:9f3c…`; None: it is none."""
    number, _, digits = text.strip().partition(":")
    try:
        head = Head(int(number), bytes.fromhex(digits))
    except ValueError:
        return None
    return head if head.no >= 1 and len(digits) == _SEAL_DIGITS else None


@dataclass(frozen=True, slots=True)
class BrokenTrail:
    """The first place where the trail is not what was sealed."""

    entry_id: UUID | None
    no: int | None
    why: Phrase

    def __str__(self) -> str:
        where = f"seal {self.no}" if self.no is not None else "no seal"
        return f"entry {self.entry_id or 'unknown'} ({where}): {self.why}"


@dataclass(slots=True)
class Walk:
    """Follows the chain from its beginning, one seal at a time.

    keyring: of the system whose trail it is.
    now: by the clock of whoever verifies, and not of anything in the trail: an entry of the future
        must not make others look older than they are.
    known: a seal that somebody wrote down, which must be in the chain.
    copies: entries whose MAC an older entry has.
    foreign: the first `MOST_FOREIGN` of those that are as they were sealed, but none of ours has
        written; `foreigners`: how many there are.
    """

    keyring: Keyring
    now: datetime
    known: Head | None = None
    copies: Container[UUID] = ()
    head: Head = field(default_factory=Head)
    entries: int = 0
    gone: int = 0
    foreign: list[BrokenTrail] = field(default_factory=list)
    foreigners: int = 0
    _marked: bool = False
    _latest: datetime | None = None

    def follow(self, seal: Seal, entry: AuditEntry | None) -> BrokenTrail | None:
        """Look at the next seal and its entry; what is wrong with them, if anything."""
        if why := self._fault(seal, entry):
            return BrokenTrail(seal.entry_id, seal.no, why)
        self.head = Head(seal.no, seal.seal)
        if entry is None:
            self.gone += 1
        elif why := self._foreign(entry):
            self.foreigners += 1
            if len(self.foreign) < MOST_FOREIGN:
                self.foreign.append(BrokenTrail(entry.id, seal.no, why))
        else:
            self.entries += 1
            self._marked = self._marked or entry.mac is not None
        self._latest = max(seal.at, self._latest or seal.at)
        return None

    def _foreign(self, entry: AuditEntry) -> Phrase | None:
        if entry.mac is None:
            return UNMARKED if self._marked else None
        if entry.is_foreign(self.keyring):
            return INVALID
        if entry.id in self.copies:
            return COPIED
        late = self._latest is not None and entry.act.at < self._latest - KEPT
        return LATE if late else None

    def _fault(self, seal: Seal, entry: AuditEntry | None) -> Phrase | None:
        if seal.no != self.head.no + 1:
            return phrase("seal {no}, which comes before it, is missing", no=self.head.no + 1)
        if seal.seal != self.head.chained(seal.entry_id, seal.at, seal.digest):
            return phrase("it does not follow the seal before it")
        if self.known and seal.no == self.known.no and seal.seal != self.known.seal:
            return phrase("it is not the seal that was written down")
        if seal.at > self.now + AHEAD:
            return phrase("it is of the future")
        return self._changed(seal, entry)

    def _changed(self, seal: Seal, entry: AuditEntry | None) -> Phrase | None:
        if entry is None:
            made = max(seal.at, _made_at(seal.entry_id) or seal.at)
            return None if made < self.now - KEPT else phrase("the entry is missing")
        if entry.digest() == seal.digest:
            return None
        return phrase("the entry is not as it was sealed")

    def end(self) -> BrokenTrail | None:
        """Whether the chain ends before a seal that was written down."""
        if self.known and self.head.no < self.known.no:
            why = phrase(
                "the chain ends at seal {no}, before one that was written down", no=self.head.no
            )
            return BrokenTrail(None, self.known.no, why)
        return None


def _made_at(entry_id: UUID) -> datetime | None:
    """When the database made an entry, by its id of version 7 (RFC 9562, section 5.7)."""
    if entry_id.version != 7:
        return None
    return datetime.fromtimestamp((entry_id.int >> 80) / 1000, UTC)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _number(text: str) -> int | float:
    """A number as jsonb gives it back, which writes 1e16 as an integer and has no -0.0."""
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(text)


_decode = json.JSONDecoder(parse_float=_number).decode


def _as_stored(details: Mapping[str, object]) -> object:
    """Details as JSON has them: keys are texts, tuples are lists."""
    return _decode(json.dumps(dict(details)))
