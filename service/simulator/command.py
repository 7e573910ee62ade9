"""`tocsin simulate`: run a simulated carrier, and steer or question one that runs."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import ValidationError

from service.errors import Invalid, Misconfigured, Unavailable
from service.protocols.number import to_e164
from service.settings import clock_of_environment
from service.simulator.carrier.audit import audit, received
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.protocols import PROTOCOLS
from service.simulator.run import running
from service.words.phrase import listing, phrase
from service.words.validation import fault

ADMIN_SECONDS = 60.0
"""How long an answer of the admin API may take."""

_EXAMPLE = "tocsin simulate --cmpp 7890 --account 901234:simulated --admin-port 7900"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tocsin simulate`, and the commands below it."""
    parser.add_argument(
        "--config",
        type=Path,
        help=phrase("settings of the simulator, as JSON; flags win over them"),
    )
    parser.add_argument("--host", help=phrase("address to listen on; default: loopback"))
    for protocol in PROTOCOLS:
        parser.add_argument(
            f"--{protocol}",
            type=int,
            metavar="PORT",
            help=phrase("serve {protocol}; 0: any free port", protocol=protocol),
        )
    parser.add_argument(
        "--admin-port", type=int, metavar="PORT", help=phrase("serve the admin API")
    )
    _add_carrier(parser)
    parser.set_defaults(run=_run, log_level="INFO")
    _add_commands(parser)


def _add_carrier(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--account",
        action="append",
        metavar="NAME:SECRET",
        help=phrase("who may log in; repeatable"),
    )
    parser.add_argument("--tps", type=int, help=phrase("submits a second for each account"))
    parser.add_argument(
        "--profile",
        choices=["carrier", "roster", "stale"],
        help=phrase("how good the numbers are: carrier well kept, stale long out of date"),
    )
    parser.add_argument("--seed", type=int, help=phrase("the same seed gives the same fates"))
    parser.add_argument(
        "--journal", type=Path, help=phrase("file that makes a restart lose no receipt")
    )
    parser.add_argument(
        "--max-delay", type=float, help=phrase("longest delay of a receipt, seconds")
    )
    parser.add_argument(
        "--fault",
        action="append",
        metavar="NAME=VALUE",
        default=[],
        help=phrase("a fault to begin with; repeatable"),
    )


def _add_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", help=phrase("commands to one that runs:"))

    faults = _command(commands, "faults", phrase("show or change what goes wrong"), _faults)
    faults.add_argument("--reset", action="store_true", help=phrase("back to the settings' faults"))
    faults.add_argument(
        "values", nargs="*", metavar="NAME=VALUE", help=phrase("faults, e.g. too_fast=0.1")
    )

    mo = _command(commands, "mo", phrase("send a text from a handset"), _mo)
    mo.add_argument("--phone", required=True, help=phrase("who writes, e.g. +8619790001234"))
    mo.add_argument("--to", required=True, help=phrase("the number written to"))
    mo.add_argument("--account", help=phrase("whose number that is, if there are several accounts"))
    mo.add_argument(
        "--protocol", choices=PROTOCOLS, help=phrase("over which protocol, if there are several")
    )
    mo.add_argument(
        "--interleave", action="store_true", help=phrase("parts in turn on two connections")
    )
    mo.add_argument(
        "texts", nargs="+", metavar="TEXT", help=phrase("what it says; several: several texts")
    )

    disconnect = _command(commands, "disconnect", phrase("cut connections now"), _disconnect)
    disconnect.add_argument("--account", help=phrase("whose connections; default: everybody's"))

    _command(commands, "stats", phrase("show what was counted"), _stats)

    book = commands.add_parser("audit", help=phrase("who got what, how often, at which second"))
    source = book.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "journal", nargs="?", type=Path, metavar="JOURNAL", help=phrase("the file of --journal")
    )
    source.add_argument("--admin", metavar="URL", help=phrase("ask a running one instead"))
    book.add_argument(
        "--list", action="store_true", help=phrase("print each part, a line of JSON each")
    )
    book.add_argument("--phone", help=phrase("print each part that one phone got"))
    book.set_defaults(run=_audit, log_level="WARNING")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    sentence: str,
    run: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=sentence)
    parser.add_argument(
        "--admin",
        required=True,
        metavar="URL",
        help=phrase("where it answers, e.g. http://127.0.0.1:7900"),
    )
    parser.set_defaults(run=run, log_level="WARNING")
    return parser


def _run(options: argparse.Namespace) -> None:
    uvloop.run(_run_until_stopped(read_config(options)))


