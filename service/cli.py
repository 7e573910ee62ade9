"""The `tocsin` command: up · demo · serve · migrate · simulate · bootstrap · env."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from service.accounts.bootstrap import bootstrap
from service.app import serve
from service.audience.store import load_areas
from service.clock import parse_instant
from service.crypto import Keyring, read_key_file
from service.demo import run_demo
from service.errors import Misconfigured, TocsinError
from service.logs import configure
from service.parent import end_with_parent
from service.runtime import check_key, open_runtime
from service.settings import (
    Settings,
    clock_of_environment,
    describe_environment,
    read_settings,
)
from service.simulator.config import SimulatorConfig
from service.simulator.run import running
from service.storage.migrate import migrate
from service.storage.postgres import connect
from service.up import UpOptions, run_up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Our own errors are one plain sentence."""
    options = _parser().parse_args(arguments)
    end_with_parent()
    configure(os.environ.get("TOCSIN_LOG_LEVEL", options.log_level))
    try:
        code: int | None = options.run(options)
    except TocsinError as error:
        print(f"tocsin: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin", description=__doc__)
    parser.set_defaults(log_level="WARNING")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="run the whole system on this machine")
    _add_up_arguments(up)
    up.add_argument("--json", action="store_true", help="print one line of JSON once ready")
    up.set_defaults(run=_up)

    demo = commands.add_parser("demo", help="take one real broadcast through a fresh system")
    demo.add_argument("--data", type=Path, help="data folder; default: a temporary one")
    demo.add_argument("--file", type=Path, help="a contact file; default: the county's")
    demo.add_argument("--tps", type=int, default=500, help="parts per second")
    demo.set_defaults(run=lambda o: run_demo(data=o.data, file=o.file, tps=o.tps))

    commands.add_parser("serve", help="run the HTTP API").set_defaults(run=_serve, log_level="INFO")
    commands.add_parser(
        "migrate", help="bring the database up to date, and load the areas"
    ).set_defaults(run=_migrate, log_level="INFO")
    commands.add_parser(
        "bootstrap", help="make the first department, users and keys; prints the keys once"
    ).set_defaults(run=_bootstrap)
    commands.add_parser("env", help="print every setting with its meaning").set_defaults(
        run=lambda _: print(describe_environment())
    )
    simulate = commands.add_parser("simulate", help="run a simulated carrier")
    simulate.add_argument("--config", type=Path, required=True, help="its settings, as JSON")
    simulate.set_defaults(run=_simulate, log_level="INFO")
    return parser


def _add_up_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("tocsin-data"), help="data folder")
    parser.add_argument("--port", type=int, default=8080, help="port of the API; 0: any free one")
    parser.add_argument("--clock", help="simulated time to begin at, e.g. 2027-01-12T09:30+08:00")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated time: times as fast")
    parser.add_argument("--channels", choices=["none", "simulated"], default="simulated")
    parser.add_argument("--profile", choices=["carrier", "roster", "stale"], default="roster")
    parser.add_argument("--tps", type=int, default=500, help="parts per second; 0: no limit")
    parser.add_argument("--window", type=int, default=64, help="unanswered submits allowed")
    parser.add_argument("--connections", type=int, default=1, help="connections to the carrier")
    parser.add_argument("--channel-processes", type=int, default=1, help="processes sharing them")
    parser.add_argument("--max-delay", type=float, help="longest delay of a receipt, seconds")
    parser.add_argument("--response-delay", type=float, default=0.0, help="of each submit's answer")


def _up(options: argparse.Namespace) -> None:
    run_up(
        UpOptions(
            data=options.data,
            port=options.port,
            clock_start=parse_instant(options.clock) if options.clock else None,
            speed=options.speed,
            channels=options.channels,
            profile=options.profile,
            tps=options.tps or None,
            window=options.window,
            connections=options.connections,
            channel_processes=options.channel_processes,
            max_delay=options.max_delay,
            response_delay=options.response_delay,
        ),
        as_json=options.json,
    )


def _serve(_: argparse.Namespace) -> None:
    uvloop.run(_serve_until_stopped(read_settings()))


async def _serve_until_stopped(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        await serve(runtime, settings.api_host, settings.api_port, lambda _: None)


def _migrate(_: argparse.Namespace) -> None:
    asyncio.run(_migrate_database(read_settings()))


async def _migrate_database(settings: Settings) -> None:
    conn = await connect(settings.database_url)
    try:
        for name in await migrate(conn):
            print(f"applied {name}")
        await load_areas(conn)
    finally:
        await conn.close()


def _bootstrap(_: argparse.Namespace) -> None:
    asyncio.run(_bootstrap_database(read_settings()))


async def _bootstrap_database(settings: Settings) -> None:
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            keys = await bootstrap(conn, keyring, settings.clock.now(), tokens={})
    finally:
        await conn.close()
    print(json.dumps(keys))


def _simulate(options: argparse.Namespace) -> None:
    try:
        config = SimulatorConfig.model_validate_json(options.config.read_text())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{options.config} is not a simulator's settings: {error}") from error
    uvloop.run(_simulate_until_stopped(config))


async def _simulate_until_stopped(config: SimulatorConfig) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with running(config, clock=clock_of_environment()):
        await stop.wait()
