"""How much of one API process a caller may have at once, so that reading stops nobody else.

The tokens of one caller are looked up one after the other, so that whoever asks again and again
keeps nobody else from being known (decision 0395). A heavy operation (`Op.heavy`) counts, lists,
checks or makes a file of so much that a few at once would take the whole machine. A caller has two
of them in hand at once and is refused a third. Of the connections to PostgreSQL, all heavy
operations together take half, and those of one department leave one of these to others. Reads and
heavy operations leave two connections to whoever changes something (approves, pauses, stops all),
and those of one caller take half. Whoever finds no room waits in the order of coming, and only so
long.

A caller is a person: several keys of one person are one caller. Whose a token is, is known once it
was looked up; until then it counts for its address. Counts are those of one process.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from uuid import UUID

from aiohttp import web

from service.accounts.people.model import User
from service.api.http.op import Op
from service.errors import TooMany, Unavailable
from service.storage.postgres import WAIT_SECONDS
from service.words.phrase import phrase

HEAVY_AT_ONCE = 2
"""Heavy requests that one caller may have in hand at once in one process."""

LARGE_AT_ONCE = 2
"""Large bodies of one caller that are read at once in one process; others wait."""

RETRY_SECONDS = 5
"""When whoever was refused may try again: most heavy requests take less."""

LOOKED_UP_AT_ONCE = 1
"""Tokens of one caller that are looked up at once in one process; others wait. With as many unknown
ones of the same address, a person keeps half of the connections of `ENTRY` busy.
"""

MOST_REMEMBERED = 10_000
"""Of so many tokens is remembered whose they are."""

FOR_CHANGES = 2
"""Connections that reads leave alone."""


class TooManyAtOnce(TooMany):
    """The caller has as many heavy requests in hand as one may have."""

    code = "too_many_at_once"

    def __init__(self) -> None:
        super().__init__(
            phrase(
                "{heavy_at_once} of your requests for previews, counts, reports, lists or"
                " files are still being answered, and more are not taken at once; wait for"
                " one of them, or try again in {retry_seconds} seconds",
                heavy_at_once=HEAVY_AT_ONCE,
                retry_seconds=RETRY_SECONDS,
            ),
            RETRY_SECONDS,
        )


class _Shares:
    """So many places at once for each of a kind of thing; forgotten when nobody holds or waits."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._of: dict[UUID | str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def place(self, whose: UUID | str) -> AsyncIterator[None]:
        """One of the places, waited for."""
        places, users = self._of.setdefault(whose, (asyncio.Semaphore(self._places), []))
        users.append(None)
        try:
            async with places:
                yield
        finally:
            users.pop()
            if not users:
                del self._of[whose]


class Admission:
    """The requests in hand of one process. connections: of its pool."""

    def __init__(self, connections: int) -> None:
        heavy = max(1, connections // 2)
        self._heavy_of: Counter[UUID] = Counter()
        self._departments = _Shares(max(1, heavy - 1))
        self._heavy = asyncio.Semaphore(heavy)
        self._lookups = _Shares(LOOKED_UP_AT_ONCE)
        self._callers: dict[bytes, UUID] = {}
        self._bodies = _Shares(LARGE_AT_ONCE)
        self._pages = _Shares(HEAVY_AT_ONCE)
        self._readers = _Shares(max(1, connections // 2))
        self._reads = asyncio.Semaphore(max(1, connections - FOR_CHANGES))

    @asynccontextmanager
    async def looked_up(self, token: str, address: str) -> AsyncIterator[None]:
        """A place to look a token up, in the order of coming.

        Raises:
            Unavailable: code `busy`: there was none for as long as a request may wait.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    whose = self._callers.get(_digest(token), address)
                    await stack.enter_async_context(self._lookups.place(whose))
            except TimeoutError:
                raise _not_looked_up() from None
            yield

    def remember(self, token: str, user: User) -> None:
        """Note whose a token is: it never becomes another's."""
        self._callers[_digest(token)] = user.id
        if len(self._callers) > MOST_REMEMBERED:
            del self._callers[next(iter(self._callers))]

    @contextmanager
    def in_hand(self, op: Op, user: User) -> Iterator[None]:
        """A request from its body to the last octet of its answer, if it is heavy.

        Raises:
            TooManyAtOnce: the caller has as many heavy ones in hand as one may have.
        """
        if not op.heavy:
            yield
            return
        if self._heavy_of[user.id] >= HEAVY_AT_ONCE:
            raise TooManyAtOnce
        self._heavy_of[user.id] += 1
        try:
            yield
        finally:
            self._heavy_of[user.id] -= 1
            if not self._heavy_of[user.id]:
                del self._heavy_of[user.id]

    @asynccontextmanager
    async def large_body(self, user: User) -> AsyncIterator[None]:
        """A place to read a large body, in the order of coming.

        Raises:
            Unavailable: code `busy`: there was none for as long as a request may wait.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await stack.enter_async_context(self._bodies.place(user.id))
            except TimeoutError:
                raise busy() from None
            yield

    @asynccontextmanager
    async def heavy_page(self, user: User) -> AsyncIterator[None]:
        """A heavy page of a person, in the order of coming: who walks from page to page does not
        see what the last one still counts for them, so a third waits instead of being refused.

        Raises:
            Unavailable: code `busy`: there was no room for as long as a request may wait.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await stack.enter_async_context(self._pages.place(user.id))
            except TimeoutError:
                raise busy() from None
            yield

    @asynccontextmanager
    async def at_work(self, user: User, *, heavy: bool) -> AsyncIterator[None]:
        """The part of a read or a heavy request that works with the database, in the order of
        coming.

        Raises:
            Unavailable: code `busy`: there was no room for as long as a request may wait.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    if heavy:
                        await stack.enter_async_context(self._departments.place(user.department_id))
                        await stack.enter_async_context(self._heavy)
                    await stack.enter_async_context(self._readers.place(user.id))
                    await stack.enter_async_context(self._reads)
            except TimeoutError:
                raise busy() from None
            yield


ADMISSION = web.AppKey("admission", Admission)


def _digest(token: str) -> bytes:
    """What stands for a token, which itself is kept nowhere."""
    return hashlib.sha256(token.encode()).digest()


def _not_looked_up() -> Unavailable:
    """The answer to whose key was not looked up: one look-up takes milliseconds, so the database
    does not answer, or the caller's other requests are far too many.
    """
    return Unavailable(
        phrase(
            "your requests are many, or the database does not answer: the key of this one"
            " was not looked up in {wait_seconds:g} seconds and nothing of it was done; try"
            " again in {retry_seconds} seconds",
            wait_seconds=WAIT_SECONDS,
            retry_seconds=RETRY_SECONDS,
        ),
        code="busy",
    )


def busy() -> Unavailable:
    """The answer to whoever found no room, or no free connection, in time."""
    return Unavailable(
        phrase(
            "the server has as many requests in hand as it can; this one waited for"
            " {wait_seconds:g} seconds and nothing of it was done; try again in"
            " {retry_seconds} seconds",
            wait_seconds=WAIT_SECONDS,
            retry_seconds=RETRY_SECONDS,
        ),
        code="busy",
    )