async def _run_until_stopped(config: SimulatorConfig) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with running(config, clock=clock_of_environment()):
        await stop.wait()


def read_config(options: argparse.Namespace) -> SimulatorConfig:
    """The settings out of a file and flags.

    Raises:
        Misconfigured: the file or a flag is unusable, or nothing is served.
    """
    values: dict[str, Any] = (
        {"cmpp_port": None} if options.config is None else _read_file(options.config)
    )
    values |= {
        name: value for name, value in _flags(options).items() if value not in (None, [], {})
    }
    values["faults"] = {**values.get("faults", {}), **_pairs(options.fault)}
    try:
        config = SimulatorConfig.model_validate(values)
    except ValidationError as error:
        raise Misconfigured(
            phrase("the simulator's settings are unusable: {why}", why=_sentence(error))
        ) from error
    if not config.protocols and config.robots_port is None:
        raise Misconfigured(
            phrase("nothing is served; name a protocol and its port: {example}", example=_EXAMPLE)
        )
    return config


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    ports = {f"{protocol}_port": getattr(options, protocol) for protocol in PROTOCOLS}
    return {
        **ports,
        "host": options.host,
        "admin_port": options.admin_port,
        "accounts": [_account(text) for text in options.account or []],
        "tps": options.tps,
        "profile": options.profile,
        "seed": options.seed,
        "journal": options.journal,
        "max_delay_seconds": options.max_delay,
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(
            phrase("{path} is not a simulator's settings: {error}", path=path, error=error)
        ) from error
    if not isinstance(values, dict):
        raise Misconfigured(
            phrase("{path} is not a simulator's settings: not a JSON object", path=path)
        )
    return values


def _account(text: str) -> dict[str, str]:
    name, colon, secret = text.partition(":")
    if not (name and colon and secret):
        raise Misconfigured(phrase("write --account as NAME:SECRET, e.g. 901234:simulated"))
    return {"account": name, "secret": secret}


def _pairs(texts: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE, the value as JSON, or as it is if that cannot be."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise Invalid(
                phrase("write a fault as NAME=VALUE, e.g. too_fast=0.1; not {text!r}", text=text)
            )
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    return listing(
        (listing((".".join(map(str, p["loc"])), fault(p)), ": ") for p in problems), "; "
    )


def _faults(options: argparse.Namespace) -> None:
    values = _pairs(options.values)
    if options.reset:
        _ask(options.admin, "DELETE", "/faults")
    if values:
        _show(_ask(options.admin, "PATCH", "/faults", values))
    else:
        _show(_ask(options.admin, "GET", "/faults"))


def _mo(options: argparse.Namespace) -> None:
    body = {
        "account": options.account,
        "protocol": options.protocol,
        "messages": [
            {"phone": options.phone, "to": options.to, "text": text} for text in options.texts
        ],
        "interleave": options.interleave,
    }
    _show(_ask(options.admin, "POST", "/mo", body))


def _disconnect(options: argparse.Namespace) -> None:
    _show(_ask(options.admin, "POST", "/disconnect", {"account": options.account}))


def _stats(options: argparse.Namespace) -> None:
    _show(_ask(options.admin, "GET", "/stats"))


def _audit(options: argparse.Namespace) -> None:
    if options.admin and (options.list or options.phone):
        raise Invalid(phrase("--list and --phone read a journal; name its file instead of --admin"))
    if options.admin:
        _show(_ask(options.admin, "GET", "/audit"))
    elif options.list or options.phone:
        phone = to_e164(options.phone) if options.phone else ""
        if options.phone and not phone:
            raise Invalid(phrase("--phone takes a mobile number, e.g. +8619790001234"))
        for entry in received(options.journal, phone):
            sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")
    else:
        _show(audit(options.journal))


def _show(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")


def _ask(admin: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return asyncio.run(_request(admin, method, path, body))


async def _request(admin: str, method: str, path: str, body: dict[str, Any] | None) -> Any:
    """One call of the admin API.

    Raises:
        Unavailable: nobody answers there.
        Invalid: it is refused; says why.
    """
    url = admin.rstrip("/") + path
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=ADMIN_SECONDS)) as client,
            client.request(method, url, json=body) as answer,
        ):
            said = await answer.json()
    except (ClientError, OSError, ValueError) as error:
        raise Unavailable(
            phrase(
                "no simulator's admin API answers at {admin} ({error}); start the simulator"
                " with --admin-port",
                admin=admin,
                error=error,
            )
        ) from error
    if answer.status >= 400:
        raise Invalid(said["error"])
    return said
