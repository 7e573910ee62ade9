"""Files are encrypted to public keys of the county, and read again with a private one.

The one door to pyrage, which writes and reads the age format (https://age-encryption.org/v1), as
the program `age` does. The private key is not on the machine whose database is copied.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyrage

from service.errors import Misconfigured
from service.local.embedded import write_private
from service.words.phrase import Phrase, phrase

_FOREIGN = "No matching keys found"
"""What pyrage says of a file that is encrypted to other keys, or whose list of them was changed."""


Identities = Sequence[pyrage.x25519.Identity]
"""The private keys of which one may read a file."""


class Encrypted(NamedTuple):
    """What a file has become: its length in octets, and the SHA-256 of what is written."""

    octets: int
    sha256: str


class _DigestWriter(io.RawIOBase):
    """Passes on what is written to it, and adds it up."""

    def __init__(self, to: BinaryIO) -> None:
        self._to = to
        self._digest = hashlib.sha256()
        self._octets = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # pyrage gives bytes
        self._digest.update(data)
        self._octets += len(data)
        return self._to.write(data)

    @property
    def written(self) -> Encrypted:
        return Encrypted(self._octets, self._digest.hexdigest())


def make_key(path: Path) -> str:
    """Write a new private key to a file that is not there yet, and return its public key.

    Raises:
        Misconfigured: there is a file already, or it cannot be written.
    """
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    if path.exists():
        raise Misconfigured(
            phrase("{path} is there already: give the new key another name", path=path)
        )
    try:
        write_private(path, f"# public key: {public}\n{identity}\n")
    except OSError as error:
        raise Misconfigured(
            phrase("{path} cannot be written: {why}", path=path, why=error.strerror or error)
        ) from error
    return public


def read_recipients(text: str) -> list[pyrage.x25519.Recipient]:
    """The public keys of a setting, between blanks or commas.

    Raises:
        Misconfigured: there is none, or one is no public key of age.
    """
    try:
        found = [pyrage.x25519.Recipient.from_str(key) for key in text.replace(",", " ").split()]
    except pyrage.RecipientError as error:
        raise Misconfigured(
            phrase("TOCSIN_BACKUP_RECIPIENTS: write public keys of age, which begin with age1")
        ) from error
    if not found:
        raise Misconfigured(
            phrase(
                "TOCSIN_BACKUP_RECIPIENTS names no key: run `tocsin backup key FILE` on another"
                " machine, and give it the public key that is printed"
            )
        )
    return found


def read_identities(path: Path) -> Identities:
    """The private keys of a file, a line each, as `tocsin backup key` and `age-keygen` write it.

    Raises:
        Misconfigured: it cannot be read, or has no private key.
    """
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise Misconfigured(_no_identity(path)) from error
    if not found:
        raise Misconfigured(_no_identity(path))
    return found


def _no_identity(path: Path) -> Phrase:
    return phrase(
        "{path} is no private key of the backups: give --identity the file that"
        " `tocsin backup key` or age-keygen made",
        path=path,
    )


def encrypt_file(
    source: Path, to: Path, recipients: Sequence[pyrage.x25519.Recipient]
) -> Encrypted:
    """Write a file encrypted to another place, and to the disk."""
    with source.open("rb") as plain, to.open("wb") as out:
        return _encrypt(plain, out, recipients)


def encrypt_compressed(
    source: Path, to: Path, recipients: Sequence[pyrage.x25519.Recipient]
) -> Encrypted:
    """The same, compressed before. The file is small, and may grow meanwhile."""
    plain = io.BytesIO(gzip.compress(source.read_bytes(), 1, mtime=0))
    with to.open("wb") as out:
        return _encrypt(plain, out, recipients)


def _encrypt(
    plain: BinaryIO, out: BinaryIO, recipients: Sequence[pyrage.x25519.Recipient]
) -> Encrypted:
    writer = _DigestWriter(out)
    pyrage.encrypt_io(plain, writer, recipients)
    out.flush()
    os.fsync(out.fileno())
    return writer.written


def decrypt_file(source: Path, to: Path, identities: Identities) -> None:
    """Write what an encrypted file holds to another place.

    Raises:
        Misconfigured: it is encrypted to another key, or not as it was written.
    """
    with source.open("rb") as encrypted, to.open("wb") as plain:
        _decrypt(source, encrypted, plain, identities)


def decrypt_compressed(source: Path, identities: Identities) -> bytes:
    """What was compressed before it was encrypted; raises as `decrypt_file`."""
    plain = io.BytesIO()
    with source.open("rb") as encrypted:
        _decrypt(source, encrypted, plain, identities)
    try:
        return gzip.decompress(plain.getvalue())
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(damaged(source)) from error


def _decrypt(
    source: Path,
    encrypted: BinaryIO,
    plain: BinaryIO,
    identities: Identities,
) -> None:
    try:
        pyrage.decrypt_io(encrypted, plain, identities)
    except pyrage.DecryptError as error:
        if str(error) == _FOREIGN:
            raise Misconfigured(
                phrase(
                    "{path} cannot be read with this private key: give --identity the one that"
                    " belongs to the public key in TOCSIN_BACKUP_RECIPIENTS of that time",
                    path=source,
                )
            ) from error
        raise Misconfigured(damaged(source)) from error
    except OSError as error:
        if error.errno is not None:  # of a disk, not of what the file holds
            raise
        raise Misconfigured(damaged(source)) from error


def damaged(path: Path) -> Phrase:
    """What is said of a file that is cut or changed."""
    return phrase(
        "{path} is damaged: it was cut or changed after it was written. Take this file from"
        " another copy of the backups, or restore to an instant that does not need it",
        path=path,
    )
