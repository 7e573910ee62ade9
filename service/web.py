"""What the API and the console share: the runtime's key, request ids, and the access log."""

import logging
import re
import secrets
import time

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from service.accounts.sign_in.provider import Provider
from service.logs import log_context, masked, seldom
from service.runtime import Runtime
from service.storage.postgres import Pool
from service.tracing import begin_span

log = logging.getLogger("service.access")

RUNTIME = web.AppKey("runtime", Runtime)
ENTRY = web.AppKey("entry", Pool)
"""Connections for authentication, readiness and callbacks alone: no other request takes them, so
that a caller is known, and a receipt stored, however many reads are in hand.
"""
PROVIDER = web.AppKey("provider", Provider)
"""The provider of single sign-on, where one is set up."""
REQUEST_ID = web.RequestKey("request_id", str)
USER_ID = web.RequestKey("user_id", str)
"""Set once the caller is known, for the access log."""

HEADERS = web.RequestKey("headers", dict[str, str])
"""What every answer to this request says beside its own headers."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""What programs ask for every few seconds: an answer as ever is no line in the log."""

REQUEST_ID_HEADER = "X-Request-Id"
CAUTION = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""What is answered concerns people: no proxy and no browser keeps it, or guesses what it is."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@web.middleware
async def request_log(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, put it on every log line inside, and log how it ended.

    Only the route is logged, never the query: it may hold a phone number.
    """
    request_id = _request_id(request.headers.get(REQUEST_ID_HEADER, ""))
    request[REQUEST_ID] = request_id
    if (route := _route(request)) in PROBES:
        response = await handler(request)
        if response.status >= 400:
            seldom(log, logging.WARNING, "a probe failed", route=route, status=response.status)
        return response
    started = time.perf_counter()
    status = 499  # the caller went away
    span = begin_span(f"{request.method} {route}" if route else "no such address", {})
    with log_context(request_id=request_id):
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            seconds = time.perf_counter() - started
            _log_access(request, status, seconds)
            figures = request.config_dict[RUNTIME].figures
            figures.note_request(request.method, _route(request), status, seconds)
            span.note({"http.route": route, "http.response.status_code": status})
            span.end()
    return response


def _request_id(given: str) -> str:
    """The caller's id if it is harmless, else a new one.

    Answers and logs mask what looks like a mobile number, and the id must read the same
    everywhere: so a given one that does is not taken, and a new one has no run of 11 digits.
    """
    if _GIVEN_ID.fullmatch(given) and masked(given) == given:
        return given
    return "-".join(secrets.token_hex(4) for _ in range(4))


def _route(request: web.Request) -> str:
    """The address as the program has it, without what a caller put into it."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def _log_access(request: web.Request, status: int, seconds: float) -> None:
    log.info(
        "request",
        extra={
            "method": request.method,
            "route": _route(request),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "user_id": request.get(USER_ID, ""),
        },
    )


def shorten_malformed(record: logging.LogRecord) -> bool:
    """A filter of aiohttp's log: octets that are no HTTP make one line, instead of a traceback with
    the request in it, which may name a person. The caller is told what is wrong: 400.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        first, _, request = error.message.partition("\n")
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args, record.exc_info = "a request was malformed", (), None
        record.why = first if request else type(error).__name__
    return True


async def show_request_id(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Tell the caller the request's id, and the like, as the answer's head is about to leave."""
    for name, value in CAUTION.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "tocsin"  # and of which version is nobody's business
    response.headers[REQUEST_ID_HEADER] = request.get(REQUEST_ID, "")
    response.headers.update(request.get(HEADERS, {}))
