"""The web application, assembled and served: the one place that knows all of its parts."""

import asyncio
import gzip
import json
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from importlib.metadata import version

from aiohttp import web
from aiohttp.log import server_logger

from service.accounts.sign_in.provider import provider_of
from service.api import catalogue, reference
from service.api.audience import segment_terms
from service.api.channels import callbacks
from service.api.description.openapi import document
from service.api.http import problems
from service.api.http.admission import ADMISSION, Admission
from service.api.http.downloads import Downloads
from service.api.http.exchange import Exchange
from service.api.http.limiter import Limiter
from service.api.http.server import EXCHANGE, LIMITER, endpoint
from service.api.http.version import ETAG, IF_NONE_MATCH, names, tag_of
from service.api.routes import CALLBACKS, OPS, PREFIX
from service.api.sending import run_progress
from service.api.system.health import healthz, readyz
from service.api.system.metrics import Metrics
from service.console.routes import OPEN_PAGES, PAGES
from service.console.serving import add_routes as add_pages
from service.console.serving import as_page
from service.errors import Misconfigured
from service.messages.lint import wording
from service.runtime import Runtime
from service.servers import port_fault
from service.storage.postgres import open_pool
from service.web import ENTRY, PROVIDER, RUNTIME, request_log, shorten_malformed, show_request_id
from service.words.catalogues import chinese

JSON_OCTETS = 1024 * 1024
ENTRY_CONNECTIONS = 4
"""Connections to PostgreSQL for authentication, readiness and callbacks, beside the pool's."""
SHUTDOWN_SECONDS = 15.0
LINGER_SECONDS = 5.0
"""How long the rest of a body that was refused is taken and thrown away, before the connection is
closed: so long the answer has to arrive.
"""
HEAD_SECONDS = 75.0
"""How long a connection may hold its place without a whole head of a request: silent, idle, or
dripping one. A proxy in front must let go of an idle one earlier; most do after 60 seconds.
"""


def create_app(runtime: Runtime) -> web.Application:
    """The whole application on open resources."""
    app = web.Application(
        middlewares=[request_log, problems.as_problem, as_page], client_max_size=JSON_OCTETS
    )
    app[RUNTIME] = runtime
    app[LIMITER] = Limiter(runtime.redis, runtime.settings)
    app[ADMISSION] = Admission(runtime.pool.get_max_size())
    app[EXCHANGE] = Exchange(runtime, app[ADMISSION], Downloads(runtime.keyring))
    if (provider := provider_of(runtime.settings)) is not None:
        app[PROVIDER] = provider
    app.cleanup_ctx.append(_entry)
    app.cleanup_ctx.append(_watched_replica)
    app.on_cleanup.append(_end_counts)
    app.on_response_prepare.append(show_request_id)
    server_logger.addFilter(shorten_malformed)  # the same one is added once
    app.router.add_get("/metrics", Metrics().show)
    app.router.add_post(PREFIX + CALLBACKS, callbacks.Callbacks().receive)
    for resource in _resources():
        app.router.register_resource(resource)
    return app


@cache
def _resources() -> Sequence[web.AbstractResource]:
    """Every address whose answer keeps nothing of its own application, made once a process: their
    patterns take 5 ms, and the tests of a process make hundreds of applications.
    """
    router = web.UrlDispatcher()
    router.add_get("/healthz", healthz)
    router.add_get("/readyz", readyz)
    router.add_get("/problems", catalogue.show_all)
    router.add_get(problems.PREFIX + "{code}", catalogue.show_one)
    router.add_get(f"{PREFIX}/openapi.json", _openapi)
    reference.add_routes(router)
    readers = {op.path: op for op in OPS if op.method == "GET"}
    for op in OPS:
        router.add_route(op.method, PREFIX + op.path, endpoint(op, readers.get(op.path)))
    add_pages(router, PAGES, OPEN_PAGES)
    return list(router.resources())


async def _entry(app: web.Application) -> AsyncIterator[None]:
    """Hold the connections of `ENTRY` while the application runs; opened when they are needed."""
    async with open_pool(app[RUNTIME].settings.database_url, size=ENTRY_CONNECTIONS) as pool:
        app[ENTRY] = pool
        yield


async def _watched_replica(app: web.Application) -> AsyncIterator[None]:
    """Follow where the read replica stands while the application runs, where there is one."""
    if (replica := app[RUNTIME].replica) is None:
        yield
        return
    watching = asyncio.create_task(replica.watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _end_counts(app: web.Application) -> None:
    await run_progress.end_counts(app[RUNTIME].pool)
    await segment_terms.end_counts(app[RUNTIME].pool)


@cache
def _description() -> tuple[str, bytes]:
    """The API's description, compressed, and its version: made once a process, as it takes a
    quarter of a second and anybody may ask.
    """
    whole = document(OPS, PREFIX, version("tocsin"))
    whole["paths"][PREFIX + CALLBACKS] = callbacks.path_item()
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return tag_of(text, frozenset()), gzip.compress(text, mtime=0)


async def _openapi(request: web.Request) -> web.Response:
    """The API's description, for everybody."""
    tag, packed = _description()
    headers = {ETAG: tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if names(request.headers.get(IF_NONE_MATCH, ""), tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "application/json; charset=utf-8"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=packed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=gzip.decompress(packed), headers=headers)


async def serve(runtime: Runtime, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM, SIGINT or cancellation; open requests get a moment to end.

    `ready` is called with the port once requests are taken; port 0 means any free one.

    Raises:
        Misconfigured: nothing can listen on that port; says why.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    wording.shipped()  # else the first who lints would wait for it
    chinese()  # and all, for the first who reads Chinese
    runner = web.AppRunner(
        create_app(runtime),
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=HEAD_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # a packed body is refused; see reading
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise Misconfigured(port_fault(host, port, error)) from error
        runtime.life.turns.started()
        ready(runner.addresses[0][1])
        await stop.wait()
        runtime.life.turns.end()
    finally:
        await runner.cleanup()
