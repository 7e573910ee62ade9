"""`tocsin channel`: set up, change and test the ways out."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.api.channels.channel_forms import (
    ChannelBody,
    ChannelPatch,
    channel_out,
    edited,
    settings_of,
)
from service.api.channels.channels import CarrierCodeBody
from service.api.http.problems import invalid
from service.api.http.schema import as_json
from service.channels.config import codes_store
from service.channels.config import store as channels
from service.channels.config.changes import check_secrets, create, need_begun
from service.channels.config.codes import CarrierCode
from service.channels.config.connection_store import get_health
from service.channels.contract.model import Channel
from service.channels.contract.networks import reach_of, read_networks
from service.channels.trial.trial import check_clock, try_channel
from service.cli.database import opened, write_down
from service.clock import written
from service.crypto import Keyring
from service.delivery.receipts import id_forms
from service.errors import Misconfigured
from service.queue import open_redis
from service.settings import Settings, read_settings
from service.storage.postgres import Connection
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of `tocsin channel`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help=phrase("one line for each channel"))
    listed.set_defaults(run=_with_channels(_list_channels))
    show = commands.add_parser("show", help=phrase("one channel as JSON; its secrets stay hidden"))
    show.set_defaults(run=_with_channels(_show_channel))
    add = commands.add_parser("add", help=phrase("set up a channel"))
    add.set_defaults(run=_with_channels(_add_channel, act="add_channel"))
    change = commands.add_parser("set", help=phrase("change a channel, or lift its hold"))
    change.set_defaults(run=_with_channels(_set_channel, act="set_channel"))
    test = commands.add_parser(
        "test", help=phrase("log in and out, and say what the carrier answered")
    )
    test.set_defaults(run=_test_channel)
    for command in (show, change, test):
        command.add_argument("channel", help=phrase("id or name of the channel"))
    for command in (add, change):
        command.add_argument(
            "file", help=phrase("JSON as the API takes it; - reads standard input")
        )
    codes = commands.add_parser(
        "codes", help=phrase("what carriers' codes mean, where it is said here")
    )
    codes.add_argument(
        "--put", metavar="FILE", help=phrase("say what a code means: JSON, or - for it")
    )
    codes.add_argument(
        "--delete",
        nargs=3,
        metavar=("KIND", "APPLIES_TO", "CODE"),
        help=phrase(
            "take back what a code means: the kind of channel, submit or receipt, the code"
        ),
    )
    codes.set_defaults(run=_run_codes)


Command = Callable[[argparse.Namespace, Connection, Keyring, Settings], Coroutine[Any, Any, object]]


def _with_channels(
    command: Command, *, act: str | None = None
) -> Callable[[argparse.Namespace], None]:
    """Run a command in a transaction, and print as JSON what it returns.

    act: what the audit trail says of it; None: it changes nothing.
    """

    async def run(options: argparse.Namespace, settings: Settings) -> None:
        async with opened(settings) as (conn, keyring):
            result = await command(options, conn, keyring, settings)
            if act is not None:
                made = str(result["id"]) if isinstance(result, dict) and "id" in result else None
                await write_down(conn, keyring, act, settings, ("channels", made))
        if result is not None:
            print(json.dumps(result, ensure_ascii=False, indent=2))

    return lambda options: asyncio.run(run(options, read_settings()))


async def _list_channels(
    _: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> None:
    holds = await channels.list_holds(conn, settings.clock.now())
    for channel in await channels.list_channels(conn, keyring):
        health = await get_health(conn, channel.id)
        state = f"{health.up}/{channel.connections} up" if channel.enabled else "disabled"
        if channel.waits_since is not None:
            state = f"waits for a second person since {written(channel.waits_since, settings.zone)}"
        if hold := holds.get(channel.id):
            state += f", held until {written(hold.until, settings.zone)}: {hold.why}"
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
    return await _shown(conn, await create(conn, keyring, settings_of(body), None, now), settings)


async def _set_channel(
    options: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> object:
    body = _read_json(ChannelPatch, options.file)
    found = await channels.find_channel(conn, keyring, options.channel)
    before = await channels.get_channel(conn, keyring, found.id, lock=True)
    channel = edited(before, body)
    check_secrets(before, channel, body.config or {})
    await channels.update_channel(conn, keyring, channel)
    await id_forms.follow(conn, before, channel, settings.clock.now())
    if body.lifts_hold:
        await channels.lift_hold(conn, channel.id)
    return await _shown(conn, channel, settings)


async def _shown(conn: Connection, channel: Channel, settings: Settings) -> object:
    hold = await channels.get_hold(conn, channel.id, settings.clock.now())
    return json.loads(as_json(channel_out(channel, hold, with_config=True), settings.zone))


def _run_codes(options: argparse.Namespace) -> None:
    changes = options.put is not None or options.delete is not None
    _with_channels(_codes, act="set_channel_code" if changes else None)(options)


async def _codes(
    options: argparse.Namespace, conn: Connection, _: Keyring, settings: Settings
) -> object:
    if options.put is not None:
        code = CarrierCode(**_read_json(CarrierCodeBody, options.put).model_dump())
        return asdict(await codes_store.put_code(conn, code, settings.clock.now()))
    if options.delete is not None:
        await codes_store.delete_code(conn, *options.delete)
        return None
    return [asdict(code) for code in await codes_store.list_codes(conn)]


def _test_channel(options: argparse.Namespace) -> int:
    return asyncio.run(_test_login(options.channel, read_settings()))


async def _test_login(given: str, settings: Settings) -> int:
    """0 if the carrier took the login."""
    async with opened(settings) as (conn, keyring):
        channel = await channels.find_channel(conn, keyring, given)
        check_clock(channel, settings.clock)
        need_begun(channel)
        health = await get_health(conn, channel.id)
    async with open_redis(settings.redis_url) as redis:
        networks = read_networks(settings.carrier_networks)
        where = reach_of(channel, networks, settings.own_servers)
        trial = await try_channel(channel, settings.clock, redis, health.up, where=where)
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
        raise Misconfigured(
            phrase("{name} cannot be read as a text file in UTF-8", name=name)
        ) from error
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Misconfigured(phrase("{name} is not JSON: {error}", name=name, error=error)) from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error, what="file") from None
