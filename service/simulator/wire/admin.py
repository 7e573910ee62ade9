"""The admin API: faults changed while the carrier runs, texts from handsets, cuts, and the audit.

JSON over HTTP, on loopback unless told otherwise; there is no login. docs/simulator.md describes
it. Every error is {"error": sentence, "fields": {field: what is wrong}}.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import Conflict, Invalid, Misconfigured, TocsinError
from service.protocols.number import to_e164
from service.simulator.carrier.audit import audit, received
from service.simulator.carrier.config import Faults
from service.simulator.carrier.replies import Replies, originate
from service.simulator.carrier.smsc import SMSC
from service.words.phrase import listing, phrase
from service.words.validation import fault

SMSC_KEY = web.AppKey("smsc", SMSC)

BODY_OCTETS = 4 * 1024 * 1024
MOST_SUBMITS = 10_000
"""How many submits one answer lists."""

_STATUSES: dict[type[TocsinError], int] = {Invalid: 422, Conflict: 409, Misconfigured: 409}

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Model = TypeVar("Model", bound=BaseModel)


class Disconnect(BaseModel):
    """Whose connections are cut."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = Field(default=None, description="Whose; left out: everybody's")


@asynccontextmanager
async def listen(smsc: SMSC) -> AsyncIterator[int]:
    """Serve the admin API on its configured port while the block runs; gives the port.

    Raises:
        Misconfigured: the address or port cannot be had.
    """
    app = web.Application(middlewares=[_plain_errors], client_max_size=BODY_OCTETS)
    app[SMSC_KEY] = smsc
    app.add_routes(
        [
            web.get("/faults", _get_faults),
            web.patch("/faults", _change_faults),
            web.delete("/faults", _restore_faults),
            web.post("/mo", _originate),
            web.post("/disconnect", _disconnect),
            web.get("/submits", _submits),
            web.get("/stats", _stats),
            web.get("/audit", _audit),
        ]
    )
    config = smsc.config
    async with serving(app, config.admin_host, config.admin_port or 0) as port:
        yield port


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve an application while the block runs; gives the port. tls: over HTTPS.

    Raises:
        Misconfigured: the address or port cannot be had.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise Misconfigured(
                phrase(
                    "the simulator cannot listen on {host}:{port}: {strerror}; give another"
                    " address or port, or 0 for any free one",
                    host=host,
                    port=port,
                    strerror=error.strerror,
                )
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@web.middleware
async def _plain_errors(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
    try:
        return await handler(request)
    except TocsinError as error:
        status = next((s for kind, s in _STATUSES.items() if isinstance(error, kind)), 500)
        fields = error.fields if isinstance(error, Invalid) else {}
        return web.json_response({"error": error.message, "fields": fields}, status=status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        body = {"error": error.reason, "fields": {}}
        return web.json_response(body, status=error.status, headers=headers)


async def _get_faults(request: web.Request) -> web.Response:
    return _as_json(request.app[SMSC_KEY].faults)


async def _change_faults(request: web.Request) -> web.Response:
    smsc = request.app[SMSC_KEY]
    body = await _object(request)
    smsc.set_faults(check(Faults, {**smsc.faults.model_dump(), **body}))
    return _as_json(smsc.faults)


async def _restore_faults(request: web.Request) -> web.Response:
    smsc = request.app[SMSC_KEY]
    smsc.set_faults(smsc.config.faults)
    return _as_json(smsc.faults)


async def _originate(request: web.Request) -> web.Response:
    replies = check(Replies, await _object(request))
    return web.json_response({"parts": originate(request.app[SMSC_KEY], replies)}, status=202)


async def _disconnect(request: web.Request) -> web.Response:
    chosen = check(Disconnect, await _object(request))
    return web.json_response({"cut": request.app[SMSC_KEY].disconnect(chosen.account)})


async def _submits(request: web.Request) -> web.Response:
    path = _journal(request.app[SMSC_KEY])
    number = request.query.get("phone", "")
    phone = to_e164(number)
    if not phone:
        raise Invalid(
            phrase("name a phone, as in /submits?phone=%2B8619790001234"),
            fields={"phone": phrase("a mobile number")},
        )

    def found() -> list[dict[str, Any]]:
        return list(islice(received(path, phone), MOST_SUBMITS))

    return web.json_response({"submits": await asyncio.to_thread(found)})


async def _stats(request: web.Request) -> web.Response:
    smsc = request.app[SMSC_KEY]
    return web.json_response({"accounts": [s.stats() for s in smsc.subscribers.values()]})


async def _audit(request: web.Request) -> web.Response:
    path = _journal(request.app[SMSC_KEY])
    return web.json_response(await asyncio.to_thread(audit, path))


def _journal(smsc: SMSC) -> Path:
    """The journal with everything in it that was accepted up to now."""
    if smsc.journal.path is None:
        raise Conflict(
            phrase("this simulator keeps no journal; start it with one (--journal FILE)")
        )
    smsc.journal.flush()
    return smsc.journal.path


async def _object(request: web.Request) -> dict[str, Any]:
    """The body; nothing at all counts as an empty object.

    A web page of another origin cannot send this content type unasked, so none can steer us.
    """
    octets = await request.read()
    if request.content_type != "application/json" and octets:
        raise web.HTTPUnsupportedMediaType(reason="send application/json")
    try:
        body = json.loads(octets or b"{}")
    except ValueError as error:
        raise Invalid(phrase("the body is not JSON: {error}", error=error)) from error
    if not isinstance(body, dict):
        raise Invalid(phrase("the body is not a JSON object"))
    return body


def check(model: type[Model], values: dict[str, Any]) -> Model:
    """The values as a model.

    Raises:
        Invalid: naming each field and what is wrong with it.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fields = {
            ".".join(str(step) for step in problem["loc"]) or "body": fault(problem)
            for problem in error.errors(include_url=False)
        }
        sentence = listing((listing(item, ": ") for item in fields.items()), "; ")
        raise Invalid(sentence, fields=fields) from error


def _as_json(model: BaseModel) -> web.Response:
    return web.json_response(model.model_dump(mode="json"))
