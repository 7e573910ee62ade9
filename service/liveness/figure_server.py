"""/metrics and /healthz of a process that serves no API, for those who watch it from outside.

They need no key, since nothing in them is anybody's: the port is for the inner network alone. That
it cannot be listened on ends no process: to be watched is worth less than to send.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from service.figures import ProcessFigures
from service.liveness.turns import START, LoopTurns
from service.settings import Settings

log = logging.getLogger(__name__)


class _LoopAges(Collector):
    """How long ago each loop of a process went round."""

    def __init__(self, turns: LoopTurns) -> None:
        self._turns = turns

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "tocsin_loop_ago_seconds", "Since a loop last went round.", labels=["loop"]
        )
        for name, age in self._turns.ages().items():
            if name != START:
                family.add_metric([name], age)
        yield family


@asynccontextmanager
async def figures_served(
    settings: Settings, figures: ProcessFigures, turns: LoopTurns
) -> AsyncIterator[int]:
    """Serve them on TOCSIN_WATCH_PORT while the block runs, which is told the port; 0: nothing is
    served.
    """
    if not settings.watch_port:
        yield 0
        return
    figures.registry.register(_LoopAges(turns))
    runner = web.AppRunner(_app(settings, figures, turns), access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, settings)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    try:
        await web.TCPSite(runner, settings.api_host, settings.watch_port).start()
    except OSError as error:
        log.warning(
            "nothing is shown on TOCSIN_WATCH_PORT",
            extra={"port": settings.watch_port, "why": error.strerror or str(error)},
        )
        return 0
    return settings.watch_port


def _app(settings: Settings, figures: ProcessFigures, turns: LoopTurns) -> web.Application:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=figures.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        ages = turns.ages()
        late = sorted(name for name, age in ages.items() if age > settings.late_seconds)
        state = "late" if late else "starting" if START in ages else "ok"
        body = {"status": state, "late": late}
        return web.json_response(body, status=200 if state == "ok" else 503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    return app
