"""Errors as RFC 9457 problem+json: one table from error class to status.

`type` is stable, and the address of its page (see `catalogue`), `detail` a plain sentence, `fields`
what is wrong with each field and how to mend it. No value that was sent comes back. All of them are
in the language that `Accept-Language` asks for, in English without one.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from service.api.http.admission import busy
from service.clock import written
from service.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Misconfigured,
    NotFound,
    TocsinError,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from service.logs import masked
from service.storage.postgres import UNREACHABLE, Busy, OutOfRoom, TooManyConnections, TooSlow
from service.web import REQUEST_ID, RUNTIME
from service.words.catalogues import chosen
from service.words.phrase import Phrase, listing, phrase, translated
from service.words.terms import term
from service.words.validation import fault

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "/problems/"
"""Of the address of a problem's page, which its code ends."""
MOST_FIELDS = 100
"""So many faults of one body are told; whoever mends them is told of the next."""


class MalformedRequest(TocsinError):
    """The request cannot be read at all."""

    code = "malformed"


class Unauthorized(Unauthenticated):
    """Nobody we know is asking."""


class Slow(TocsinError):
    """The body does not come."""

    code = "too_slow"


class Stale(TocsinError):
    """What is to be edited is not what the caller had seen."""

    code = "stale"


class TooLarge(TocsinError):
    """The body is larger than is taken."""

    code = "too_large"


class TooLong(Invalid):
    """What is asked for takes longer than a request may."""

    code = "takes_too_long"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            phrase(
                "this took longer than {seconds:g} seconds and was stopped; nothing was changed."
                " The rule, the list or the span of days is too large: ask for less of it (one"
                " area, one roster, fewer days, a smaller limit)",
                seconds=seconds,
            )
        )


class Unsupported(TocsinError):
    """The body is of another type than is taken."""

    code = "unsupported_media_type"


STATUS: dict[type[TocsinError], int] = {
    MalformedRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Slow: 408,
    Conflict: 409,
    Stale: 412,
    TooMany: 429,
    TooLarge: 413,
    Unsupported: 415,
    Invalid: 422,
    Misconfigured: 500,
    Unavailable: 503,
}

TITLES = {
    400: phrase("The request cannot be read"),
    401: phrase("A valid key is needed"),
    403: phrase("You may not do this"),
    404: phrase("There is no such thing"),
    405: phrase("This address does not take this method"),
    408: phrase("The body came too slowly"),
    409: phrase("The present state does not allow this"),
    412: phrase("It has changed since you saw it"),
    413: phrase("The body is too large"),
    415: phrase("The body is of the wrong type"),
    422: phrase("The input is wrong"),
    429: phrase("Too many requests"),
    500: phrase("Something went wrong on our side"),
    503: phrase("Something we depend on cannot be reached"),
}

HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="tocsin"'},
    429: {"Retry-After": "60"},
    503: {"Retry-After": "5"},
}


def status_of(error: TocsinError) -> int:
    """The status of an error: that of the nearest class in the table."""
    return next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)


def invalid(
    error: ValidationError, *, what: str, of: Callable[[Mapping[str, Any]], str] = fault
) -> TocsinError:
    """What Pydantic found wrong, as our own error. of: the sentence of one fault."""
    fields: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False)[:MOST_FIELDS]:
        if item["type"] == "json_invalid":
            why = item["msg"].removeprefix("Invalid JSON: ")
            return MalformedRequest(phrase("the body is not JSON: {fault}", fault=why))
        path = ".".join(str(part) for part in item["loc"] if "[" not in str(part)) or what
        said = of(item)
        fields[path] = listing((fields[path], said), "; or: ") if path in fields else said
    return Invalid(
        phrase("the {what} is wrong: {names}", what=term(what), names=listing(fields)),
        fields=fields,
    )


@web.middleware
async def as_problem(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error below as a problem."""
    try:
        return await handler(request)
    except TocsinError as error:
        return _of_error(request, error)
    except web.HTTPException as error:
        return _of_http(request, error)
    except Busy as error:
        log.warning("no connection to the database was free", extra={"why": repr(error)})
        return _of_error(request, busy())
    except UNREACHABLE as error:
        slow = isinstance(error, TooSlow)
        log.warning(
            "database %s", "too slow" if slow else "unreachable", extra={"why": repr(error)}
        )
        return _of_error(request, Unavailable(_why_unreachable(error)))
    except Exception:
        log.exception("unexpected error")
        said = phrase("an unexpected error, which has been logged")
        return problem(request, 500, "error", said)


def _why_unreachable(error: Exception) -> Phrase:
    if isinstance(error, TooSlow):
        return phrase("the database takes too long; try again soon")
    if isinstance(error, TooManyConnections):
        return phrase("the database has no connection free; try again soon")
    if isinstance(error, OutOfRoom):
        return phrase("the database has no room left on its disk; try again soon")
    return phrase("the database cannot be reached; try again soon")


def _of_error(request: web.Request, error: TocsinError) -> web.Response:
    status = status_of(error)
    response = problem(request, status, error.code, error.message, error.details())
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.seconds)
    return response


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses: unknown addresses and methods, oversized bodies."""
    details = {
        404: ("not_found", phrase("there is nothing at this address")),
        405: (
            "method_not_allowed",
            phrase("this address does not take {method}", method=request.method),
        ),
        413: ("too_large", phrase("the body is larger than 1 MiB")),
    }
    code, sentence = details.get(error.status, ("error", error.reason))
    response = problem(request, error.status, code, sentence)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def problem(
    request: web.Request,
    status: int,
    code: str,
    detail: str,
    extras: Mapping[str, object] | None = None,
) -> web.Response:
    """A problem as a response."""
    zone = request.config_dict[RUNTIME].settings.zone
    language = language_of(request)

    def shown(item: object) -> object:
        return written(item, zone) if isinstance(item, datetime) else str(item)

    body = {
        "type": PREFIX + code,
        "title": TITLES.get(status, detail),
        "status": status,
        "detail": detail,
        "request_id": request.get(REQUEST_ID, ""),
        **(extras or {}),
    }
    text = json.dumps(_read_in(language, body), ensure_ascii=False, default=shown)
    return web.Response(
        status=status,
        body=masked(text).encode("utf-8", "replace"),
        headers={
            "Content-Type": MEDIA_TYPE,
            "Content-Language": language,
            "Vary": "Accept-Language",
            **HEADERS.get(status, {}),
        },
    )


def language_of(request: web.Request) -> str:
    """The language that the caller asks for; English, if for none of ours."""
    return chosen(",".join(request.headers.getall("Accept-Language", [])), "en")


def _read_in(language: str, value: object) -> object:
    """What a problem has, its sentences in a language: a program asks for them in one."""
    if isinstance(value, Mapping):
        return {name: _read_in(language, one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_read_in(language, one) for one in value]
    return translated(value, language) if isinstance(value, Phrase) else value
