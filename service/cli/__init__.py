"""The `tocsin` command: all that is done from a shell; `tocsin --help` lists it.

Only the module of the command that is asked for is imported: half of what a short command took was
reading the code of all the others.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from service.cli.help import Parser
from service.errors import Invalid, Misconfigured, TocsinError
from service.liveness.exit_codes import ExitCode, exit_code_of
from service.logs import configure, levels_named
from service.parent import end_with_parent
from service.words.catalogues import of_shell
from service.words.phrase import phrase, told

COMMANDS = {
    "up": ("service.cli.up:add_up", phrase("run the whole system on this machine")),
    "demo": ("service.cli.demo:add_demo", phrase("take one real broadcast through a fresh system")),
    "serve": ("service.cli.serve:add_serve", phrase("run the HTTP API")),
    "migrate": (
        "service.cli.database:add_migrate",
        phrase("bring the database up to date, and load the areas"),
    ),
    "backup": (
        "service.cli.backup_command:add_arguments",
        phrase("copy the database to another disk"),
    ),
    "restore": (
        "service.cli.restore_command:add_arguments",
        phrase("put the database together from its backups, and check it"),
    ),
    "hold-all": (
        "service.cli.database:add_hold_all",
        phrase("stop everything, as after a restored backup"),
    ),
    "bootstrap": (
        "service.cli.database:add_bootstrap",
        phrase("make the first department and two administrators; prints the key of each once"),
    ),
    "env": ("service.cli.database:add_env", phrase("print every setting with its meaning")),
    "import": (
        "service.cli.import_command:add_arguments",
        phrase("read a contact file onto a roster"),
    ),
    "channel": ("service.cli.channels:add_arguments", phrase("set up, change and test channels")),
    "keys": ("service.privacy.keys_command:add_arguments", phrase("rotate the master key")),
    "password": (
        "service.cli.password_command:add_arguments",
        phrase("give somebody a password for once"),
    ),
    "templates": ("service.cli.starter_command:add_arguments", phrase("load the starter library")),
    "documents": (
        "service.cli.documents_command:add_arguments",
        phrase("the county's own Word files"),
    ),
    "suppressions": (
        "service.cli.suppression_command:add_arguments",
        phrase("numbers that are never sent to"),
    ),
    "prefixes": (
        "service.cli.prefix_command:add_arguments",
        phrase("whose the first seven digits are"),
    ),
    "audit": ("service.cli.audit_command:add_arguments", phrase("verify the audit trail")),
    "holidays": (
        "service.cli.holiday_command:add_arguments",
        phrase("the calendar of holidays"),
    ),
    "simulate": (
        "service.simulator.command:add_arguments",
        phrase("run a simulated carrier, or steer one that runs"),
    ),
    "ctl": ("tocsin_client.ctl.command:main", phrase("operate a service over its API")),
}
"""Each command: what adds its arguments, as `module:function`, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Our own errors are one plain sentence, in the
    language of TOCSIN_LANGUAGE or the locale, and in both where neither says which.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            return _main(given)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        from tocsin_client.ctl.pipes import NOBODY_READS, is_unread  # noqa: PLC0415  # reads much

        if is_unread(sys.stdout):
            return NOBODY_READS
        raise


def _main(given: Sequence[str]) -> int:
    if given[:1] == ["ctl"]:  # of another package, whose help speaks two languages
        code: int = _load("ctl")(given[1:], prog="tocsin ctl")
        return code
    options = command_parser(given[:1]).parse_args(given)
    end_with_parent()
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        configure(_log_level(options))
        code: int | None = options.run(options)
    except TocsinError as error:
        language = of_shell()
        print(f"tocsin: {told(error.message, language)}", file=sys.stderr)
        for field, why in error.fields.items() if isinstance(error, Invalid) else ():
            print(f"  {field}: {told(why, language)}", file=sys.stderr)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        if not (sentences := import_module("service.servers").say_faults(error)):
            raise
        print("tocsin: " + "\n  ".join(sentences), file=sys.stderr)
        return ExitCode.BROKE
    return code or 0


def _log_level(options: argparse.Namespace) -> str:
    """The level of the environment, else the command's own; read here without all settings, as
    some commands need none of them.
    """
    try:
        return levels_named(os.environ.get("TOCSIN_LOG_LEVEL") or options.log_level)
    except ValueError as error:
        raise Misconfigured(phrase("TOCSIN_LOG_LEVEL: {error}", error=error)) from error


def command_parser(asked: Sequence[str]) -> Parser:
    """All commands by name; the one asked for with its arguments."""
    parser = Parser(
        prog="tocsin", description=phrase("Bulk SMS and broadcasts, planned, sent and proved.")
    )
    parser.set_defaults(log_level="WARNING")
    parser.add_argument(
        "--version", action=_ShowVersion, nargs=0, help=phrase("say which version this is")
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (_, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what)
        if name in asked:
            _load(name)(command)
    return parser


class _ShowVersion(argparse.Action):
    """Says the version, which is read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"tocsin {import_module('importlib.metadata').version('tocsin')}")
        parser.exit()


def _load(name: str) -> Callable[..., Any]:
    module, function = COMMANDS[name][0].split(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
