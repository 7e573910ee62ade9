"""Lists that are typed a line each, and what is wrong with one of their lines."""

import re

from service.console.asking import Desk
from service.errors import Invalid
from service.words.phrase import phrase

_PLACE = re.compile(r"\.(\d+)$")


def typed_lines(desk: Desk, name: str) -> list[str]:
    """The lines of a field, each once."""
    lines = (line.strip() for line in desk.typed(name).splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def at_fields(desk: Desk, error: Invalid) -> Invalid:
    """The same refusal by the fields of the form: of a line of a list (`hotlines.3`), by its list,
    with the line that is wrong.
    """
    fields: dict[str, str] = {}
    for name, said in error.fields.items():
        place = _PLACE.search(name)
        lines = typed_lines(desk, name[: place.start()]) if place else []
        if place is None or int(place[1]) >= len(lines):
            fields[name] = said
        else:
            line = lines[int(place[1])]
            fields[name[: place.start()]] = phrase("{word}: {problem}", word=line, problem=said)
    return Invalid(error.message, fields=fields)
