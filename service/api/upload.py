"""A file on its way in: kept encrypted in a temporary file, so that a slow caller holds no
database connection and no number lies on the disk in clear.
"""

import hashlib
import tempfile
from collections.abc import AsyncIterator

from service.crypto import Keyring

CHUNK_OCTETS = 256 * 1024
_MEMORY_OCTETS = 1024 * 1024
_KIND = "upload"


class Upload:
    """A file that has come whole; its octets can be read any number of times."""

    def __init__(self, keyring: Keyring, file_name: str) -> None:
        self.file_name = file_name
        self.size = 0
        self._keyring = keyring
        self._digest = hashlib.sha256()
        self._spool = tempfile.SpooledTemporaryFile(max_size=_MEMORY_OCTETS)  # noqa: SIM115  # close()
        self._lengths: list[int] = []

    @property
    def sha256(self) -> str:
        """The hash of the octets so far."""
        return self._digest.hexdigest()

    def append(self, chunk: bytes) -> None:
        """Take the next octets."""
        cipher = self._keyring.encrypt_bytes(_KIND, chunk)
        self._spool.write(cipher)
        self._lengths.append(len(cipher))
        self._digest.update(chunk)
        self.size += len(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The octets, in the pieces in which they came."""
        at = 0
        for length in self._lengths:
            self._spool.seek(at)
            yield self._keyring.decrypt_bytes(_KIND, self._spool.read(length))
            at += length

    def close(self) -> None:
        """Delete it."""
        self._spool.close()
