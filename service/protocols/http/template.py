"""What is sent to a provider, written once with placeholders, filled in for each text.

The template is taken apart before anything is filled in, so no text, whatever it holds, can add a
field, end a string, or be read as a placeholder itself. A field that consists of placeholders alone
and comes out empty is left out: an optional `{valid_until}` is then not sent as "".
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from service.words.phrase import phrase

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x1f\x7f]*)")
_FRAMING = {"content-length", "transfer-encoding", "connection"}
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Values = Mapping[str, str]


class TemplateError(ValueError):
    """A template that cannot be read; the text says what to change."""


@dataclass(frozen=True, slots=True)
class TemplateString:
    """One string with placeholders: literals at even places, names at odd ones."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, known: Collection[str]) -> "TemplateString":
        """Take a string apart; {{ and }} stand for braces.

        Raises:
            TemplateError: it has a placeholder that is not `known`, or a single brace.
        """
        pieces = [""]
        end = 0
        for match in _TOKEN.finditer(text):
            pieces[-1] += text[end : match.start()]
            end = match.end()
            if match[0] in ("{{", "}}"):
                pieces[-1] += match[0][0]
            elif match[1] in known:
                pieces += [match[1], ""]
            else:
                names = ", ".join(f"{{{name}}}" for name in sorted(known))
                raise TemplateError(
                    phrase(
                        "{match} is no placeholder; they are {names}; write {{{{ and }}}}"
                        " where a brace is meant",
                        match=match[0],
                        names=names,
                    )
                )
        pieces[-1] += text[end:]
        return cls(tuple(pieces))

    @property
    def names(self) -> tuple[str, ...]:
        """Its placeholders."""
        return self.pieces[1::2]

    def fill(self, values: Values) -> str:
        """The string with its placeholders filled in, once."""
        return "".join(
            values[piece] if place % 2 else piece for place, piece in enumerate(self.pieces)
        )

    def absent(self, filled: str) -> bool:
        """Whether it is to be left out: nothing but placeholders, and all of them empty."""
        return not filled and len(self.pieces) > 1


@dataclass(frozen=True, slots=True)
class FormTemplate:
    """Fields for application/x-www-form-urlencoded, or for the query of a GET."""

    fields: tuple[tuple[str, TemplateString], ...]
    media_type = "application/x-www-form-urlencoded"

    def pairs(self, values: Values) -> list[tuple[str, str]]:
        """The fields that have something to say, in order."""
        filled = [(name, line, line.fill(values)) for name, line in self.fields]
        return [(name, text) for name, line, text in filled if not line.absent(text)]

    def render(self, values: Values) -> bytes:
        """The form, percent-encoded in UTF-8."""
        return urlencode(self.pairs(values), errors="replace").encode("ascii")


@dataclass(frozen=True, slots=True)
class JSONTemplate:
    """A JSON document whose strings have placeholders; everything else in it stays as it is."""

    document: object
    media_type = "application/json"

    def render(self, values: Values) -> bytes:
        """The document in UTF-8."""
        filled = json.dumps(_fill(self.document, values), ensure_ascii=False)
        return filled.encode("utf-8", "replace")


def form_template(source: str, known: Collection[str]) -> FormTemplate:
    """Read `name=value&name=value`, percent-encoded where a value needs it.

    Raises:
        TemplateError: it is no form, or has a placeholder that is not known.
    """
    try:
        pairs = parse_qsl(source.strip(), keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise TemplateError(phrase("write a form like to={{recipient}}&text={{text}}")) from error
    if not pairs:
        raise TemplateError(phrase("write a form like to={{recipient}}&text={{text}}"))
    return FormTemplate(tuple((name, TemplateString.parse(value, known)) for name, value in pairs))


def json_template(source: str, known: Collection[str]) -> JSONTemplate:
    """Read a JSON document.

    Raises:
        TemplateError: it is no JSON, or has a placeholder that is not known.
    """
    try:
        document = json.loads(source)
    except ValueError as error:
        raise TemplateError(
            phrase('write JSON like {{"to": "{{recipient}}", "text": "{{text}}"}}')
        ) from error
    return JSONTemplate(_parse(document, known))


def names_of(template: FormTemplate | JSONTemplate) -> set[str]:
    """The placeholders of a template."""
    if isinstance(template, FormTemplate):
        return {name for _, line in template.fields for name in line.names}
    return {name for line in _lines(template.document) for name in line.names}


def read_headers(lines: str) -> dict[str, str]:
    """The headers that are written one a line.

    Raises:
        TemplateError: a line is no header, or one of those that say how long a body is.
    """
    headers = {}
    for number, line in enumerate(filter(None, map(str.strip, lines.splitlines())), start=1):
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in _FRAMING:
            raise TemplateError(
                phrase("line {number} is no header like Authorization: Bearer …", number=number)
            )
        headers[match[1].title()] = match[2]
    return headers


def _parse(node: object, known: Collection[str]) -> object:
    if isinstance(node, str):
        return TemplateString.parse(node, known)
    if isinstance(node, list):
        return [_parse(item, known) for item in node]
    if isinstance(node, dict):
        return {name: _parse(value, known) for name, value in node.items()}
    return node


def _fill(node: object, values: Values) -> object:
    if isinstance(node, TemplateString):
        return node.fill(values)
    if isinstance(node, list):
        return [_fill(item, values) for item in node]
    if isinstance(node, dict):
        filled = ((name, value, _fill(value, values)) for name, value in node.items())
        return {name: text for name, value, text in filled if not _is_absent(value, text)}
    return node


def _is_absent(node: object, filled: object) -> bool:
    return isinstance(node, TemplateString) and isinstance(filled, str) and node.absent(filled)


def _lines(node: object) -> Iterator[TemplateString]:
    if isinstance(node, TemplateString):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from _lines(item)
    elif isinstance(node, dict):
        for value in node.values():
            yield from _lines(value)
