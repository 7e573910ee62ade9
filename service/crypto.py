"""Encryption at rest and the keyed hashes: the keys of one file, read at start.

Fields (phone, name, variables, …) are AES-256-GCM with a random 96-bit nonce; the additional data
are the kind of field and the key id, the same in contacts and ledger, so that an expansion copies
ciphers as they are. Look-up and uniqueness use HMAC-SHA256 under a second key, cut to 16 octets.
Layout of a cipher: key id (1), nonce (12), ciphertext and tag.

The newest key encrypts, every key of the file decrypts. The key of the hashes stays that of the
first key for good: hashes outlive the persons whose numbers they could be made from anew.
"""

import hashlib
import hmac
import os
import secrets
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import Misconfigured
from service.words.phrase import phrase

NONCE_OCTETS = 12
HASH_OCTETS = 16
CIPHER_OCTETS = 1 + NONCE_OCTETS + 16
"""What a cipher has beyond the octets of its text: key id, nonce and tag."""
FIRST_KEY, LAST_KEY = 1, 255
INDEX = "index"
INDEX_CHECK = 0


class Undecipherable(Exception):
    """A cipher was not made by this key for this kind of field: corrupt data or the wrong key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a key file says: master keys by id, and the key of the hashes if its own is retired.

    path: where it stands, so that a running process finds keys that were added.
    """

    masters: Mapping[int, bytes]
    index: bytes | None = None
    path: Path | None = None

    def index_key(self) -> bytes:
        """The key of the hashes: that of the first master key there ever was."""
        return self.index or _derive(self.masters[min(self.masters)], "index")


class Keyring:
    """The keys derived from the master keys, and everything done with them."""

    def __init__(self, keys: Keys | bytes) -> None:
        self._take(Keys({FIRST_KEY: keys}) if isinstance(keys, bytes) else keys)
        self._index_key = self._keys.index_key()
        self._index = hmac.new(self._index_key, digestmod=hashlib.sha256)
        self._audit = hmac.new(_derive(self._index_key, "audit"), digestmod=hashlib.sha256)

    def _take(self, keys: Keys) -> None:
        if not keys.masters or any(len(master) != 32 for master in keys.masters.values()):
            raise Misconfigured(phrase("the master key must have 32 octets"))
        self._keys = keys
        self._aeads = {n: AESGCM(_derive(key, "field")) for n, key in keys.masters.items()}
        self.key_id = max(keys.masters)

    @property
    def check_values(self) -> dict[int, bytes]:
        """What the database keeps to know each key again; 0: that of the hashes."""
        values = {n: _derive(master, "check") for n, master in self._keys.masters.items()}
        return values | {INDEX_CHECK: hmac.digest(self._index_key, b"check", hashlib.sha256)}

    def encrypt(self, kind: str, text: str) -> bytes:
        """The cipher of a text field; `kind` is e.g. "phone" and must be given again to read it."""
        return self.encrypt_bytes(kind, text.encode())

    def encrypt_bytes(self, kind: str, data: bytes) -> bytes:
        """The cipher of raw octets."""
        nonce, key_id = secrets.token_bytes(NONCE_OCTETS), self.key_id
        body = self._aeads[key_id].encrypt(nonce, data, _aad(kind, key_id))
        return bytes([key_id]) + nonce + body

    def decrypt(self, kind: str, cipher: bytes) -> str:
        """The text of a cipher.

        Raises:
            Undecipherable: another key or kind made it, or it was changed.
        """
        return self.decrypt_bytes(kind, cipher).decode()

    def decrypt_bytes(self, kind: str, cipher: bytes) -> bytes:
        """The octets of a cipher; raises as `decrypt`."""
        key_id = cipher[0] if cipher else 0
        if key_id not in self._aeads:
            self._look_again(key_id)
        aead = self._aeads.get(key_id)
        if aead is None:
            raise Undecipherable(f"a {kind} field was encrypted under another key")
        nonce, body = cipher[1 : 1 + NONCE_OCTETS], cipher[1 + NONCE_OCTETS :]
        try:
            return aead.decrypt(nonce, body, _aad(kind, key_id))
        except InvalidTag as error:
            raise Undecipherable(f"a {kind} field cannot be read with this key") from error

    def _look_again(self, key_id: int) -> None:
        """Whether the key was added to the file since it was read; if so, it is taken."""
        if self._keys.path is None:
            return
        keys = read_key_file(self._keys.path)
        if key_id in keys.masters and keys.index_key() == self._index_key:
            self._take(keys)

    def index(self, kind: str, value: str) -> bytes:
        """The keyed hash of a value, 16 octets: for look-up and uniqueness, not reversible."""
        # A copy, for OpenSSL looks an algorithm up anew for each that is made, which takes longer
        # than the hash.
        mac = self._index.copy()
        mac.update(kind.encode() + b"\0" + value.encode())
        return mac.digest()[:HASH_OCTETS]

    def audit_mac(self, data: bytes) -> bytes:
        """What only a holder of the master key makes of an audit entry, 16 octets; its key is made
        for this alone, and outlives rotations.
        """
        mac = self._audit.copy()
        mac.update(data)
        return mac.digest()[:HASH_OCTETS]

    def sign(self, purpose: str, data: bytes) -> bytes:
        """The Ed25519 signature of octets; the key is that of a purpose, and outlives rotations."""
        return self._signer(purpose).sign(data)

    def public_key(self, purpose: str) -> bytes:
        """The 32 octets with which anybody can check the signatures of a purpose."""
        return self._signer(purpose).public_key().public_bytes_raw()

    def _signer(self, purpose: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_derive(self._index_key, f"sign {purpose}"))

    def phone_index(self, phone: str) -> bytes:
        """The keyed hash of a phone number in E.164 with plus."""
        return self.index("phone", phone)


