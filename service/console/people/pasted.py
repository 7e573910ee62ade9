"""Rows that were pasted from a spreadsheet, or typed, into the members of a list (pure).

A line each: the number, then the name, with a comma or a tab between; or under a first line with
the headings of a contact file (手机号, 姓名, 身份, 乡镇, …), which are those that an import knows.
"""

import re
from typing import Final

from service.api.audience.field_members import LONGEST_VALUE, ROW_FIELDS
from service.api.audience.rosters import MemberBody
from service.audience.rosters.rosters import MOST_MEMBERS
from service.audience.tables.header import Vocabulary
from service.errors import Invalid
from service.words.phrase import Phrase, phrase

FIELD: Final = "members"
_BARE: Final = ("phone", "name")
"""What the cells of a line say where no line has headings."""
_COLUMNS: Final = frozenset(field.code for field in ROW_FIELDS)
_COMMA: Final = re.compile("[,，]")


def members_of(text: str) -> list[MemberBody]:
    """The members that the lines say.

    Raises:
        Invalid: there is none, or there are too many; a heading is not known or of what is never
            imported; a line has no number, or more than its headings. At the field `members`.
    """
    rows = [(no, _cells(line)) for no, line in enumerate(text.splitlines(), 1) if line.strip()]
    columns: tuple[str, ...] = _BARE
    if rows and any(map(Vocabulary().is_phone, rows[0][1])):
        columns = _headings(*rows.pop(0))
    if not 0 < len(rows) <= MOST_MEMBERS:
        raise _wrong(phrase("give 1 to {most:,} persons, a line each", most=MOST_MEMBERS))
    return [_member(no, cells, columns) for no, cells in rows]


def _cells(line: str) -> list[str]:
    parts = line.split("\t") if "\t" in line else _COMMA.split(line)
    return [part.strip() for part in parts]


def _headings(no: int, cells: list[str]) -> tuple[str, ...]:
    known = Vocabulary()
    found = []
    for cell in cells:
        meaning = known.meaning(cell)
        if meaning is None or meaning.column not in _COLUMNS:
            raise _wrong(
                phrase("line {line}: “{heading}” is no heading that is read", line=no, heading=cell)
            )
        if meaning.refused:
            raise _wrong(
                phrase(
                    "{header} holds personal data that is never imported; leave it out", header=cell
                )
            )
        found.append(meaning.column)
    if len(set(found)) < len(found):
        raise _wrong(phrase("line {line}: two headings mean the same", line=no))
    return tuple(found)


def _member(no: int, cells: list[str], columns: tuple[str, ...]) -> MemberBody:
    if len(cells) > len(columns):
        raise _wrong(phrase("line {line} has more cells than there are headings", line=no))
    said = dict(zip(columns, cells, strict=False))
    if not said.get("phone"):
        raise _wrong(phrase("line {line} has no number", line=no))
    if any(len(cell) > LONGEST_VALUE for cell in cells):
        raise _wrong(phrase("line {line} has a cell that is too long", line=no))
    roles = said.pop("roles", "")
    return MemberBody.model_validate({**said, "roles": [roles] if roles else []})


def _wrong(problem: Phrase | str) -> Invalid:
    return Invalid(phrase("the list was left as it is"), fields={FIELD: problem})
