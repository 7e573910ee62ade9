"""A file on its way through this process, on disk if it is large: encrypted all the way.

Each pass over it keeps its own place, so that passes may overlap.
"""

import secrets
import tempfile
from collections.abc import Iterator
from typing import Self

from service.crypto import Keyring

_MEMORY_OCTETS = 8 * 1024 * 1024


class Spool:
    """Pieces of a file, each a cipher of its own."""

    def __init__(self, keyring: Keyring, kind: str) -> None:
        self._keyring = keyring
        self._kind = kind
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_OCTETS)  # noqa: SIM115  # close()
        self._sizes: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, octets: bytes) -> None:
        """Add a piece."""
        self.append_cipher(self._keyring.encrypt_bytes(self._kind, octets))

    def append_cipher(self, cipher: bytes) -> None:
        """Add a piece that is encrypted already, by the same key for the same kind."""
        self._file.write(cipher)
        self._sizes.append(len(cipher))

    def chunks(self) -> Iterator[bytes]:
        """The pieces in order, in clear."""
        at = 0
        for size in self._sizes:
            self._file.seek(at)
            yield self._keyring.decrypt_bytes(self._kind, self._file.read(size))
            at += size

    def close(self) -> None:
        """Delete it."""
        self._file.close()


def throwaway_keyring() -> Keyring:
    """A key that nobody else has and that is gone with this process."""
    return Keyring(secrets.token_bytes(32))
