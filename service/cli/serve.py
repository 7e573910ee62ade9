"""`tocsin serve`: the HTTP API."""

import argparse

import uvloop

from service.app import serve
from service.runtime import open_runtime
from service.settings import Settings, read_settings


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Say what `tocsin serve` runs."""
    parser.set_defaults(run=_serve, log_level="INFO")


def _serve(_: argparse.Namespace) -> None:
    uvloop.run(_serve_until_stopped(read_settings()))


async def _serve_until_stopped(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        await serve(runtime, settings.api_host, settings.api_port, lambda _: None)
