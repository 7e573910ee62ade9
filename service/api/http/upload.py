"""A file on its way in: kept encrypted in a temporary file, so that a slow caller holds no
database connection and no number lies on the disk in clear.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from service.crypto import Keyring

CHUNK_OCTETS = 256 * 1024
_MEMORY_OCTETS = 1024 * 1024
_KIND = "upload"
BATCH_LINES = 2_000

LineT = TypeVar("LineT")


def file_name_of(given: str) -> str:
    """A file's name as its owner wrote it, from what the form says.

    RFC 7578 §4.2 has names in UTF-8. Some programs write them in the encoding of a Chinese Windows
    instead, and some percent-encode the whole of them, as in an URL. The latter is undone only
    where the name is exactly what that makes of another one, which has no folder in it: so
    `100%.csv` and `50%25 off.csv` stay as they are.
    """
    if any("\udc80" <= sign <= "\udcff" for sign in given):  # octets that are not UTF-8
        octets = given.encode("utf-8", "surrogateescape")
        return octets.decode("gb18030", "replace")
    if "%" not in given:
        return given
    try:
        decoded = unquote_to_bytes(given).decode("utf-8")
    except UnicodeError:
        return given
    exact = quote(decoded, safe="").lower() == given.lower()
    return decoded if exact and decoded.isprintable() and not {"/", "\\"} & set(decoded) else given


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


async def in_batches(
    file: Upload, read: Callable[[Callable[[], Iterable[bytes]]], Iterator[LineT]]
) -> AsyncIterator[Sequence[LineT]]:
    """The lines of a file, read in a thread, so that a large one holds up nobody else.

    read: makes lines of what opens the file anew.
    """
    loop = asyncio.get_running_loop()
    lines = read(lambda: _for_a_thread(loop, file))
    while batch := await asyncio.to_thread(lambda: list(islice(lines, BATCH_LINES))):
        yield batch


def _for_a_thread(loop: asyncio.AbstractEventLoop, file: Upload) -> Iterator[bytes]:
    """The pieces of a file; each is fetched where the file is kept."""
    pieces = file.chunks()

    async def fetch() -> bytes | None:
        return await anext(pieces, None)

    while (piece := asyncio.run_coroutine_threadsafe(fetch(), loop).result()) is not None:
        yield piece
