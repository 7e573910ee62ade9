"""What a command says: tables and facts for people, JSON for programs, in the language of LANG."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TextIO

from tocsin_client.ctl.words import BY_TYPE, CODED, LABELS, WORDS

_FIRST_ROWS = 500
_WHOLE = 100
"""A figure from here on is shown without decimals."""


LANGUAGE: ContextVar[str] = ContextVar("LANGUAGE", default="")
"""What `--lang` says: zh, en, or nothing."""


def speaks_chinese(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `--lang`, TOCSIN_LANGUAGE, LC_ALL, LC_MESSAGES or LANG, the first that is set, asks
    for Chinese.
    """
    if LANGUAGE.get():
        return LANGUAGE.get() == "zh"
    names = ("TOCSIN_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    told = next((environment[name] for name in names if environment.get(name)), "")
    return told.lower().startswith("zh")


def say(english: str, chinese: str) -> str:
    """A sentence in the language that is asked for."""
    return chinese if speaks_chinese() else english


def said(plain: object) -> object:
    """A sentence in the language that is asked for."""
    return plain["zh" if speaks_chinese() else "en"] if isinstance(plain, dict) else plain


class Screen:
    """Where a command's answer goes. as_json: a value a line, as the API gave it."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout

    def facts(self, answer: Mapping[str, Any], names: Sequence[str]) -> None:
        """One thing: these of its members, a line each."""
        if self.as_json:
            self._json(answer)
            return
        given = [name for name in names if name in answer]
        wide = max((width(label(name)) for name in given), default=0)
        for name in given:
            first, *below = _lines(name, answer[name])
            self._line(f"{padded(label(name), wide)}  {first}")
            self.text(below)

    async def table(self, items: AsyncIterator[Any], names: Sequence[str]) -> None:
        """A list: these members of each. It is printed while it comes."""
        if self.as_json:
            async for item in items:
                self._json(item)
            return
        waiting = [[label(name) for name in names]]
        widths: list[int] = []
        async for item in items:
            row = [member(name, item.get(name)) for name in names]
            if widths:
                self._row(row, widths)
                continue
            waiting.append(row)
            if len(waiting) > _FIRST_ROWS:
                widths = self._begin(waiting)
        if not widths:
            self._begin(waiting)

    def text(self, lines: Iterable[str]) -> None:
        """Lines for a person; a program is told nothing."""
        if not self.as_json:
            for line in lines:
                self._line(line)

    def _begin(self, rows: Sequence[Sequence[str]]) -> list[int]:
        widths = [max(width(value) for value in column) for column in zip(*rows, strict=True)]
        for row in rows:
            self._row(row, widths)
        return widths

    def _row(self, row: Sequence[str], widths: Sequence[int]) -> None:
        self._line("  ".join(map(padded, row, widths)).rstrip())

    def _json(self, value: object) -> None:
        self._line(json.dumps(value, ensure_ascii=False))

    def _line(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def label(name: str) -> str:
    """What a member is called in the language that is asked for."""
    return LABELS.get(name, name) if speaks_chinese() else name


def _named(name: str, value: object) -> str:
    """What a member is called inside a value."""
    meant = BY_TYPE.get((name, type(value)))
    return word(name) if meant is None else label(meant) if speaks_chinese() else name


def word(name: str) -> str:
    """What a name inside a count is called."""
    return WORDS.get(name, label(name)) if speaks_chinese() else name


def member(name: str, value: object) -> str:
    """The value of a member on one line; a name that stands for something, in words."""
    if name in CODED and isinstance(value, str):
        value = word(value)
    elif name in CODED and isinstance(value, list):
        value = [word(one) if isinstance(one, str) else one for one in value]
    return cell(value)


def _lines(name: str, value: object, depth: int = 1) -> list[str]:
    """The value of a member; records of a list, and of lists inside, a line each below it."""
    if isinstance(value, Mapping):
        deep = {part: found for part, found in value.items() if _are_records(found)}
        lines = [cell({part: found for part, found in value.items() if part not in deep})]
        for part, found in deep.items():
            first, *below = _lines(part, found, depth + 1)
            lines += [f"{_INDENT * depth}{word(part)}  {first}", *below]
        return lines
    if isinstance(value, list) and _are_records(value):
        lines = [str(len(value))]
        for record in value:
            first, *below = _lines(name, record, depth + 1)
            lines += [f"{_INDENT * depth}{first}", *below]
        return lines
    return [member(name, value)]


_INDENT = "  "


def _are_records(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


_FRACTION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+")


def cell(value: object) -> str:
    """A value on one line, instants to the second; nothing that could steer a terminal comes
    through.
    """
    if value is None:
        text = "-"
    elif isinstance(value, bool):
        text = say("yes", "是") if value else say("no", "否")
    elif isinstance(value, Mapping) and value.keys() == {"zh", "en"}:
        text = str(said(value))
    elif isinstance(value, Mapping):
        text = "  ".join(
            f"{_named(name, part)} {member(name, part)}" for name, part in value.items()
        )
        text = text or "-"
    elif isinstance(value, float):
        text = f"{value:.0f}" if abs(value) >= _WHOLE else f"{value:.2f}".rstrip("0").rstrip(".")
    elif isinstance(value, list):
        text = ", ".join(map(cell, value)) or "-"
    else:
        text = _FRACTION.sub(r"\1", str(value))
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def width(text: str) -> int:
    """How many columns a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def padded(text: str, wide: int) -> str:
    """A text filled up to so many columns."""
    return text + " " * (wide - width(text))
