"""A request into the arguments of a handler: path, query, JSON body, or a form with a file."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from service.api.http.op import Arguments, Op
from service.api.http.problems import MalformedRequest, Slow, TooLarge, Unsupported, invalid
from service.api.http.schema import MAX_INT
from service.api.http.upload import CHUNK_OCTETS, Upload, file_name_of
from service.crypto import Keyring
from service.errors import Invalid, NotFound
from service.runtime import Runtime
from service.words.phrase import listing, phrase

FIELD_OCTETS = 64 * 1024
MAX_FORM_PARTS = 20
LARGE_OCTETS = 64 * 1024
"""A JSON body that is larger is read in a thread, and few of one caller at once."""
READ_SECONDS = 30.0
"""How long a JSON body may take as a whole, and a form from one piece to the next."""
MOST_DIGITS = 100
MOST_NAMES = 1_000
"""In one object; no operation takes as many."""
_FILE = "file"
_ILL_FORMED = (
    ValueError,
    RuntimeError,
    AssertionError,
    HttpProcessingError,
    web.RequestPayloadError,
)
"""What aiohttp's reader of forms raises at what is none."""

ReadT = TypeVar("ReadT")


@asynccontextmanager
async def arguments(
    op: Op, request: web.Request, runtime: Runtime, large: AbstractAsyncContextManager[None] | None
) -> AsyncIterator[Arguments]:
    """The arguments of the handler; a file among them is deleted at the end.

    large: the caller's place for a large body; None: whoever is not known yet sends none.

    Raises:
        Malformed, TooLarge, Unsupported, Invalid, NotFound: as the request deserves.
    """
    found = _path(op, request)
    if op.body is not None and request.headers.get("Content-Encoding", "identity") != "identity":
        raise Unsupported(phrase("the body must not be packed: send it without a Content-Encoding"))
    if op.query is not None:
        found["query"] = _query(op.query, request)
    if op.takes_file and op.body is not None:
        async with _form(op.body, request, runtime) as form:
            yield found | form
        return
    if op.body is not None:
        found["body"] = await _json(op, op.body, request, large)
    yield found


def fingerprint(keyring: Keyring, request: web.Request, found: Arguments) -> bytes:
    """What tells a request from another one under the same Idempotency-Key.

    Keyed, since a hash of a body with nothing but a phone number could be found by trying.
    """
    body = found["body"].model_dump_json() if "body" in found else ""
    file = found[_FILE].sha256 if _FILE in found else ""
    return keyring.index("request", "\n".join([request.method, request.path_qs, body, file]))


def _path(op: Op, request: web.Request) -> Arguments:
    try:
        return {name: kind(request.match_info[name]) for name, kind in _readers(op).items()}
    except ValueError as error:
        raise NotFound(phrase("there is no such thing: the address has a malformed id")) from error


def _readers(op: Op) -> Mapping[str, Any]:
    known = {int: _channel_id, str: _name}
    return {name: known.get(kind, kind) for name, kind in op.parameters.items()}


def _name(text: str) -> str:
    """A name that something may have: PostgreSQL keeps no NUL, and UTF-8 no half of a pair."""
    text.encode()
    if "\0" in text:
        raise ValueError(text)
    return text


