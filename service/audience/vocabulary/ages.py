"""Age, age band and school grade, and who is too young to be written to: import rules §7.

Children under 14 are never stored: their row is rejected with the code `minor`, which asks for the
guardian's number. A pupil's grade stands in for an age that the file does not tell.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from service.audience.vocabulary.cells import is_blank, squeeze, text_form

BANDS = ("14-17", "18-25", "26-40", "41-59", "60-69", "70+")
UNDER_14 = "under 14"
UNKNOWN = "unknown"
_FIRST_OLDER = ((18, "14-17"), (26, "18-25"), (41, "26-40"), (60, "41-59"), (70, "60-69"))
_OLDEST = 120
_OLDEST_MINOR_GRADE = 8  # 初二: most of its pupils are under 14
_YEARS = re.compile("(?:周岁|岁)$")
_DECIMALS = re.compile(r"\.0+$")
_AGE = re.compile("[0-9]{1,3}")
_DASHES = str.maketrans(dict.fromkeys("–—~至到", "-"))
_SEVENTY = frozenset({"70+", "70以上", "70及以上"})
_RANGE = re.compile("[0-9]+-([0-9]{1,9})")
_BELOW = re.compile("<([0-9]{1,9})|([0-9]{1,9})以下")
_NUMERALS = {char: value for value, char in enumerate("一二三四五六七八九", 1)} | {
    str(value): value for value in range(1, 10)
}
_GRADES = (
    (re.compile("(?:小学)?([一二三四五六七八九1-9])年级"), 0),
    (re.compile("初中?([一二三1-3])"), 6),
    (re.compile("高中?([一二三1-3])"), 9),
    (re.compile("大([一二三四五1-5])"), 12),
)
_KINDERGARTEN = re.compile("幼儿园|托班|小班|中班|大班|学前班")
_VOCATIONAL = re.compile("中职|职高|中专|技校")
_POSTGRADUATE = re.compile("研|博")


class Age(NamedTuple):
    """A row's age band (one of BANDS, UNDER_14 or UNKNOWN) and whether a cell made no sense."""

    band: str
    invalid: bool = False


@lru_cache(4_096)
def read_age(age_cell: str, band_cell: str) -> Age:
    """The band of a row: from a valid age, else from the band cell."""
    age, age_invalid = _read_years(age_cell)
    if age is not None:
        return Age(_band_of(age), age_invalid)
    band, band_invalid = _read_band(band_cell)
    return Age(band, age_invalid or band_invalid)


def _read_years(cell: str) -> tuple[int | None, bool]:
    text = text_form(cell)
    if is_blank(text):
        return None, False
    digits = _DECIMALS.sub("", _YEARS.sub("", text))
    if _AGE.fullmatch(digits) and int(digits) <= _OLDEST:
        return int(digits), False
    return None, True


def _band_of(age: int) -> str:
    if age < 14:
        return UNDER_14
    return next((band for limit, band in _FIRST_OLDER if age < limit), "70+")


def _read_band(cell: str) -> tuple[str, bool]:
    text = text_form(cell)
    if is_blank(text):
        return UNKNOWN, False
    band = squeeze(text).replace("岁", "").translate(_DASHES)
    if band in BANDS:
        return band, False
    if band in _SEVENTY:
        return "70+", False
    if _is_under_14(band):
        return UNDER_14, False
    return UNKNOWN, True


def _is_under_14(band: str) -> bool:
    span = _RANGE.fullmatch(band)
    if span:
        return int(span[1]) < 14
    below = _BELOW.fullmatch(band)
    return below is not None and int(below[1] or below[2]) <= 14


@lru_cache(4_096)
def read_grade(cell: str) -> int | None:
    """The school year that a grade cell means: 0 kindergarten, 1 to 12, 13 on; None if unclear."""
    text = squeeze(text_form(cell))
    if _KINDERGARTEN.match(text):
        return 0
    if _VOCATIONAL.match(text):
        return 10
    if _POSTGRADUATE.match(text):
        return 17
    for pattern, before in _GRADES:
        found = pattern.match(text)
        if found:
            return before + _NUMERALS[found[1]]
    return None


def is_minor(band: str, pupil_grade: int | None) -> bool:
    """Whether a row is about a child under 14, as far as its age or a pupil's grade tells."""
    if band == UNKNOWN:
        return pupil_grade is not None and pupil_grade <= _OLDEST_MINOR_GRADE
    return band == UNDER_14
