"""What one record of a table means: skipped, rejected, or a person with numbers (§4 to §9).

This looks at one record only; what earlier rows of the file said is `recipients`' business.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from service.audience.ages import UNKNOWN, Age, is_minor, read_age, read_grade
from service.audience.area import AreaTree, Place
from service.audience.cells import masked, squeeze, text_form
from service.audience.header import Header, Vocabulary
from service.audience.model import Link
from service.audience.names import Name, read_name
from service.audience.number import CellResult, read_cell
from service.audience.prefix import Prefixes
from service.audience.traits import (
    Choice,
    Roles,
    Text,
    read_carrier,
    read_flag,
    read_gender,
    read_roles,
    read_text,
)

LONGEST_MASKED = 40
TEXT_COLUMNS = (
    "group",
    "org",
    "org_type",
    "school",
    "grade",
    "class",
    "guardian_of",
    "consent_basis",
    "source_dept",
    "valid_until",
    "note",
)
"""The free text columns, in the order of the last fields of Link."""

_OTHER_COLUMNS = (
    "name",
    "gender",
    "age",
    "age_band",
    "area_code",
    "town",
    "village",
    "roles",
    "carrier",
    "synthetic",
)
_GRADE, _GUARDIAN_OF = TEXT_COLUMNS.index("grade"), TEXT_COLUMNS.index("guardian_of")
_TOTAL = re.compile(
    "(合计|总计|小计|共计|总数|本页合计|total|subtotal|sum):?[0-9]*(人|条|行|户|个|名)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The tables that the rules look things up in."""

    areas: AreaTree
    prefixes: Prefixes


class Skip(NamedTuple):
    """A record that is no person."""

    code: str


class Refusal(NamedTuple):
    """A record without a usable number, or about a child."""

    code: str
    masked: str
    suggestion: str | None = None


class Person(NamedTuple):
    """A record with at least one valid number."""

    numbers: tuple[str, ...]
    link: Link
    place: Place
    synthetic: bool
    fixes: tuple[str, ...]
    warnings: tuple[str, ...]


class RowReader:
    """Reads the records below one header."""

    def __init__(self, header: Header, words: Vocabulary, rules: Rules) -> None:
        self._width = header.width
        self._words = words
        self._rules = rules
        self._has_name = "name" in header.columns
        self._phone = header.columns["phone"]
        self._texts = self._getter(header, TEXT_COLUMNS)
        self._others = self._getter(header, _OTHER_COLUMNS)
        known = [(at, column) for column, at in header.columns.items() if at != self._phone]
        self._others_known = known + [(column.index, column.kind) for column in header.refused]

    @staticmethod
    def _getter(
        header: Header, columns: Sequence[str]
    ) -> Callable[[Sequence[str]], tuple[str, ...]]:
        """Picks cells; a column that the table lacks is read from the empty cell at the end."""
        return itemgetter(*(header.columns.get(column, header.width) for column in columns))

    def cells(self, record: Sequence[str]) -> list[str]:
        """The cells of a record under the header, and one empty cell more."""
        cells = list(record[: self._width])
        cells += [""] * (self._width + 1 - len(cells))
        return cells

    def read(self, cells: Sequence[str]) -> Skip | Refusal | Person:
        """What the cells of a record mean."""
        first = next((text for cell in cells if (text := text_form(cell))), "")
        if not first:
            return Skip("blank")
        if first.startswith("# ") and all(text_form(cell) in {"", first} for cell in cells):
            return Skip("comment")
        phone = read_cell(cells[self._phone], self._rules.prefixes)
        if phone.code is None:
            return self._person(cells, phone)
        if self._repeats_header(cells):
            return Skip("repeated_header")
        if _TOTAL.fullmatch(squeeze(first)):
            return Skip("total")
        return self._refusal(cells, phone.code, phone.suggestion)

    def _refusal(self, cells: Sequence[str], code: str, suggestion: str | None = None) -> Refusal:
        return Refusal(code, masked(text_form(cells[self._phone])[:LONGEST_MASKED]), suggestion)

    def _repeats_header(self, cells: Sequence[str]) -> bool:
        if not self._words.is_phone(cells[self._phone]):
            return False
        return not self._others_known or any(
            meaning.column == column
            for at, column in self._others_known
            if (meaning := self._words.meaning(cells[at]))
        )

    def _person(self, cells: Sequence[str], phone: CellResult) -> Person | Refusal:
        name, gender, age_cell, band, *rest = self._others(cells)
        area_code, town, village, role_cell, carrier, synthetic = rest
        texts = self._texts(cells)
        age = read_age(age_cell, band)
        roles = read_roles(role_cell)
        grade, grade_unclear = _pupil_grade(roles, texts)
        if is_minor(age.band, grade):
            return self._refusal(cells, "minor")
        traits = _Traits(
            read_name(name) if self._has_name else Name(),
            read_gender(gender),
            age,
            grade_unclear,
            self._rules.areas.resolve(area_code, town, village),
            read_carrier(carrier),
            roles,
            [read_text(cell) for cell in texts],
        )
        return Person(
            phone.numbers,
            traits.link(),
            traits.place,
            read_flag(synthetic),
            tuple(sorted({*phone.fixes, *traits.fixes()})),
            tuple(sorted(traits.warnings(part_rejected=phone.part_rejected))),
        )


class _Traits(NamedTuple):
    """What the cells of a person say, each with its fixes and warnings."""

    name: Name
    gender: Choice
    age: Age
    grade_unclear: bool
    place: Place
    carrier: Choice
    roles: Roles
    texts: list[Text]

    def link(self) -> Link:
        return Link(
            self.name.value,
            self.gender.value,
            self.age.band,
            self.place.code,
            self.carrier.value,
            self.roles.keys,
            *(text.value for text in self.texts),
        )

    def fixes(self) -> list[str]:
        return _codes(name_cleaned=self.name.cleaned, area_alias=self.place.alias)

    def warnings(self, *, part_rejected: bool) -> set[str]:
        codes = _codes(
            part_rejected=part_rejected,
            gender_unknown=self.gender.unknown,
            age_invalid=self.age.invalid,
            grade_unknown=self.grade_unclear and self.age.band == UNKNOWN,
            carrier_unknown=self.carrier.unknown,
            role_unknown=self.roles.unknown,
            cell_refused=any(text.refused for text in self.texts),
            csv_injection=self.name.formula or any(text.formula for text in self.texts),
        )
        found = {*codes, *self.place.warnings}
        return found | {self.name.warning} if self.name.warning else found


def _codes(**flags: bool) -> list[str]:
    return [code for code, applies in flags.items() if applies]


def _pupil_grade(roles: Roles, texts: Sequence[str]) -> tuple[int | None, bool]:
    """A pupil's school year, and whether the grade cell says something that is not clear (§7)."""
    if "student" not in roles.keys or "parent" in roles.keys or text_form(texts[_GUARDIAN_OF]):
        return None, False
    grade = read_grade(texts[_GRADE])
    return grade, grade is None and bool(text_form(texts[_GRADE]))
