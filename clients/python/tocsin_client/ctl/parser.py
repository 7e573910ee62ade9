"""Parsers whose help is wholly in one language, and never without a word."""

import argparse
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

from tocsin_client import Tocsin
from tocsin_client.ctl.screen import Screen, say, speaks_chinese

Options = argparse.Namespace
Act = Callable[[Tocsin, Options, Screen], Awaitable[int | None]]
Words = tuple[str, str]
"""In English and in Chinese."""

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # its only name


class _Help(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """The usage, under its name in the language that is asked for."""
        named = say("usage: ", "用法：") if prefix is None else prefix
        super().add_usage(usage, actions, groups, named)


class _Example(_Help, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of an example as they are."""


class Parser(argparse.ArgumentParser):
    """A parser that says the headings of its help in the language that is asked for."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"add_help": False, "formatter_class": _Help, **more})
        self._positionals.title = say("what it takes", "参数")
        self._optionals.title = say("options", "选项")
        self.add_argument("-h", "--help", action="help", help=say("say this", "显示本说明"))

    def error(self, message: str) -> NoReturn:
        """End with what is wrong with the arguments, in the language that is asked for."""
        if not speaks_chinese():
            super().error(message)
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}：{in_chinese(message)}\n")

    def take(self, *names: str, words: Words, **more: Any) -> None:
        """Add an argument, with its help."""
        self.add_argument(*names, help=say(*words), **more)

    def example(self, words: Words, text: str) -> None:
        """End the help with an example, its lines as they are."""
        self.epilog = f"{say(*words)}\n{text}"
        self.formatter_class = _Example

    def below(self, called: Words, *, required: bool = True) -> "Commands":
        """Make room for commands below this one."""
        return self.add_subparsers(required=required, metavar=say(*called), title=say(*called))


_FAULTS = (
    (r"the following arguments are required: (.*)", r"缺少参数：\1"),
    (r"unrecognized arguments: (.*)", r"不认识的参数：\1"),
    (r"argument (.*?): invalid choice: (.*?) \(choose from (.*)\)", r"参数 \1 不能是 \2，可选：\3"),
    (r"argument (.*?): invalid \w+ value: (.*)", r"参数 \1 的值无效：\2"),
    (r"argument (.*?): expected one argument", r"参数 \1 后须有一个值"),
    (r"argument (.*?): expected at least one argument", r"参数 \1 后至少须有一个值"),
    (r"argument (.*?): not allowed with argument (.*)", r"参数 \1 不能与 \2 同用"),
    (r"one of the arguments (.*) is required", r"须给出其中一个参数：\1"),
    (r"argument (.*?): (.*)", r"参数 \1：\2"),
)
"""What argparse says of wrong arguments, and the same in Chinese."""


def in_chinese(message: str) -> str:
    """What argparse says of wrong arguments, in Chinese as far as it is known."""
    for pattern, chinese in _FAULTS:
        if (match := re.fullmatch(pattern, message, re.DOTALL)) is not None:
            return match.expand(chinese)
    return message


def act(of: Commands, name: str, does: Act, words: Words) -> Parser:
    """Add what can be done with a noun."""
    said = say(*words)
    parser = of.add_parser(name, help=said, description=said)
    parser.set_defaults(act=does)
    return parser


def act_on(of: Commands, name: str, does: Act, words: Words, what: Words) -> Parser:
    """The same, done to one thing by its id."""
    parser = act(of, name, does, words)
    parser.take("id", words=what, metavar="ID")
    return parser


def pair(given: str) -> tuple[str, str]:
    """A name and what stands for it, written NAME=VALUE.

    Raises:
        argparse.ArgumentTypeError: one of the two is missing.
    """
    name, _, value = given.partition("=")
    if not (name and value):
        raise argparse.ArgumentTypeError(
            say(
                f"{given!r} is not NAME=VALUE (of a column NAME=HEADER), such as phone=Mobile",
                f"{given!r} 不是 NAME=VALUE（列为 NAME=HEADER）的形式，例如 phone=联系电话",
            )
        )
    return name, value


def reason(parser: Parser, *, required: bool) -> None:
    """Add why it is done."""
    parser.take(
        "--reason", words=("why; it is kept", "理由，会留存"), required=required, default=""
    )
