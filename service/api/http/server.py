"""How an operation is answered: who asks, may they, with what; then one transaction.

What the handler writes, its entry in the audit trail, and the answer kept under an Idempotency-Key
are committed together; jobs are enqueued afterwards. A transaction that met another one is run
again. An answer that takes a call to somebody outside is made after the transaction, and is not
kept: it is true only once. A file is made after the transaction that wrote down who took it, and
sent once its connection to the database is free again (`downloads`).

What heavy requests and reads may have at once is in `admission`. A statement, and a request as a
whole, has a time limit; whoever passes it is told what to ask for instead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.keys.keys import Caller
from service.api.http import audit_entries, reading, version
from service.api.http.admission import ADMISSION, busy
from service.api.http.auth import address_of, authenticate, printable
from service.api.http.call import Call, Counted, Download, Later, Visit
from service.api.http.downloads import Downloads, MadeFile
from service.api.http.idempotency import REPLAYED, Answer, Ticket, key_of
from service.api.http.limiter import LOGINS_PER_MINUTE, Limiter, RequestLimit
from service.api.http.op import Op
from service.api.http.problems import TooLong
from service.api.http.reading import Arguments
from service.api.http.schema import Out, as_json
from service.errors import TocsinError, Unavailable
from service.runtime import Runtime
from service.storage.postgres import (
    COLLISIONS,
    Busy,
    Connection,
    StatementTimeout,
    limit_statements,
)
from service.web import ENTRY, HEADERS, REQUEST_ID, RUNTIME

ATTEMPTS = 4
WHOLE = 5
"""A request as a whole may take so many times as long as one of its statements."""
GRACE_SECONDS = 3.0
"""So much later than the server a statement is ended on this side, where the server is silent."""
JSON = "application/json"
LIMITER = web.AppKey("limiter", Limiter)
DOWNLOADS = web.AppKey("downloads", Downloads)


def endpoint(
    op: Op, reader: Op | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What aiohttp calls for an operation; `reader`: the GET of the same address."""

    async def greet(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        visit = Visit(
            runtime,
            request.config_dict[ENTRY],
            runtime.clock.now(),
            address_of(request, runtime.settings.proxies),
            printable(request.headers.get("User-Agent", "")),
        )
        limit = RequestLimit("address", f"login:{visit.address}", LOGINS_PER_MINUTE)
        await request.config_dict[LIMITER].take([limit])
        async with reading.arguments(op, request, runtime, None) as found:
            return _response(
                _answer(op, await op.handler(visit, **found), runtime.settings.zone), {}
            )

    async def answer(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        caller = await authenticate(request, runtime)
        limiter = request.config_dict[LIMITER]
        request[HEADERS] = await limiter.take(limiter.limits_of(caller))
        if op.right is not None:
            caller.user.need(op.right)
        op.need_key(caller.key)
        key = key_of(request) if op.is_once else None
        with request.config_dict[ADMISSION].in_hand(op, caller.user):
            return await _answered(op, reader, request, caller, key)

    return greet if op.is_open else answer


async def _answered(
    op: Op, reader: Op | None, request: web.Request, caller: Caller, key: str | None
) -> web.StreamResponse:
    """The answer to a caller who may ask."""
    runtime = request.config_dict[RUNTIME]
    large = request.config_dict[ADMISSION].large_body(caller.user)
    async with reading.arguments(op, request, runtime, large) as found:
        mark = reading.fingerprint(runtime.keyring, request, found)
        ticket = Ticket(caller.user.id, caller.id, key, mark, op.replayable) if key else None
        exchange = _Exchange(op, request, runtime, caller, mark, ticket)
        exchange.reader = reader if op.is_edit else None
        return await exchange.run(found)


class _Replayed(NamedTuple):
    """The answer that the same request had before."""

    answer: Answer


class _Exchange:
    """One request whose caller and arguments are known; `mark` tells it from others."""

    def __init__(
        self,
        op: Op,
        request: web.Request,
        runtime: Runtime,
        caller: Caller,
        mark: bytes,
        ticket: Ticket | None,
    ) -> None:
        self._op = op
        self._request = request
        self._runtime = runtime
        self._caller = caller
        self._mark = mark
        self._ticket = ticket
        self.reader: Op | None = None

    async def run(self, found: Arguments) -> web.StreamResponse:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(found)
            except COLLISIONS:
                continue
        raise Unavailable("too many others are changing the same things; try again")

    async def _attempt(self, found: Arguments) -> web.StreamResponse:
        call, result = await self._in_time(found)
        if isinstance(result, _Replayed):
            return _response(result.answer, {REPLAYED: "true"})
        if isinstance(result, MadeFile):
            with result as file:
                return await file.send(self._request)
        for job, ids in call.jobs:
            await self._runtime.queue.enqueue_once(job, *ids)
        if isinstance(result, Later):
            result = await result.make()
        return self._shown(result if isinstance(result, Answer) else self._answer(result))

    async def _in_time(self, found: Arguments) -> tuple[Call, object]:
        """What comes of it, if there is room and it does not take too long.

        Raises:
            Unavailable: code `busy`: no room, or no free connection.
            TooLong: a statement, or all of it, passed its limit; nothing was changed.
        """
        op = self._op
        try:
            if not (op.is_read or op.heavy):
                return await self._worked(found)
            return await self._ended(found)
        except StatementTimeout:
            raise TooLong(op.seconds) from None
        except Busy:
            raise busy() from None

    async def _ended(self, found: Arguments) -> tuple[Call, object]:
        """What comes of a read or a heavy request: in its turn, and a read with an end."""
        op = self._op
        ends = op.is_read or op.out is Download
        try:
            async with (
                asyncio.timeout(WHOLE * op.seconds if ends else None) as whole,
                self._request.config_dict[ADMISSION].at_work(op, self._caller.user),
            ):
                if op.read_file is not None and "listed" not in found:
                    found["listed"] = await op.read_file(found["body"], found["file"])
                return await self._worked(found)
        except TimeoutError:
            if whole.expired():
                raise TooLong(WHOLE * op.seconds) from None
            raise

    async def _worked(self, found: Arguments) -> tuple[Call, object]:
        """What the handler answers: its transaction is over, and a file is made."""
        runtime, op = self._runtime, self._op
        grace = GRACE_SECONDS if op.is_bounded else 0
        async with runtime.pool.acquire(seconds=op.seconds + grace) as conn:
            call = Call(
                runtime,
                conn,
                self._caller.user,
                runtime.clock.now(),
                key=self._caller.key,
                session_id=self._caller.session_id,
            )
            try:
                async with self._transaction(conn):
                    if stored := await self._stored_answer(conn):
                        return call, _Replayed(stored)
                    result = await self._checked(call, found)
            except TocsinError:
                if stored := await self._answered_meanwhile(conn):
                    return call, _Replayed(stored)
                raise
            if isinstance(result, TocsinError):
                raise result
            if isinstance(result, Download):
                async with self._transaction(conn):
                    result = await self._request.config_dict[DOWNLOADS].make(result)
            return call, result

    @asynccontextmanager
    async def _transaction(self, conn: Connection) -> AsyncIterator[None]:
        """A transaction whose statements the server ends in time, where they may take long."""
        async with conn.transaction():
            if self._op.is_bounded:
                await limit_statements(conn, self._op.seconds)
            yield

    async def _checked(self, call: Call, found: Arguments) -> object:
        """What comes of it, if the caller may touch it and nobody has changed what is edited."""
        if self._op.guard is not None:
            await self._op.guard(call, found)
        if self.reader is not None:
            given = self._request.headers.get(version.IF_MATCH)
            before = await version.check_unchanged(call, self.reader, found, given)
            return await self._carry_out(call, found, before)
        return await self._carry_out(call, found)

    async def _carry_out(self, call: Call, found: Arguments, before: Out | None = None) -> object:
        """What the handler answers, written down; its refusal, where what it counted must stay.

        before: what is edited, as it was.
        """
        try:
            result = await self._op.handler(call, **found)
        except Counted as counted:
            return counted.refusal
        if before is not None and isinstance(result, Out):
            call.note(**audit_entries.changes(self._op, before, result))
        act = self._act(call, found, result) if self._op.audited else None
        if isinstance(result, Download | Later):
            await self._write_down(call, act, None)
            return result
        answer = self._answer(result)
        await self._write_down(call, act, answer)
        return answer

    def _answer(self, result: object) -> Answer:
        return _answer(self._op, result, self._runtime.settings.zone)

    def _shown(self, answer: Answer) -> web.Response:
        """The answer with its version; without its body if the caller has that already."""
        if not (self._op.method == "GET" or self._op.is_edit) or not answer.body:
            return _response(answer, {})
        tag = version.tag_of(answer.body, getattr(self._op.out, "BY_THE_CLOCK", frozenset()))
        had = self._request.headers.get(version.IF_NONE_MATCH)
        if self._op.method == "GET" and had is not None and version.names(had, tag):
            return web.Response(status=304, headers={version.ETAG: tag})
        return _response(answer, {version.ETAG: tag})

    async def _stored_answer(self, conn: Connection) -> Answer | None:
        if self._ticket is None:
            return None
        return await self._ticket.stored_answer(conn, self._runtime.keyring)

    async def _answered_meanwhile(self, conn: Connection) -> Answer | None:
        """The answer of the same request, committed in the very moment in which it was looked for:
        what it has done is why this one is refused.
        """
        if self._ticket is None:
            return None
        async with conn.transaction():
            return await self._stored_answer(conn)

    def _act(self, call: Call, found: Arguments, result: object) -> AuditAct:
        return audit_entries.act(
            self._op, call, found, result, self._request[REQUEST_ID], self._mark
        )

    async def _write_down(self, call: Call, act: AuditAct | None, answer: Answer | None) -> None:
        """The entry in the audit trail, and the answer for whoever asks again under its key."""
        if self._ticket is not None and answer is not None:
            await self._ticket.keep(call.conn, self._runtime.keyring, answer, act, call.now)
        elif act is not None:
            await insert_entry(call.conn, self._runtime.keyring, act)


def _answer(op: Op, result: object, zone: ZoneInfo) -> Answer:
    if not isinstance(result, BaseModel):
        return Answer(op.status, b"")
    return Answer(op.status, as_json(result, zone))


def _response(answer: Answer, headers: dict[str, str]) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status, headers=headers)
    return web.Response(
        status=answer.status, body=answer.body, headers=headers, content_type=JSON, charset="utf-8"
    )
