"""Files on their way out: made whole, encrypted in a temporary file, and only then sent.

So whoever takes a file slowly holds no connection to the database, and an error while it is made
is answered as one, instead of half a file. Temporary files are memory in our containers (`/tmp`):
one file, and all files of a process together, have a limit. How far a file is while it is made is a
row for whoever waits for it, once it takes a second.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from aiohttp import web

from service.accounts.long_acts import store
from service.accounts.long_acts.keeping import kept
from service.accounts.long_acts.long_act import KEPT, LongProgress
from service.api.http.admission import RETRY_SECONDS
from service.api.http.call import Download
from service.api.http.problems import TooLarge
from service.api.http.reads import AS_OF
from service.crypto import Keyring
from service.errors import Unavailable
from service.runtime import Runtime
from service.spool import Spool
from service.storage.postgres import UNREACHABLE, Busy
from service.words.phrase import phrase

log = logging.getLogger(__name__)

MOST_OCTETS = 256 * 1024 * 1024
"""The largest file that is given out."""
MOST_OF_ALL = 512 * 1024 * 1024
"""All files of a process that are being made or sent."""
PIECE_OCTETS = 64 * 1024
WRITE_SECONDS = 30.0
"""How long whoever gets a file may take over one piece."""
SEND_SECONDS = 900.0
"""… and over the whole of it."""
TURN_SECONDS = 0.002
"""A file is made for so long, and then for as long not: half of the time is others'."""
_KIND = "download"

_NOT_SAID: tuple[type[BaseException], ...] = (*UNREACHABLE, Busy)
SHOWN_AFTER = 1.0
"""A file that is made faster, in seconds, writes nothing down."""
FORGOTTEN_AT_ONCE = 100


class MadeFile:
    """A file that is ready to be sent; close it."""

    def __init__(self, downloads: "Downloads", download: Download) -> None:
        self.size = 0
        self._downloads = downloads
        self._head = {
            "Content-Type": download.media_type
            + ("; charset=utf-8" if download.media_type.startswith("text/") else ""),
            "Content-Disposition": download.disposition,
        }
        if download.as_of is not None:
            self._head[AS_OF] = download.as_of.isoformat(timespec="seconds")
        self._spool = Spool(downloads.keyring, _KIND)

    def append(self, piece: bytes) -> None:
        """Add octets.

        Raises:
            TooLarge: the file passes the limit of one.
            Unavailable: all files together pass theirs, or the disk is full.
        """
        self.size += len(piece)
        self._downloads.octets += len(piece)
        if self.size > MOST_OCTETS:
            raise TooLarge(
                phrase(
                    "the file is larger than {most_octets:,} octets, the most that is given out;"
                    " ask for a part of it, or have the operator take it from the database",
                    most_octets=MOST_OCTETS,
                )
            )
        if self._downloads.octets > MOST_OF_ALL:
            raise _no_room()
        try:
            self._spool.append(piece)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise _no_room() from error

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send it; whoever does not take it in time is left."""
        response = web.StreamResponse(headers=self._head)
        response.content_length = self.size
        await response.prepare(request)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                for piece in self._spool.chunks():
                    await asyncio.wait_for(response.write(piece), WRITE_SECONDS)
                    await asyncio.sleep(0)  # who takes it fast lets nobody else wait either
                await response.write_eof()
        except TimeoutError:
            log.warning("a file was not taken", extra={"octets": self.size})
            _abort(request)
        except BaseException:
            _abort(request)
            raise
        return response

    def close(self) -> None:
        """Delete it."""
        self._spool.close()
        self._downloads.octets -= self.size
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Downloads:
    """The files of one process that are being made or sent; `octets` is their size in all."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.octets = 0

    async def make(self, download: Download) -> MadeFile:
        """The whole file; the caller closes it.

        Raises:
            TooLarge, Unavailable: as `MadeFile.append`.
        """
        file = MadeFile(self, download)
        waiting = bytearray()
        clock = asyncio.get_running_loop().time
        turn_ends = clock() + TURN_SECONDS
        try:
            async with aclosing(_octets(download)) as pieces:
                async for piece in pieces:
                    waiting += piece
                    if len(waiting) >= PIECE_OCTETS:
                        file.append(bytes(waiting))
                        waiting.clear()
                    if clock() > turn_ends:  # rows may come faster than they are waited for
                        await asyncio.sleep(TURN_SECONDS)
                        turn_ends = clock() + TURN_SECONDS
            if waiting:
                file.append(bytes(waiting))
        except BaseException:
            file.close()
            raise
        return file


async def _octets(download: Download) -> AsyncGenerator[bytes, None]:
    async for piece in download.chunks:
        if isinstance(piece, bytes):
            yield piece
        else:
            download.progress.done += piece.count("\n")
            yield piece.encode()


def _no_room() -> Unavailable:
    return Unavailable(
        phrase(
            "too many files are being made and sent; there is no room for another one at"
            " the moment; try again in {retry_seconds} seconds",
            retry_seconds=RETRY_SECONDS,
        ),
        code="busy",
    )


def _abort(request: web.Request) -> None:
    """Half a file must not look like a whole one."""
    if request.transport is not None:
        request.transport.abort()


@dataclass(slots=True)
class LongFile:
    """A file that is being made. object_id: what it is about."""

    action: str
    object_id: str | None
    user_id: UUID
    progress: LongProgress
    failed: bool = True


@asynccontextmanager
async def noted(runtime: Runtime, file: LongFile) -> AsyncIterator[None]:
    """Say how far a file is while it is made, over a connection beside the one that reads it. Where
    that cannot be said, the file is made all the same.
    """
    over = asyncio.Event()
    noting = asyncio.create_task(_note(runtime, file, over))
    try:
        yield
        file.failed = False
    finally:
        over.set()
        try:
            await noting
        except _NOT_SAID:
            log.warning("nobody was told how far a file is", extra={"action": file.action})


async def _note(runtime: Runtime, file: LongFile, over: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(over.wait(), SHOWN_AFTER)
    except TimeoutError:
        pass
    else:
        return
    now, progress = runtime.clock.now, file.progress
    async with runtime.pool.acquire() as conn:
        await store.forget_acts(conn, now() - KEPT, FORGOTTEN_AT_ONCE)
        act = await store.insert_act(
            conn, file.action, file.object_id, file.user_id, now(), begun=True
        )
        async with kept(conn, act.id, progress):
            await over.wait()
        await store.end_act(
            *(conn, act.id, now()),
            done=progress.done,
            total=progress.total,
            failed=file.failed,
        )