def _channel_id(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= MAX_INT:
        raise ValueError(text)
    return number


def _query(model: type[BaseModel], request: web.Request) -> BaseModel:
    given = request.query
    twice = sorted({name for name in given if len(given.getall(name)) > 1})
    if twice:
        raise Invalid(
            phrase("the query is wrong: {twice}", twice=listing(twice)),
            fields=dict.fromkeys(twice, phrase("give it once")),
        )
    return _validated(model, dict(given), what="query")


async def _json(
    op: Op,
    model: type[BaseModel],
    request: web.Request,
    large: AbstractAsyncContextManager[None] | None,
) -> BaseModel:
    if (request.content_length or 0) > request.client_max_size:
        raise TooLarge(
            phrase(
                "the body is larger than {client_max_size:,} octets",
                client_max_size=request.client_max_size,
            )
        )
    if request.body_exists and (request.content_length or LARGE_OCTETS + 1) > LARGE_OCTETS:
        if large is None:
            raise TooLarge(
                phrase(
                    "the body is larger than {large_octets:,} octets, or of no known size",
                    large_octets=LARGE_OCTETS,
                )
            )
        async with large:
            raw = await _raw(op, request)
            return await asyncio.to_thread(_modelled, op, model, raw)
    return _modelled(op, model, await _raw(op, request))


async def _raw(op: Op, request: web.Request) -> bytes:
    raw = await in_time(request.read())
    if raw or not op.body_optional:
        _check_json(request)
    return raw


def _modelled(op: Op, model: type[BaseModel], raw: bytes) -> BaseModel:
    if raw or not op.body_optional:
        check_plain(raw)
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise invalid(error, what="body") from error


async def in_time(reading: Awaitable[ReadT]) -> ReadT:
    """What is read, unless it takes too long: nobody holds a place by dripping octets.

    Raises:
        Slow: it does.
    """
    try:
        return await asyncio.wait_for(reading, READ_SECONDS)
    except TimeoutError as error:
        raise Slow(
            phrase(
                "the body did not come within {read_seconds:g} seconds; send it anew",
                read_seconds=READ_SECONDS,
            )
        ) from error


def check_plain(raw: bytes) -> None:
    """Refuse JSON that two readers could read differently, or that is made to hurt one.

    Raises:
        MalformedRequest: a name twice in one object, or very many names; a number with very many
            digits; deep nesting.
            What is no JSON at all is for the reader to say.
    """
    try:
        json.loads(raw or b"{}", object_pairs_hook=_once, parse_int=_short, parse_float=_short)
    except RecursionError as error:
        raise MalformedRequest(phrase("the body is nested too deeply")) from error
    except ValueError:
        return


def _once(pairs: list[tuple[str, object]]) -> None:
    if len(pairs) > MOST_NAMES:
        raise MalformedRequest(
            phrase(
                "the body has an object of more than {most_names:,} names", most_names=MOST_NAMES
            )
        )
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedRequest(phrase("the body has a name twice in one object; give each once"))


def _short(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise MalformedRequest(
            phrase(
                "the body has a number of more than {most_digits} characters",
                most_digits=MOST_DIGITS,
            )
        )
    return 0


def _check_json(request: web.Request) -> None:
    charset = (request.charset or "utf-8").lower()
    if request.content_type != "application/json" or charset not in {"utf-8", "utf8"}:
        raise Unsupported(phrase("the body must be application/json in UTF-8"))


@asynccontextmanager
async def _form(
    model: type[BaseModel], request: web.Request, runtime: Runtime
) -> AsyncIterator[Arguments]:
    async with form_and_file(request, runtime) as (fields, upload):
        body = _validated(model, fields, what="form")
        if upload is None:
            raise Invalid(
                phrase("the form has no file"), fields={_FILE: phrase("attach the contact file")}
            )
        yield {"body": body, _FILE: upload}


@asynccontextmanager
async def form_and_file(
    request: web.Request, runtime: Runtime
) -> AsyncIterator[tuple[dict[str, str], Upload | None]]:
    """The fields of a form, and the file that came with it, which is deleted at the end.

    Raises:
        Malformed, TooLarge, Unsupported, Slow, Invalid: as the request deserves.
    """
    if request.content_type != "multipart/form-data":
        raise Unsupported(phrase("the body must be multipart/form-data"))
    limit = runtime.settings.import_max_bytes
    if (request.content_length or 0) > limit + MAX_FORM_PARTS * FIELD_OCTETS:
        raise TooLarge(
            phrase("the file is larger than {limit:,} octets; split it into several", limit=limit)
        )
    fields: dict[str, str] = {}
    upload: Upload | None = None
    try:
        async for part in _parts(request):
            name = part.name or ""
            if name in fields or (name == _FILE and upload is not None):
                raise Invalid(
                    phrase("the form has {name} twice", name=name),
                    fields={name: phrase("give it once")},
                )
            if name == _FILE:
                upload = Upload(runtime.keyring, file_name_of(part.filename or ""))
                await _spool(part, upload, limit)
            else:
                fields[name] = await _field(part)
        yield fields, upload
    finally:
        if upload is not None:
            upload.close()


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    reader = await _of_form(request.multipart())
    for _ in range(MAX_FORM_PARTS):
        part = await _of_form(reader.next())
        if part is None:
            return
        if not isinstance(part, BodyPartReader) or not part.name:
            raise MalformedRequest(phrase("every part of the form must be a field with a name"))
        yield part
    raise MalformedRequest(
        phrase("a form has at most {max_form_parts} parts", max_form_parts=MAX_FORM_PARTS)
    )


async def _of_form(reading: Awaitable[ReadT]) -> ReadT:
    """The next piece of a form, in time."""
    try:
        return await in_time(reading)
    except _ILL_FORMED as error:
        raise MalformedRequest(phrase("the body is not a well-formed multipart form")) from error


async def _spool(part: BodyPartReader, upload: Upload, limit: int) -> None:
    while chunk := await _of_form(part.read_chunk(CHUNK_OCTETS)):
        if upload.size + len(chunk) > limit:
            raise TooLarge(
                phrase(
                    "the file is larger than {limit:,} octets; split it into several", limit=limit
                )
            )
        upload.append(chunk)


async def _field(part: BodyPartReader) -> str:
    octets = bytearray()
    while chunk := await _of_form(part.read_chunk()):
        octets += chunk
        if len(octets) > FIELD_OCTETS:
            raise TooLarge(
                phrase(
                    "a field of the form is larger than {field_octets:,} octets",
                    field_octets=FIELD_OCTETS,
                )
            )
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(phrase("a field of the form is not UTF-8")) from error


def _validated(model: type[BaseModel], fields: Mapping[str, str], *, what: str) -> BaseModel:
    try:
        return model.model_validate_strings(fields)
    except ValidationError as error:
        raise invalid(error, what=what) from error
