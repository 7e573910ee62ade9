"""Parsers whose help, and whose complaints, are in the language of whoever runs the command.

The language is that of TOCSIN_LANGUAGE or the locale, as for `tocsin ctl`; English where neither
says which. Help is given as a phrase.
"""

import argparse
import sys
from typing import Any, NoReturn

from service.liveness.exit_codes import ExitCode
from service.words.catalogues import of_shell
from service.words.phrase import Phrase, phrase, translated


def _said(text: str) -> str:
    return translated(text, of_shell())


class _Help(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """The usage, under its name in the reader's language."""
        super().add_usage(
            usage, actions, groups, _said(phrase("usage: ")) if prefix is None else prefix
        )

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help and _said(action.help)


class Parser(argparse.ArgumentParser):
    """A parser that speaks the reader's language. description: a phrase, too."""

    def __init__(self, **more: Any) -> None:
        if description := more.get("description"):
            more["description"] = _said(description)
        super().__init__(**{"add_help": False, "formatter_class": _Help, **more})
        self._positionals.title = _said(phrase("what it takes"))
        self._optionals.title = _said(phrase("options"))
        self.add_argument("-h", "--help", action="help", help=phrase("show this help"))

    def error(self, message: str) -> NoReturn:
        """End with what is wrong with the arguments, and with our code for that."""
        self.print_usage(sys.stderr)
        if of_shell() != "zh":
            self.exit(ExitCode.USAGE, f"{self.prog}: error: {message}\n")
        from tocsin_client.ctl.parser import in_chinese  # noqa: PLC0415  # reads much

        self.exit(ExitCode.USAGE, f"{self.prog}：{in_chinese(_with_own_words(message))}\n")


def _with_own_words(message: str) -> str:
    """The complaint of argparse, with what a type of ours said in Chinese inside."""
    complaint = sys.exception()
    own = complaint.__context__ if isinstance(complaint, argparse.ArgumentError) else None
    if isinstance(own, argparse.ArgumentTypeError) and isinstance(own.args[0], Phrase):
        return message.replace(str(own.args[0]), own.args[0].in_language("zh"))
    return message
