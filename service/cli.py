"""The `tocsin` command: all that is done from a shell; `tocsin --help` lists it."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis
from tocsin_client.ctl.command import main as ctl

from service.accounts.audit import Act
from service.accounts.audit_command import add_arguments as add_audit_arguments
from service.accounts.audit_store import insert_entry
from service.accounts.bootstrap import bootstrap
from service.accounts.password_command import add_arguments as add_password_arguments
from service.api.channel_forms import (
    ChannelBody,
    ChannelPatch,
    channel_out,
    edited,
    settings_of,
)
from service.api.channels import CodeBody
from service.api.problems import invalid
from service.app import serve
from service.audience.import_command import add_arguments as add_import_arguments
from service.audience.prefix_command import add_arguments as add_prefix_arguments
from service.audience.store import load_areas
from service.audience.suppression_command import add_arguments as add_suppression_arguments
from service.campaigns.holiday_command import add_arguments as add_holiday_arguments
from service.campaigns.stop_all import hold_all
from service.channels import codes_store
from service.channels import store as channels
from service.channels.codes import Code
from service.channels.model import Channel
from service.channels.trial import try_channel
from service.clock import parse_instant
from service.crypto import Keyring, read_key_file
from service.demo import run_demo
from service.errors import Invalid, Misconfigured, TocsinError
from service.lanes import CARRIERS_OF
from service.logs import configure
from service.messages.starter_command import add_arguments as add_template_arguments
from service.parent import end_with_parent
from service.privacy.keys_command import add_arguments as add_keys_arguments
from service.runtime import check_key, open_runtime
from service.settings import (
    Settings,
    describe_environment,
    read_settings,
)
from service.simulator.command import add_arguments as add_simulate_arguments
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connect
from service.up import UpOptions, run_up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Our own errors are one plain sentence."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["ctl"]:  # of another package, whose help speaks two languages
        return ctl(given[1:], prog="tocsin ctl")
    options = _parser().parse_args(given)
    end_with_parent()
    configure(os.environ.get("TOCSIN_LOG_LEVEL", options.log_level))
    try:
        code: int | None = options.run(options)
    except TocsinError as error:
        print(f"tocsin: {error.message}", file=sys.stderr)
        for field, why in error.fields.items() if isinstance(error, Invalid) else ():
            print(f"  {field}: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin", description="Bulk SMS and broadcasts, planned, sent and proved."
    )
    parser.set_defaults(log_level="WARNING")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_up_arguments(commands.add_parser("up", help="run the whole system on this machine"))

    demo = commands.add_parser("demo", help="take one real broadcast through a fresh system")
    demo.add_argument("--data", type=Path, help="data folder; default: a temporary one")
    demo.add_argument("--file", type=Path, help="a contact file; default: the county's")
    demo.add_argument("--tps", type=int, default=500, help="parts per second")
    demo.set_defaults(run=lambda o: run_demo(data=o.data, file=o.file, tps=o.tps))

    commands.add_parser("serve", help="run the HTTP API").set_defaults(run=_serve, log_level="INFO")
    commands.add_parser(
        "migrate", help="bring the database up to date, and load the areas"
    ).set_defaults(run=_migrate, log_level="INFO")
    hold = commands.add_parser("hold-all", help="stop everything, as after a restored backup")
    hold.add_argument("--reason", default="held by hand after a restored backup")
    hold.set_defaults(run=_hold_all)
    commands.add_parser(
        "bootstrap", help="make the first department, users and keys; prints the keys once"
    ).set_defaults(run=_bootstrap)
    commands.add_parser("env", help="print every setting with its meaning").set_defaults(
        run=lambda _: print(describe_environment())
    )
    for name, (add_arguments, what) in _WITH_ARGUMENTS.items():
        add_arguments(commands.add_parser(name, help=what))
    commands.add_parser("ctl", help="operate a service over its API / 通过接口操作")  # see main
    return parser


def _add_up_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one line of JSON once ready")
    parser.set_defaults(run=_up)
    parser.add_argument("--data", type=Path, default=Path("tocsin-data"), help="data folder")
    parser.add_argument("--port", type=int, default=8080, help="port of the API; 0: any free one")
    parser.add_argument("--clock", help="simulated time to begin at, e.g. 2027-01-12T09:30+08:00")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated time: times as fast")
    parser.add_argument("--channels", choices=["none", "simulated"], default="simulated")
    parser.add_argument(
        "--lanes", default="cmpp,sgip,smgp", type=_lanes, help="simulated ones, by protocol"
    )
    parser.add_argument("--profile", choices=["carrier", "roster", "stale"], default="roster")
    parser.add_argument("--tps", type=int, default=500, help="parts per second; 0: no limit")
    parser.add_argument("--window", type=int, default=64, help="unanswered submits allowed")
    parser.add_argument("--connections", type=int, default=1, help="connections to the carrier")
    parser.add_argument("--channel-processes", type=int, default=1, help="processes sharing them")
    parser.add_argument("--api-processes", type=int, default=1, help="APIs, a port each")
    parser.add_argument("--scheduler-processes", type=int, default=1, help="schedulers")
    parser.add_argument("--work-processes", type=int, default=1, help="of all other jobs")
    parser.add_argument("--max-delay", type=float, help="longest delay of a receipt, seconds")
    parser.add_argument("--response-delay", type=float, default=0.0, help="of each submit's answer")


def _add_channel_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="one line for each channel")
    listed.set_defaults(run=_with_channels(_list_channels))
    show = commands.add_parser("show", help="one channel as JSON; its secrets stay hidden")
    show.set_defaults(run=_with_channels(_show_channel))
    add = commands.add_parser("add", help="set up a channel")
    add.set_defaults(run=_with_channels(_add_channel, act="add_channel"))
    change = commands.add_parser("set", help="change a channel, or lift its hold")
    change.set_defaults(run=_with_channels(_set_channel, act="set_channel"))
    test = commands.add_parser("test", help="log in and out, and say what the carrier answered")
    test.set_defaults(run=_test_channel)
    for command in (show, change, test):
        command.add_argument("channel", help="its id or name")
    for command in (add, change):
        command.add_argument("file", help="JSON as the API takes it; - reads standard input")
    codes = commands.add_parser("codes", help="what carriers' codes mean, where it is said here")
    codes.add_argument("--put", metavar="FILE", help="say what a code means: JSON, or - for it")
    codes.add_argument("--delete", nargs=3, metavar=("KIND", "APPLIES_TO", "CODE"))
    codes.set_defaults(run=_run_codes)


_WITH_ARGUMENTS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "import": (add_import_arguments, "read a contact file onto a roster / 导入名单文件"),
    "channel": (_add_channel_commands, "set up, change and test the ways out"),
    "keys": (add_keys_arguments, "rotate the master key"),
    "password": (add_password_arguments, "give somebody a password for once / 发放一次性密码"),
    "templates": (add_template_arguments, "load the starter library"),
    "suppressions": (add_suppression_arguments, "numbers that are never sent to / 禁发号码"),
    "prefixes": (add_prefix_arguments, "whose the first seven digits are / 七位号段表"),
    "audit": (add_audit_arguments, "prove the audit trail"),
    "holidays": (add_holiday_arguments, "the calendar of holidays / 节假日"),
    "simulate": (add_simulate_arguments, "run a simulated carrier, or steer one that runs"),
}


def _lanes(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := sorted({*names} - {*CARRIERS_OF}):
        raise argparse.ArgumentTypeError(
            f"there is no lane {', '.join(unknown)}; the lanes are {', '.join(CARRIERS_OF)}"
        )
    return names


def _up(options: argparse.Namespace) -> None:
    clock = parse_instant(options.clock) if options.clock else None
    names = {field.name for field in fields(UpOptions)} - {"clock_start", "tps"}
    same = {name: getattr(options, name) for name in names}
    up = UpOptions(clock_start=clock, tps=options.tps or None, **same)
    run_up(up, as_json=options.json)


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


def _hold_all(options: argparse.Namespace) -> None:
    asyncio.run(_hold_database(options.reason, read_settings()))


async def _hold_database(reason: str, settings: Settings) -> None:
    async with _database(settings) as (conn, _):
        stop = await hold_all(conn, reason, settings.clock.now())
        await _write_down(conn, "hold_all", settings, ("stops", str(stop.id)))
    print(f"everything is on hold since {stop.stopped_at.isoformat()}: {stop.reason}")


def _bootstrap(_: argparse.Namespace) -> None:
    asyncio.run(_bootstrap_database(read_settings()))


async def _bootstrap_database(settings: Settings) -> None:
    async with _database(settings) as (conn, keyring):
        keys = await bootstrap(conn, keyring, settings.clock.now(), tokens={})
    print(json.dumps(keys))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[Connection, Keyring]]:
    """A transaction of its own, and the key, which must be the database's."""
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            yield conn, keyring
    finally:
        await conn.close()


