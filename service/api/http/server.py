"""An operation over HTTP: who asks, may they, with what; the answer as a response.

What it does is carried out in `exchange`.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from service.accounts.keys.keys import Caller
from service.api.http import reading, version
from service.api.http.admission import ADMISSION
from service.api.http.audit_entries import RequestOrigin
from service.api.http.auth import address_of, authenticate, printable
from service.api.http.call import Visit
from service.api.http.downloads import MadeFile
from service.api.http.exchange import Asked, Exchange, Replayed, answer_of
from service.api.http.idempotency import REPLAYED, Answer, Ticket, key_of
from service.api.http.limiter import LOGINS_PER_MINUTE, PUBLIC_PER_MINUTE, Limiter, RequestLimit
from service.api.http.op import Op
from service.api.http.problems import language_of
from service.api.http.reads import AS_OF, need_right
from service.web import ENTRY, HEADERS, REQUEST_ID, RUNTIME

JSON = "application/json"
VARY = {"Vary": "Accept-Language"}
"""Sentences in an answer are in the reader's language (docs/api.md)."""
LIMITER = web.AppKey("limiter", Limiter)
EXCHANGE = web.AppKey("exchange", Exchange)


def endpoint(
    op: Op, reader: Op | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What aiohttp calls for an operation; `reader`: the GET of the same address."""

    async def greet(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        visit = await take_visit(request, visits_of(op))
        async with reading.arguments(op, request, runtime, None) as found:
            result = await op.handler(visit, **found)
        language = language_of(request)
        return _response(answer_of(op, result, runtime.settings.zone, language), {})

    async def answer(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        caller = await authenticate(request, runtime)
        limiter = request.config_dict[LIMITER]
        request[HEADERS] = await limiter.take(limiter.limits_of(caller))
        need_right(op, caller)
        key = key_of(request) if op.is_once else None
        with request.config_dict[ADMISSION].in_hand(op, caller.user):
            return await _answered(op, reader, request, caller, key)

    return greet if op.is_open else answer


class VisitLimit(NamedTuple):
    """How many visits from one address are taken in a minute, and what they are counted as."""

    counted_as: str
    a_minute: int


LOGINS = VisitLimit("login", LOGINS_PER_MINUTE)
PUBLIC = VisitLimit("public", PUBLIC_PER_MINUTE)


def visits_of(op: Op) -> VisitLimit:
    """How often an operation without a key may be called from one address."""
    if op.visits:
        return VisitLimit(op.visits, PUBLIC_PER_MINUTE)
    return PUBLIC if op.method == "GET" else LOGINS


async def take_visit(request: web.Request, bound: VisitLimit = LOGINS) -> Visit:
    """A request of somebody who is not known yet, counted by its address.

    Raises:
        TooManyRequests: so many have come from there.
    """
    runtime = request.config_dict[RUNTIME]
    visit = Visit(
        runtime,
        request.config_dict[ENTRY],
        runtime.clock.now(),
        address_of(request, runtime.settings.proxies),
        printable(request.headers.get("User-Agent", "")),
    )
    limit = RequestLimit("address", f"{bound.counted_as}:{visit.address}", bound.a_minute)
    await request.config_dict[LIMITER].take([limit])
    return visit


async def _answered(
    op: Op, reader: Op | None, request: web.Request, caller: Caller, key: str | None
) -> web.StreamResponse:
    """The answer to a caller who may ask."""
    runtime = request.config_dict[RUNTIME]
    large = request.config_dict[ADMISSION].large_body(caller.user)
    async with reading.arguments(op, request, runtime, large) as found:
        mark = reading.fingerprint(runtime.keyring, request, found)
        asked = Asked(
            op,
            caller,
            found,
            RequestOrigin("api", request[REQUEST_ID], mark),
            ticket=Ticket(caller.user.id, caller.id, key, mark, op.replayable) if key else None,
            seen=request.headers.get(version.IF_MATCH),
            reader=reader if op.is_edit else None,
            language=language_of(request),
        )
        result = await request.config_dict[EXCHANGE].run(asked)
        if isinstance(result, MadeFile):
            with result as file:
                return await file.send(request)
        if isinstance(result, Replayed):
            return _response(result.answer, {REPLAYED: "true"})
        return _shown(op, request, result)


def _shown(op: Op, request: web.Request, answer: Answer) -> web.Response:
    """The answer with its version; without its body if the caller has that already."""
    dated = {} if answer.as_of is None else {AS_OF: answer.as_of.isoformat(timespec="seconds")}
    if not answer.tag:
        return _response(answer, dated)
    had = request.headers.get(version.IF_NONE_MATCH)
    if op.method == "GET" and had is not None and version.names(had, answer.tag):
        return web.Response(status=304, headers={version.ETAG: answer.tag, **VARY, **dated})
    return _response(answer, {version.ETAG: answer.tag, **dated})


def _response(answer: Answer, headers: dict[str, str]) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status, headers=headers)
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={**headers, **VARY},
        content_type=JSON,
        charset="utf-8",
    )
