"""Statements whose parameters have names: `:name` in the text, a keyword beside it.

`await sql.fetchval(conn, "SELECT state FROM runs WHERE id = :run_id", run_id=run_id)`

The driver knows `$1`, `$2`, … only. A text is translated once and then kept, so that the same
text is always the same prepared statement. The first name becomes `$1`, the next new one `$2`; a
name that stands twice is one parameter.

A colon is a parameter's where a name follows it at once and nothing that a slice could begin with
goes before it: `a[1:n]`, `a[low:high]` and `f(x)[2:n]` are slices, `a[:n]` takes the parameter n.
Literals, quoted names, comments, dollar-quoted bodies and casts (`::text`) are left as they are.
"""

import re
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from service.storage.postgres import Connection, Cursor, Pool, Record

_TOKEN = re.compile(
    r"""
      (?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'                  # a literal with escapes
    | '(?:[^']|'')*'                                      # a literal
    | "(?:[^"]|"")*"                                      # a quoted name
    | --[^\n]*                                            # a comment to the end of the line
    | /\*(?:(?!\*/|/\*).|/\*(?:(?!\*/).)*\*/)*\*/         # a comment, perhaps with one inside
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$  # a dollar-quoted body
    | ::                                                  # a cast
    | (?<![\w$])\$(?P<number>\d+)                         # a numbered parameter
    | (?<![\w)\]":]):(?P<name>[A-Za-z_]\w*)               # a named one
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_KEPT = 2048
"""How many translations are kept: several times as many as there are statements. Texts that are
made anew for each rule push each other out."""


class Translated(NamedTuple):
    """A text as the driver takes it, and the names of its parameters in the order of theirs."""

    text: str
    names: tuple[str, ...]

    def arrange(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the parameters.

        Raises:
            TypeError: one is missing, or one is left over.
        """
        try:
            arranged = [values[name] for name in self.names]
        except KeyError:
            raise self._mismatch(values) from None
        if len(arranged) != len(values):
            raise self._mismatch(values)
        return arranged

    def _mismatch(self, values: Mapping[str, Any]) -> TypeError:
        missing = [f":{name}" for name in self.names if name not in values]
        unused = [f":{name}" for name in values if name not in self.names]
        parts = [f"has no value for {', '.join(missing)}"] if missing else []
        parts += [f"does not use {', '.join(unused)}"] if unused else []
        sentence = f"the statement {' and '.join(parts)}"
        return TypeError(f"{sentence}: {' '.join(self.text.split())[:200]}")


@lru_cache(_KEPT)
def translate(text: str) -> Translated:
    """A statement with named parameters as one with numbered ones.

    Raises:
        ValueError: it has a numbered parameter already.
    """
    numbers: dict[str, int] = {}

    def place(token: re.Match[str]) -> str:
        if number := token["number"]:
            raise ValueError(f"a parameter has a number, not a name: ${number} in {text.strip()}")
        if name := token["name"]:
            return f"${numbers.setdefault(name, len(numbers) + 1)}"
        return token[0]

    return Translated(_TOKEN.sub(place, text), tuple(numbers))


def _rename(text: str, names: Mapping[str, str]) -> str:
    def place(token: re.Match[str]) -> str:
        name = token["name"]
        return f":{names[name]}" if name in names else token[0]

    return _TOKEN.sub(place, text)


def fetch(
    conn: Connection | Pool, text: str, /, *, timeout: float | None = None, **values: Any
) -> Coroutine[Any, Any, list[Record]]:
    """All rows of a statement.

    timeout: how many seconds it may take, where it is not as many as the connection says.

    Raises:
        TypeError: a parameter has no value, or a value no parameter.
    """
    statement = translate(text)
    return conn.fetch(statement.text, *statement.arrange(values), timeout=timeout)


def fetchrow(
    conn: Connection | Pool, text: str, /, *, timeout: float | None = None, **values: Any
) -> Coroutine[Any, Any, Record | None]:
    """The first row of a statement, if it has any; the rest as `fetch`."""
    statement = translate(text)
    return conn.fetchrow(statement.text, *statement.arrange(values), timeout=timeout)


def fetchval(
    conn: Connection | Pool, text: str, /, *, timeout: float | None = None, **values: Any
) -> Coroutine[Any, Any, Any]:
    """The first value of the first row, or None; the rest as `fetch`."""
    statement = translate(text)
    return conn.fetchval(statement.text, *statement.arrange(values), timeout=timeout)


def execute(
    conn: Connection | Pool, text: str, /, *, timeout: float | None = None, **values: Any
) -> Coroutine[Any, Any, str]:
    """Run a statement and return its status, e.g. "UPDATE 3"; the rest as `fetch`."""
    statement = translate(text)
    return conn.execute(statement.text, *statement.arrange(values), timeout=timeout)


async def executemany(
    conn: Connection | Pool, text: str, /, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Run a statement once for each mapping of names to values, all of them or none."""
    statement = translate(text)
    await conn.executemany(statement.text, [statement.arrange(row) for row in rows])


def cursor(conn: Connection, text: str, /, *, prefetch: int, **values: Any) -> Cursor:
    """The rows of a statement, `prefetch` at a time, inside a transaction."""
    statement = translate(text)
    return conn.cursor(statement.text, *statement.arrange(values), prefetch=prefetch)


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a statement that is true or false of a row, and the values of its parameters.

    `a & b` and `a | b` are conditions, too. A name that both have with different values is another
    one in the second.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: "Condition") -> "Condition":
        return self._joined("AND", other)

    def __or__(self, other: "Condition") -> "Condition":
        return self._joined("OR", other)

    def _joined(self, word: str, other: "Condition") -> "Condition":
        taken = {*self.values, *other.values}
        names = {}
        for name, value in other.values.items():
            if name in self.values and self.values[name] is not value:
                stem, number = name.rstrip("0123456789").rstrip("_"), 2
                while f"{stem}_{number}" in taken:
                    number += 1
                names[name] = f"{stem}_{number}"
                taken.add(names[name])
        values = {names.get(name, name): value for name, value in other.values.items()}
        text = f"({self.text}) {word} ({_rename(other.text, names)})"
        return Condition(text, {**self.values, **values})


def apart(prefix: str, text: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A part of a statement whose parameters have names of their own, which begin with the prefix:
    for one of several parts of a kind in one statement.
    """
    names = {name: f"{prefix}{name}" for name in values}
    return _rename(text, names), {names[name]: value for name, value in values.items()}


def load(beside: str, name: str, **parts: str) -> str:
    """The statement in the file `name` beside a module, whose `__file__` is given; each $PART in it
    stands for a part that several statements share.

    Raises:
        KeyError: the statement wants a part that is not given.
    """
    return Template(Path(beside).with_name(name).read_text("utf-8")).substitute(parts)
