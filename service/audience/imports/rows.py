"""What one record of a table means: skipped, rejected, or a person with numbers (§4 to §9).

This looks at one record only; what earlier rows of the file said is `recipients`' business.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from service.audience.areas.area import CACHED_PLACES, AreaPlace, AreaTree
from service.audience.imports.model import RosterLink
from service.audience.numbers.number import CellResult, Repair, is_bare, read_cell
from service.audience.numbers.prefix import Prefixes
from service.audience.numbers.wechat import read_wechat
from service.audience.tables.header import Header, Vocabulary
from service.audience.vocabulary.ages import UNKNOWN, Age, is_minor, read_age, read_grade
from service.audience.vocabulary.cells import masked, squeeze, text_form
from service.audience.vocabulary.choices import read_carrier, read_flag, read_gender, read_roles
from service.audience.vocabulary.fields import TAGS_AT, TEXT_AT, TEXT_FIELDS
from service.audience.vocabulary.names import Name, read_name
from service.audience.vocabulary.roles import WECHAT_ROLES
from service.audience.vocabulary.texts import read_text, split_tags

LONGEST_MASKED = 40
_TRAIT_COLUMNS = ("gender", "age", "age_band", "roles", "carrier")
_OWN_COLUMNS = ("name", "area_code", "town", "village", "area", "synthetic")
_PUPILS = frozenset({"student", "class_monitor"})
"""A monitor of a class is a pupil of it, too."""

_NO_NAME = Name()
_NO_NUMBER = CellResult()
_CACHED_ROWS = 16_384
_LIMITED = tuple((at, field.longest) for at, field in enumerate(TEXT_FIELDS) if field.longest)
_GRADE, _GUARDIAN_OF = TEXT_AT["grade"], TEXT_AT["guardian_of"]
_WECHAT = TEXT_AT["wechat"]
TOTAL_ROW = re.compile(
    "(合计|总计|小计|共计|总数|本页合计|total|subtotal|sum):?[0-9]*(人|条|行|户|个|名)?",
    re.IGNORECASE,
)
"""The first cell of a row that sums up others, without its white space."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The tables that the rules look things up in.

    refused_roles: those that the department may not hold; a row loses them, with a warning.
    """

    areas: AreaTree
    prefixes: Prefixes
    refused_roles: frozenset[str] = frozenset()


class SkippedRecord(NamedTuple):
    """A record that is no person."""

    code: str


class RefusedRecord(NamedTuple):
    """A record without a usable number, about a child, or with a WeChat ID that is none or that the
    list may not have.
    """

    code: str
    masked: str
    suggestion: str | None = None
    repair: Repair | None = None


class PersonRecord(NamedTuple):
    """A record with at least one valid number."""

    numbers: tuple[str, ...]
    link: RosterLink
    place: AreaPlace
    synthetic: bool
    fixes: tuple[str, ...]
    warnings: tuple[str, ...]


class RowReader:
    """Reads the records below one header."""

    def __init__(self, header: Header, words: Vocabulary, rules: Rules) -> None:
        self._width = header.width
        self._words = words
        self._rules = rules
        self._place = lru_cache(CACHED_PLACES)(rules.areas.resolve)
        self._has_name = "name" in header.columns
        self._phone = header.columns["phone"]
        self._texts = self._getter(header, tuple(TEXT_AT))
        self._traits = self._getter(header, _TRAIT_COLUMNS)
        self._own = self._getter(header, _OWN_COLUMNS)
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
        missing = self._width + 1 - len(record)
        if missing == 1:
            return [*record, ""]
        return [*record[: self._width], *[""] * max(missing, 1)]

    def read(self, cells: Sequence[str]) -> SkippedRecord | RefusedRecord | PersonRecord:
        """What the cells of a record mean."""
        if is_bare(cells[self._phone], self._rules.prefixes):  # most rows; none is skipped
            return self._person(cells, CellResult((cells[self._phone],)))
        return self._read_unclear(cells)

    def _read_unclear(self, cells: Sequence[str]) -> SkippedRecord | RefusedRecord | PersonRecord:
        first = next((text for cell in cells if (text := text_form(cell))), "")
        if not first:
            return SkippedRecord("blank")
        if first.startswith("# ") and all(text_form(cell) in {"", first} for cell in cells):
            return SkippedRecord("comment")
        phone = read_cell(cells[self._phone], self._rules.prefixes)
        if phone.code is None:
            return self._person(cells, phone)
        if self._repeats_header(cells):
            return SkippedRecord("repeated_header")
        if TOTAL_ROW.fullmatch(squeeze(first)):
            return SkippedRecord("total")
        return self._refusal(cells, phone.code, phone)

    def _refusal(
        self, cells: Sequence[str], code: str, phone: CellResult = _NO_NUMBER
    ) -> RefusedRecord:
        shown = masked(text_form(cells[self._phone])[:LONGEST_MASKED])
        return RefusedRecord(code, shown, phone.suggestion, phone.repair)

    def _repeats_header(self, cells: Sequence[str]) -> bool:
        if not self._words.is_phone(cells[self._phone]):
            return False
        return not self._others_known or any(
            meaning.column == column
            for at, column in self._others_known
            if (meaning := self._words.meaning(cells[at]))
        )

    def _person(self, cells: Sequence[str], phone: CellResult) -> PersonRecord | RefusedRecord:
        name_cell, area_code, town, village, area, synthetic = self._own(cells)
        traits = read_traits(*self._traits(cells))
        texts = read_texts(self._texts(cells))
        band, remarks = traits.age.band, traits.warnings
        if traits.is_pupil and not texts.guarded:
            if is_minor(band, read_grade(texts.grade)):
                return self._refusal(cells, "minor")
            if band == UNKNOWN and texts.grade and read_grade(texts.grade) is None:
                remarks = (*remarks, "grade_unknown")
        elif is_minor(band, None):
            return self._refusal(cells, "minor")
        place = self._place(area_code, town, village, area)
        name = read_name(name_cell) if self._has_name else _NO_NAME
        roles = traits.roles
        if not self._rules.refused_roles.isdisjoint(roles):
            roles = tuple(role for role in roles if role not in self._rules.refused_roles)
            remarks = (*remarks, "role_refused")
        said = self._with_wechat(texts.values, roles) if texts.values[_WECHAT] else texts.values
        if isinstance(said, str):
            return self._refusal(cells, said)
        link = RosterLink(name.value, traits.gender, band, place.code, traits.carrier, roles, said)
        fixes = phone.fixes + name.fixes + place.fixes
        warnings = remarks + name.warnings + place.warnings + texts.warnings
        if phone.part_rejected:
            warnings += ("part_rejected",)
        return PersonRecord(
            phone.numbers,
            link,
            place,
            read_flag(synthetic),
            _sorted(fixes) if fixes else (),
            _sorted(warnings) if warnings else (),
        )

    def _with_wechat(self, texts: tuple[str, ...], roles: tuple[str, ...]) -> tuple[str, ...] | str:
        """The texts with the WeChat ID as it is stored; or why the row is refused, as a code."""
        wechat = read_wechat(texts[_WECHAT], self._rules.prefixes)
        if wechat is None or wechat:
            if WECHAT_ROLES.isdisjoint(roles):
                return "wechat_role"
            if wechat is None:
                return "wechat_invalid"
        return (*texts[:_WECHAT], wechat, *texts[_WECHAT + 1 :])


class Traits(NamedTuple):
    """What the cells say that have a fixed vocabulary."""

    gender: str
    age: Age
    carrier: str
    roles: tuple[str, ...]
    is_pupil: bool
    warnings: tuple[str, ...]


@lru_cache(_CACHED_ROWS)
def read_traits(gender: str, age: str, age_band: str, roles: str, carrier: str) -> Traits:
    """The traits of a row; people of a village and a trade share theirs, so they are kept."""
    sex, years, network, found = (
        read_gender(gender),
        read_age(age, age_band),
        read_carrier(carrier),
        read_roles(roles),
    )
    warnings = _codes(
        gender_unknown=sex.unknown,
        age_invalid=years.invalid,
        carrier_unknown=network.unknown,
        role_unknown=found.unknown,
    )
    is_pupil = bool(_PUPILS.intersection(found.keys)) and "parent" not in found.keys
    return Traits(sex.value, years, network.value, found.keys, is_pupil, warnings)


class Texts(NamedTuple):
    """The free text cells as they are stored; `grade` as written, `guarded` if of a guardian."""

    values: tuple[str, ...]
    grade: str
    guarded: bool
    warnings: tuple[str, ...]


@lru_cache(_CACHED_ROWS)
def read_texts(cells: tuple[str, ...]) -> Texts:
    """The cells of `TEXT_FIELDS`."""
    texts = [read_text(cell) for cell in cells]
    values = [text.value for text in texts]
    too_long = [at for at, longest in _LIMITED if len(values[at]) > longest]
    for at in too_long:
        values[at] = ""
    return Texts(
        tuple(values),
        text_form(cells[_GRADE]),
        bool(text_form(cells[_GUARDIAN_OF])),
        _codes(
            cell_refused=any(text.refused for text in texts),
            text_too_long=bool(too_long),
            csv_injection=any(text.formula for text in texts),
            tag_refused=any(values[at] and split_tags(values[at]).refused for at in TAGS_AT),
        ),
    )


def _codes(**flags: bool) -> tuple[str, ...]:
    return tuple(code for code, applies in flags.items() if applies)


def _sorted(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(codes)))
