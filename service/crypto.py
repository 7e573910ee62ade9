"""Encryption at rest and the keyed hashes: one master key, read once at start.

Fields (phone, name, variables, …) are AES-256-GCM with a random 96-bit nonce; the additional data
are the kind of field and the key id, the same in contacts and ledger, so that an expansion copies
ciphers as they are. Look-up and uniqueness use HMAC-SHA256 under a second key, cut to 16 octets.
Layout of a cipher: key id (1), nonce (12), ciphertext and tag.
"""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import Misconfigured

NONCE_OCTETS = 12
HASH_OCTETS = 16


class Undecipherable(Exception):
    """A cipher was not made by this key for this kind of field: corrupt data or the wrong key."""


@dataclass(frozen=True, slots=True)
class _Derived:
    field: bytes
    index: bytes
    check: bytes


class Keyring:
    """The keys derived from the master key, and everything done with them."""

    def __init__(self, master: bytes, *, key_id: int = 1) -> None:
        if len(master) != 32:
            raise Misconfigured("the master key must have 32 octets")
        self.key_id = key_id
        derived = _Derived(*(_derive(master, purpose) for purpose in ("field", "index", "check")))
        self._aead = AESGCM(derived.field)
        self._index_key = derived.index
        self.check_value = derived.check
        self._prefix = bytes([key_id])

    def encrypt(self, kind: str, text: str) -> bytes:
        """The cipher of a text field; `kind` is e.g. "phone" and must be given again to read it."""
        return self.encrypt_bytes(kind, text.encode())

    def encrypt_bytes(self, kind: str, data: bytes) -> bytes:
        """The cipher of raw octets."""
        nonce = secrets.token_bytes(NONCE_OCTETS)
        return self._prefix + nonce + self._aead.encrypt(nonce, data, self._aad(kind))

    def decrypt(self, kind: str, cipher: bytes) -> str:
        """The text of a cipher.

        Raises:
            Undecipherable: another key or kind made it, or it was changed.
        """
        return self.decrypt_bytes(kind, cipher).decode()

    def decrypt_bytes(self, kind: str, cipher: bytes) -> bytes:
        """The octets of a cipher; raises as `decrypt`."""
        if cipher[:1] != self._prefix:
            raise Undecipherable(f"a {kind} field was encrypted under another key")
        nonce, body = cipher[1 : 1 + NONCE_OCTETS], cipher[1 + NONCE_OCTETS :]
        try:
            return self._aead.decrypt(nonce, body, self._aad(kind))
        except InvalidTag as error:
            raise Undecipherable(f"a {kind} field cannot be read with this key") from error

    def index(self, kind: str, value: str) -> bytes:
        """The keyed hash of a value, 16 octets: for look-up and uniqueness, not reversible."""
        message = kind.encode() + b"\0" + value.encode()
        return hmac.digest(self._index_key, message, hashlib.sha256)[:HASH_OCTETS]

    def phone_index(self, phone: str) -> bytes:
        """The keyed hash of a phone number in E.164 with plus."""
        return self.index("phone", phone)

    def _aad(self, kind: str) -> bytes:
        return kind.encode() + self._prefix


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"tocsin {purpose}".encode()).derive(master)


def read_key_file(path: Path) -> bytes:
    """The master key in a key file (64 hexadecimal digits).

    Raises:
        Misconfigured: missing, readable by others, or not a key.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise Misconfigured(
            f"the master key file {path} cannot be read ({error.strerror}); "
            "restore it from its backup: without it the stored phone numbers are lost"
        ) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise Misconfigured(f"the master key file {path} is open to others; run: chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"the master key file {path} must hold 64 hexadecimal digits")
    return key


def create_key_file(path: Path) -> bytes:
    """Make a new master key in a file that only its owner can read, and return it."""
    key = secrets.token_bytes(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.hex() + "\n")
    return key