def _aad(kind: str, key_id: int) -> bytes:
    return kind.encode() + bytes([key_id])


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"tocsin {purpose}".encode()).derive(master)


def read_key_file(path: Path) -> Keys:
    """The keys of a key file: 64 hexadecimal digits a line, behind the key's id from the second on.

    Raises:
        Misconfigured: missing, readable by others, or not keys.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except OSError as error:
        raise Misconfigured(_unreadable(path, error)) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise Misconfigured(
            phrase("the master key file {path} is open to others; run: chmod 600 {path}", path=path)
        )
    try:
        found = [_key_line(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        found = []
    named = dict(found)
    if not found or len(named) < len(found) or set(named) == {INDEX}:
        raise Misconfigured(
            phrase(
                "the master key file {path} must hold 64 hexadecimal digits a line, each"
                " line after the first with its key's id before them",
                path=path,
            )
        )
    return Keys({int(n): key for n, key in named.items() if n != INDEX}, named.get(INDEX), path)


def _unreadable(path: Path, error: OSError) -> str:
    what = f"the master key file {path} cannot be read ({error.strerror})"
    if not isinstance(error, FileNotFoundError):
        return (
            f"{what}; let the program's user read it / "
            f"无法读取主密钥文件 {path}：请允许本程序的用户读取"
        )
    return (
        f"{what}; for a new system make one: (umask 077; openssl rand -hex 32 > "
        f"{shlex.quote(str(path))}); otherwise restore it from its backup: without it the stored "
        f"phone numbers are lost / 没有主密钥文件 {path}：新系统请用上述命令生成；"
        "否则请从备份恢复，没有它，已存的手机号无法读出"
    )


def _key_line(line: str) -> tuple[str, bytes]:
    name, _, digits = line.strip().rpartition(" ")
    key = bytes.fromhex(digits)
    name = name.strip() or str(FIRST_KEY)
    if len(key) != 32 or not (name == INDEX or 1 <= int(name) <= LAST_KEY):
        raise ValueError(name)
    return name, key


def write_key_file(keys: Keys) -> None:
    """Put these keys in place of those of their file, all at once; only its owner can read it.

    Raises:
        Misconfigured: the file cannot be written; it stays as it was.
    """
    if keys.path is None:
        raise Misconfigured(phrase("these keys are of no file"))
    lines = [f"{INDEX} {keys.index.hex()}"] if keys.index else []
    lines += [f"{n} {key.hex()}" for n, key in sorted(keys.masters.items())]
    fresh = keys.path.with_name(f"{keys.path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(keys.path)
    except OSError as error:
        raise Misconfigured(
            phrase(
                "the master key file {path} cannot be written here ({strerror}); do this on"
                " a machine where it can, and give every process the file",
                path=keys.path,
                strerror=error.strerror,
            )
        ) from error


def create_key_file(path: Path) -> bytes:
    """Make a new master key in a file that only its owner can read, and return it."""
    if path.exists():
        raise FileExistsError(path)
    key = secrets.token_bytes(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_key_file(Keys({FIRST_KEY: key}, None, path))
    return key
