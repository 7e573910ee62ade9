"""How an operation is answered: who asks, may they, with what; then one transaction.

What the handler writes, and the answer kept under an Idempotency-Key, are committed together;
bells are rung afterwards. A transaction that met another one is run again. An answer that takes a
call to somebody outside is made after the transaction, and is not kept: it is true only once.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import BaseModel

from service.accounts.model import User
from service.api import reading
from service.api.auth import authenticate
from service.api.call import Call, Download, Later
from service.api.idempotency import REPLAYED, Answer, Ticket, key_of
from service.api.op import Op
from service.api.reading import Arguments
from service.errors import Unavailable
from service.runtime import Runtime
from service.storage.postgres import COLLISIONS, transaction
from service.web import RUNTIME

ATTEMPTS = 4
JSON = "application/json"


def endpoint(op: Op) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What aiohttp calls for an operation."""

    async def answer(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        user = await authenticate(request, runtime)
        user.need(op.right)
        key = key_of(request)
        async with reading.arguments(op, request, runtime) as found:
            mark = reading.fingerprint(runtime.keyring, request, found)
            ticket = Ticket(user.id, key, mark) if key else None
            return await _Exchange(op, request, runtime, user, ticket).run(found)

    return answer


class _Exchange:
    """One request whose caller and arguments are known."""

    def __init__(
        self, op: Op, request: web.Request, runtime: Runtime, user: User, ticket: Ticket | None
    ) -> None:
        self._op = op
        self._request = request
        self._runtime = runtime
        self._user = user
        self._ticket = ticket

    async def run(self, found: Arguments) -> web.StreamResponse:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(found)
            except COLLISIONS:
                continue
        raise Unavailable("too many others are changing the same things; try again")

    async def _attempt(self, found: Arguments) -> web.StreamResponse:
        runtime = self._runtime
        async with transaction(runtime.pool) as conn:
            call = Call(runtime, conn, self._user, runtime.clock.now())
            if self._ticket and (stored := await self._ticket.stored_answer(conn, runtime.keyring)):
                return _response(stored, {REPLAYED: "true"})
            result = await self._op.handler(call, **found)
            if isinstance(result, Download):
                return await _send(self._request, result)
            answer = _answer(self._op, result)
            if self._ticket and not isinstance(result, Later):
                await self._ticket.keep(conn, runtime.keyring, answer, call.now)
        for job, ids in call.bells:
            await runtime.queue.ring(job, *ids)
        if isinstance(result, Later):
            answer = _answer(self._op, await result.make())
        return _response(answer, {})


def _answer(op: Op, result: object) -> Answer:
    if not isinstance(result, BaseModel):
        return Answer(op.status, b"")
    return Answer(op.status, result.model_dump_json(by_alias=True).encode())


def _response(answer: Answer, headers: dict[str, str]) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status, headers=headers)
    return web.Response(
        status=answer.status, body=answer.body, headers=headers, content_type=JSON, charset="utf-8"
    )


async def _send(request: web.Request, download: Download) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": f"{download.media_type}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{download.file_name}"',
        }
    )
    await response.prepare(request)
    async for chunk in download.chunks:
        await response.write(chunk.encode())
    await response.write_eof()
    return response
