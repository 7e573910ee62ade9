"""Commands that are one request: the row of a table says the address and what may be given."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tocsin_client import Tocsin
from tocsin_client.ctl.acts import each, read_text
from tocsin_client.ctl.parser import Act, Commands, Options, Words, act
from tocsin_client.ctl.screen import Screen, say

_MEMORY_OCTETS = 1024 * 1024
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "text": {},
    "number": {"type": int},
    "flag": {"action": "store_const", "const": True},
    "many": {"action": "append"},
    "numbers": {"action": "append", "type": int},
    "codes": {"action": "append"},
}
_COMMA = re.compile("[,，]")

PHONE: Words = ("a number from stdin", "从标准输入读号码")
PHONES: Words = ("numbers from stdin, one a line", "从标准输入逐行读号码")
BODY: Words = ("what is to be, JSON; - or @FILE reads it", "内容，JSON；- 或 @文件 读取")


@dataclass(frozen=True)
class Take:
    """Something that a command takes, and where in the request it goes.

    place: `path` is a word without a name, in its order; `json` too, the members of the body.
    kind: of an option; of a `text` in the body, - and @FILE are read; `codes` may be several with
    commas between them, and several times.
    """

    name: str
    words: Words
    place: Literal["path", "query", "body", "json"]
    kind: str = "text"
    needed: bool = False
    choices: tuple[str, ...] | None = None

    @property
    def held_as(self) -> str:
        """The member of the options, which holds nothing else."""
        return f"given_{self.name}"

    def add_to(self, parser: Any) -> None:
        """Let a command take it."""
        if self.place in {"path", "json"}:
            parser.take(self.held_as, words=self.words, metavar=self.name.upper())
            return
        more = dict(_KINDS[self.kind])
        if self.choices:
            more["choices"] = self.choices
        elif self.kind != "flag":
            more["metavar"] = self.name.upper()
        if self.needed:
            more["required"] = True
        option = "--" + self.name.replace("_", "-")
        parser.take(option, dest=self.held_as, words=self.words, **more)


@dataclass(frozen=True)
class Request:
    """A command that is one request.

    op: method and address, as the reference has them. shows: the members that are printed, of the
    answer or of each item; none: nothing is. many: the answer is a list, `paged` or whole.
    reads: what comes from standard input, `phone` or `phones`. saves: the answer is a file.
    at_once: how many items a page has.
    """

    noun: str
    name: str
    op: str
    words: Words
    takes: tuple[Take, ...] = ()
    shows: str = ""
    many: Literal["paged", "whole"] | None = None
    reads: str = ""
    saves: bool = False
    at_once: int = 500

    def add_to(self, commands: Commands) -> None:
        """Let the noun have it."""
        parser = act(commands, self.name, self.does(), self.words)
        for take in self.takes:
            take.add_to(parser)
        if self.saves:
            words = ("the file to write", "要写入的文件")
            parser.take("save_to", words=words, type=Path, metavar="FILE")

    def does(self) -> Act:
        """The act."""

        async def ask(tocsin: Tocsin, o: Options, screen: Screen) -> None:
            method, path = self._address(o)
            query, body = self._given(o, "query"), self._body(o)
            names = tuple(self.shows.split())
            if self.saves:
                asked = body if method == "GET" else body or {}
                await _save(tocsin, path, o.save_to, screen, query, asked)
            elif self.many == "paged":
                await screen.table(tocsin.each(path, {"limit": self.at_once, **query}), names)
            else:
                found = await tocsin.ask(method, path, query=query, body=body)
                if self.many:
                    await screen.table(each(found["items"]), names)
                elif found is not None:
                    screen.facts(found, names)

        return ask

    def _address(self, o: Options) -> tuple[Any, str]:
        method, path = self.op.split()
        for take in self.takes:
            if take.place == "path":
                given = quote(getattr(o, take.held_as), safe="")
                path = path.replace(f"{{{take.name}}}", given)
        return method, path

    def _given(self, o: Options, place: str) -> dict[str, Any]:
        """The members of a place that were given; a query writes yes as true."""
        found = {}
        for take in self.takes:
            value = getattr(o, take.held_as, None) if take.place == place else None
            if value is not None:
                found[take.name] = "true" if value is True and place == "query" else value
            if value is not None and take.kind == "codes":
                found[take.name] = [code for given in value for code in codes(given)]
        return found

    def _body(self, o: Options) -> dict[str, Any] | None:
        body: dict[str, Any] = {}
        for take in self.takes:
            if take.place == "json":
                body |= _members(read_text(getattr(o, take.held_as)))
        texts = {take.name for take in self.takes if take.place == "body" and take.kind == "text"}
        given = self._given(o, "body")
        body |= {name: read_text(v) if name in texts else v for name, v in given.items()}
        if self.reads == "phone":
            body["phone"] = read_text("-")
        elif self.reads:
            lines = read_text("-").splitlines()
            body[self.reads] = [line.strip() for line in lines if line.strip()]
        return body or None


def codes(given: str) -> list[str]:
    """Codes with commas between them."""
    return [code for code in map(str.strip, _COMMA.split(given)) if code]


def _members(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(  # noqa: TRY004  # of usage
            say('give a JSON object, such as {"name": "…"}', '请给 JSON 对象，如 {"name": "…"}')
        )
    return found


async def _save(  # what a request has
    tocsin: Tocsin,
    path: str,
    target: Path,
    screen: Screen,
    query: dict[str, Any],
    body: dict[str, Any] | None,
) -> None:
    """Keep a file; it is there whole, or not at all."""
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_OCTETS) as pack:
        await tocsin.save(path, pack, query=query, body=body)
        octets = pack.tell()
        pack.seek(0)
        with target.open("xb") as file:
            shutil.copyfileobj(pack, file)
    screen.facts({"file": str(target), "octets": octets}, ("file", "octets"))


def path(name: str, words: Words) -> Take:
    """A word in the address."""
    return Take(name, words, "path")


def query(name: str, words: Words, **more: Any) -> Take:
    """An option in the query."""
    return Take(name, words, "query", **more)


def body(name: str, words: Words, **more: Any) -> Take:
    """An option in the body."""
    return Take(name, words, "body", **more)


def whole(words: Words = BODY) -> Take:
    """The members of the body, as JSON."""
    return Take("json", words, "json")
