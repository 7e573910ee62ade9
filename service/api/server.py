"""How an operation is answered: who asks, may they, with what; then one transaction.

What the handler writes, its entry in the audit trail, and the answer kept under an Idempotency-Key
are committed together; bells are rung afterwards. A transaction that met another one is run again.
An answer that takes a call to somebody outside is made after the transaction, and is not kept: it
is true only once. A file is sent after the transaction that wrote down who took it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel

from service.accounts.audit import Act
from service.accounts.audit_store import insert_entry
from service.accounts.keys import Caller
from service.api import reading, trail, version
from service.api.auth import address_of, authenticate, printable
from service.api.call import Call, Counted, Download, Later, Visit
from service.api.idempotency import REPLAYED, Answer, Ticket, key_of
from service.api.limiter import LOGINS_PER_MINUTE, Limit, Limiter
from service.api.op import Op
from service.api.reading import Arguments
from service.api.schema import as_json
from service.campaigns.planning import check_mode
from service.errors import TocsinError, Unavailable
from service.runtime import Runtime
from service.storage.postgres import COLLISIONS, Connection
from service.web import HEADERS, REQUEST_ID, RUNTIME

log = logging.getLogger(__name__)

ATTEMPTS = 4
WRITE_SECONDS = 8.0
"""How long whoever gets a file may take over one piece: a connection to the database waits, and
PostgreSQL would end it after ten seconds.
"""
JSON = "application/json"
LIMITER = web.AppKey("limiter", Limiter)


def endpoint(
    op: Op, reader: Op | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What aiohttp calls for an operation; `reader`: the GET of the same address."""

    async def greet(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        visit = Visit(
            runtime,
            runtime.clock.now(),
            address_of(request, runtime.settings.proxies),
            printable(request.headers.get("User-Agent", "")),
        )
        limit = Limit("address", f"login:{visit.address}", LOGINS_PER_MINUTE)
        await request.config_dict[LIMITER].take([limit])
        async with reading.arguments(op, request, runtime) as found:
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
        async with reading.arguments(op, request, runtime) as found:
            mark = reading.fingerprint(runtime.keyring, request, found)
            ticket = Ticket(caller.user.id, caller.id, key, mark, op.kept) if key else None
            exchange = _Exchange(op, request, runtime, caller, mark, ticket)
            exchange.reader = reader if op.edits else None
            return await exchange.run(found)

    return greet if op.is_open else answer


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
        runtime = self._runtime
        async with runtime.pool.acquire(seconds=self._op.seconds) as conn:
            call = Call(
                runtime,
                conn,
                self._caller.user,
                runtime.clock.now(),
                key=self._caller.key,
                session_id=self._caller.session_id,
            )
            try:
                async with conn.transaction():
                    if stored := await self._stored_answer(conn):
                        return _response(stored, {REPLAYED: "true"})
                    result = await self._checked(call, found)
            except TocsinError:
                if stored := await self._answered_meanwhile(conn):
                    return _response(stored, {REPLAYED: "true"})
                raise
            if isinstance(result, TocsinError):
                raise result
            if isinstance(result, Download):
                async with conn.transaction():
                    return await _send(self._request, result)
        for job, ids in call.bells:
            await runtime.queue.ring_once(job, *ids)
        if isinstance(result, Later):
            result = await result.make()
        return self._shown(result if isinstance(result, Answer) else self._answer(result))

    async def _checked(self, call: Call, found: Arguments) -> object:
        """What comes of it, if the key has the right mode and nobody has changed what is edited."""
        if self._op.method != "GET" and "campaign_id" in found:
            await check_mode(call.conn, found["campaign_id"], call.mode)
        if self.reader is not None:
            given = self._request.headers.get(version.IF_MATCH)
            await version.check_unchanged(call, self.reader, found, given)
        return await self._carry_out(call, found)

    async def _carry_out(self, call: Call, found: Arguments) -> object:
        """What the handler answers, written down; its refusal, where what it counted must stay."""
        try:
            result = await self._op.handler(call, **found)
        except Counted as counted:
            return counted.refusal
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
        if not (self._op.method == "GET" or self._op.edits) or not answer.body:
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

    def _act(self, call: Call, found: Arguments, result: object) -> Act:
        return trail.act(self._op, call, found, result, self._request[REQUEST_ID], self._mark)

    async def _write_down(self, call: Call, act: Act | None, answer: Answer | None) -> None:
        """The entry in the audit trail, and the answer for whoever asks again under its key."""
        if self._ticket is not None and answer is not None:
            await self._ticket.keep(call.conn, self._runtime.keyring, answer, act, call.now)
        elif act is not None:
            await insert_entry(call.conn, act)


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


async def _send(request: web.Request, download: Download) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": download.media_type
            + ("; charset=utf-8" if download.media_type.startswith("text/") else ""),
            "Content-Disposition": download.disposition,
        }
    )
    await response.prepare(request)
    try:
        async for chunk in download.chunks:
            piece = chunk if isinstance(chunk, bytes) else chunk.encode()
            if not await _written(response, piece):
                _abort(request)
                return response
    except Exception:
        _abort(request)
        raise
    await response.write_eof()
    return response


async def _written(response: web.StreamResponse, piece: bytes) -> bool:
    """Whether whoever asked has taken a piece in time, all but what fits into buffers."""
    try:
        await asyncio.wait_for(response.write(piece), WRITE_SECONDS)
    except TimeoutError:
        log.warning("a file was not taken", extra={"seconds": WRITE_SECONDS})
        return False
    return True


def _abort(request: web.Request) -> None:
    """Half a file must not look like a whole one."""
    if request.transport is not None:
        request.transport.abort()
