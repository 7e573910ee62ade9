"""Where gateways call us: no key but a signature, and an answer only for what is stored.

A provider that got no answer of 2xx calls again. So everything it said is committed to the same
inbox as the receipts of all other gateways before it is answered, and when PostgreSQL is away it is
told so (503). Repeats are harmless: receipts are matched by reference and folded by rank.

A slow PostgreSQL makes callers wait, but only so many: whoever comes then is told to come again
(503 with Retry-After), so that a flood of callbacks costs neither memory nor the rest of the API.
Nobody has signed anything before the body is there: so whoever sends it slowly waits elsewhere than
those whose receipts are being stored, and not for long.
"""

import asyncio
from typing import Any

from aiohttp import web

from service.api.description.openapi import REF
from service.api.http.problems import HEADERS, MEDIA_TYPE, TITLES, MalformedRequest, Slow, TooLarge
from service.channels.config.store import find_channel
from service.channels.contract.gateway import (
    Callback,
    CallbackAnswer,
    CallbackConfig,
    CallbackGateway,
    Inbound,
    Receipt,
)
from service.channels.contract.model import Channel
from service.channels.contract.registry import load
from service.delivery.receipts import store
from service.errors import Invalid, NotFound, Unavailable
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import Pool, transaction
from service.web import ENTRY, RUNTIME
from service.words.phrase import phrase

BODY_OCTETS = 256 * 1024
MOST_WAITING = 200
"""Callbacks that may be in hand at once in one process."""

MOST_COMING = 1_000
"""Callbacks whose bodies may be on their way at once in one process: at most 256 MB."""

BODY_SECONDS = 10.0
"""How long a body may take: providers send it at once."""

_NONE = phrase("there is no channel of this name or id that takes callbacks")


class Callbacks:
    """The callbacks of one process. most: how many may be in hand at once."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting = 0
        self._coming = 0

    async def receive(self, request: web.Request) -> web.Response:
        """Take a provider's receipts and texts.

        Raises:
            Unavailable: too many others wait to be stored, or send theirs.
        """
        self._need_room()
        self._coming += 1
        try:
            body = await _body(request)
        finally:
            self._coming -= 1
        self._need_room()
        self._waiting += 1
        try:
            return await _receive(request, body)
        finally:
            self._waiting -= 1

    def _need_room(self) -> None:
        if self._waiting >= self._most or self._coming >= MOST_COMING:
            raise Unavailable(phrase("too many callbacks wait to be stored; call again soon"))


async def _receive(request: web.Request, body: bytes) -> web.Response:
    runtime = request.config_dict[RUNTIME]
    pool = request.config_dict[ENTRY]
    async with pool.acquire() as conn:
        channel = await find_channel(conn, runtime.keyring, request.match_info["channel"])
    answer = _read(channel, request, body, runtime)
    await _store(runtime, pool, channel.id, answer)
    return web.Response(body=answer.body.encode(), content_type=answer.media_type, charset="utf-8")


def path_item() -> dict[str, Any]:
    """This address in the OpenAPI document."""
    problem = {"schema": {"$ref": REF.format(model="Problem")}}
    refusals = {
        str(status): {
            "description": TITLES[status],
            "content": {MEDIA_TYPE: problem},
            "headers": {name: {"schema": {"type": "string"}} for name in HEADERS.get(status, {})},
        }
        for status in (400, 403, 404, 408, 413, 503)
    }
    return {
        "post": {
            "operationId": Callbacks.receive.__name__,
            "tags": ["callbacks"],
            "summary": "Take a provider's receipts and texts.",
            "description": "For providers, not for callers: no key, but the provider's signature.",
            "security": [],
            "parameters": [
                {
                    "name": "channel",
                    "in": "path",
                    "required": True,
                    "description": "The id or the name of a channel.",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {}},
                    "application/x-www-form-urlencoded": {"schema": {}},
                },
            },
            "responses": {"200": {"description": "All of it is stored."}, **refusals},
        }
    }


async def _body(request: web.Request) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than any provider's.
        Slow: it does not come.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_OCTETS:
                    raise TooLarge(
                        phrase(
                            "a callback has at most {body_octets:,} octets", body_octets=BODY_OCTETS
                        )
                    )
    except TimeoutError as error:
        raise Slow(
            phrase(
                "the body did not come within {body_seconds:g} seconds", body_seconds=BODY_SECONDS
            )
        ) from error
    return bytes(body)


def _read(channel: Channel, request: web.Request, body: bytes, runtime: Runtime) -> CallbackAnswer:
    gateway = load()[channel.kind]
    config = channel.config
    if not issubclass(gateway, CallbackGateway) or not isinstance(config, CallbackConfig):
        raise NotFound(_NONE)
    if channel.waits_since is not None:  # new, and nobody has confirmed who may report for it
        raise NotFound(_NONE)
    kind: type[CallbackGateway[Any]] = gateway
    callback = Callback(
        method=request.method,
        url=_public_url(config, request),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        received_at=runtime.clock.now(),
    )
    try:
        return kind.read_callback(config, callback)
    except Invalid as error:
        raise MalformedRequest(error.message) from error


def _public_url(config: CallbackConfig, request: web.Request) -> str:
    """What the provider called: behind a proxy, neither the scheme nor the host is ours to see."""
    if not config.public_url:
        return str(request.url)
    query = request.rel_url.raw_query_string
    if not query or "?" in config.public_url:
        return config.public_url
    return f"{config.public_url}?{query}"


async def _store(runtime: Runtime, pool: Pool, channel_id: int, answer: CallbackAnswer) -> None:
    now = runtime.clock.now()
    receipts = [(channel_id, item) for item in answer.items if isinstance(item, Receipt)]
    texts = [(channel_id, item) for item in answer.items if isinstance(item, Inbound)]
    async with transaction(pool) as conn:
        if receipts:
            await store.insert_receipts(conn, runtime.keyring, receipts, now)
        if texts:
            await store.insert_inbound(conn, runtime.keyring, texts, now)
    if receipts:
        await runtime.queue.enqueue(Job.FOLD_RECEIPTS, channel_id)
