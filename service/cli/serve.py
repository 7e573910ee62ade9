"""`tocsin serve`: the HTTP API."""

import argparse
import sys

import uvloop

from service.app import serve
from service.liveness.beat import beating
from service.liveness.exit_codes import ExitCode
from service.liveness.watching import watched
from service.runtime import open_runtime
from service.settings import Settings, read_settings
from service.tracing import tracing

SWITCH_SECONDS = 0.0005
"""How long a thread that computes keeps the interpreter when another one waits for it. A request
waits once for each answer of PostgreSQL; at Python's 5 ms that would be most of its time while a
text, a large body or a list is looked at.
"""


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Say what `tocsin serve` runs."""
    parser.set_defaults(run=_serve, log_level="INFO")


def _serve(_: argparse.Namespace) -> int:
    sys.setswitchinterval(SWITCH_SECONDS)
    with tracing():
        return uvloop.run(_serve_until_stopped(read_settings()))


async def _serve_until_stopped(settings: Settings) -> ExitCode:
    async with (
        watched(settings) as life,
        open_runtime(settings, life) as runtime,
        beating(runtime.pool, runtime.clock, life, "api"),
    ):
        await serve(runtime, settings.api_host, settings.api_port, lambda _: None)
    return life.code