Command = Callable[[argparse.Namespace, Connection, Keyring, Settings], Coroutine[Any, Any, object]]


def _with_channels(
    command: Command, *, act: str | None = None
) -> Callable[[argparse.Namespace], None]:
    """Run a command in a transaction, and print as JSON what it returns.

    act: what the audit trail says of it; None: it changes nothing.
    """

    async def run(options: argparse.Namespace, settings: Settings) -> None:
        async with _database(settings) as (conn, keyring):
            result = await command(options, conn, keyring, settings)
            if act is not None:
                made = str(result["id"]) if isinstance(result, dict) and "id" in result else None
                await _write_down(conn, act, settings, ("channels", made))
        if result is not None:
            print(json.dumps(result, ensure_ascii=False, indent=2))

    return lambda options: asyncio.run(run(options, read_settings()))


async def _write_down(
    conn: Connection, act: str, settings: Settings, concerns: tuple[str, str | None]
) -> None:
    """Put an act of the command line into the audit trail, in the transaction of its effect."""
    kind, object_id = concerns
    now = settings.clock.now()
    await insert_entry(conn, Act(act, now, "cli", object_kind=kind, object_id=object_id))


async def _list_channels(
    _: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> None:
    holds = await channels.list_holds(conn, settings.clock.now())
    for channel in await channels.list_channels(conn, keyring):
        health = await channels.get_health(conn, channel.id)
        state = f"{health.up}/{channel.connections} up" if channel.enabled else "disabled"
        if hold := holds.get(channel.id):
            state += f", held until {hold.until.isoformat()}: {hold.why}"
        reality = "simulated" if channel.simulated else "real"
        carriers = ",".join(channel.carriers)
        print(f"{channel.id}\t{channel.name}\t{channel.kind}\t{reality}\t{carriers}\t{state}")


async def _show_channel(
    options: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> object:
    channel = await channels.find_channel(conn, keyring, options.channel)
    return await _shown(conn, channel, settings)


async def _add_channel(
    options: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> object:
    body = _read_json(ChannelBody, options.file)
    now = settings.clock.now()
    return await _shown(
        conn, await channels.insert_channel(conn, keyring, settings_of(body), now), settings
    )


async def _set_channel(
    options: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> object:
    body = _read_json(ChannelPatch, options.file)
    found = await channels.find_channel(conn, keyring, options.channel)
    channel = edited(await channels.get_channel(conn, keyring, found.id, lock=True), body)
    await channels.update_channel(conn, keyring, channel)
    if body.lifts_hold:
        await channels.lift_hold(conn, channel.id)
    return await _shown(conn, channel, settings)


async def _shown(conn: Connection, channel: Channel, settings: Settings) -> object:
    hold = await channels.get_hold(conn, channel.id, settings.clock.now())
    return channel_out(channel, hold, with_config=True).model_dump(mode="json")


def _run_codes(options: argparse.Namespace) -> None:
    changes = options.put is not None or options.delete is not None
    _with_channels(_codes, act="set_channel_code" if changes else None)(options)


async def _codes(
    options: argparse.Namespace, conn: Connection, _: Keyring, settings: Settings
) -> object:
    if options.put is not None:
        code = Code(**_read_json(CodeBody, options.put).model_dump())
        return asdict(await codes_store.put_code(conn, code, settings.clock.now()))
    if options.delete is not None:
        await codes_store.delete_code(conn, *options.delete)
        return None
    return [asdict(code) for code in await codes_store.list_codes(conn)]


def _test_channel(options: argparse.Namespace) -> int:
    return asyncio.run(_test_login(options.channel, read_settings()))


async def _test_login(given: str, settings: Settings) -> int:
    """0 if the carrier took the login."""
    async with _database(settings) as (conn, keyring):
        channel = await channels.find_channel(conn, keyring, given)
        health = await channels.get_health(conn, channel.id)
    async with Redis.from_url(settings.redis_url, socket_timeout=5) as redis:
        trial = await try_channel(channel, settings.clock, redis, health.up)
    code = f" (code {trial.code})" if trial.code else ""
    print(f"{'ok' if trial.ok else 'failed'}: {trial.detail}{code}, {trial.milliseconds} ms")
    return 0 if trial.ok else 1


M = TypeVar("M", bound=BaseModel)


def _read_json(model: type[M], name: str) -> M:
    """What a file, or standard input, says; it may hold secrets, so no error repeats it.

    Raises:
        Misconfigured: there is no such file, or it cannot be read.
        Invalid: names each field that is wrong.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{name} cannot be read as a text file in UTF-8") from error
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Misconfigured(f"{name} is not JSON: {error}") from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error, what="file") from None
