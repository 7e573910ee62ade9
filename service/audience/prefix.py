"""What the digits of a mobile number say: carrier, kind, and whether it is nobody's.

Source: `data/mobile_prefixes.csv` (allocations of December 2023); synthetic ranges: import rules
§14. Since numbers can be ported between carriers, the carrier of a prefix is the best guess only.
"""

import csv
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

SYNTHETIC_SEGMENTS = (
    (1979000, 1979999),
    (1977622, 1977999),
    (1908033, 1908656),
    (1968512, 1968999),
    (1926152, 1926639),
)
"""Seven-digit segments that no operator has opened: every number of demo and tests lies here."""

LONGEST_PREFIX = 4
"""How many digits of a number the table looks at."""

_REJECTED_KINDS = {"iot": "iot", "satellite": "satellite", "reserved": "prefix"}


class Prefix(NamedTuple):
    """One line of the prefix table; `kind` is mno, mvno, iot, satellite or reserved."""

    carrier: str
    kind: str


class Prefixes:
    """The prefix table; the longest match counts, four digits before three."""

    def __init__(self, table: Mapping[str, Prefix]) -> None:
        self._table = dict(table)

    def find(self, number: str) -> Prefix | None:
        """The table's line for an 11-digit number."""
        return self._table.get(number[:4]) or self._table.get(number[:3])

    def judge(self, number: str) -> str | None:
        """Why 11 digits are no person's mobile number (§5.5.12 and 13), or None if they are."""
        prefix = self.find(number)
        if prefix is None:
            return "prefix"
        code = _REJECTED_KINDS.get(prefix.kind)
        if code is None and number.endswith("000000"):
            return "excel_truncated"
        return code


def read_prefixes(lines: Iterable[str]) -> Prefixes:
    """The table in CSV lines with the columns prefix, carrier_key and kind."""
    rows = csv.DictReader(lines)
    return Prefixes({row["prefix"]: Prefix(row["carrier_key"], row["kind"]) for row in rows})


@cache
def packaged_prefixes() -> Prefixes:
    """The table that comes with the program."""
    path = files("service.audience") / "data" / "mobile_prefixes.csv"
    return read_prefixes(path.read_text("utf-8").splitlines())


def national(phone: str) -> str:
    """The 11 digits of a number in E.164 or national form."""
    return phone.removeprefix("+86")


def carrier_of(phone: str) -> str | None:
    """The carrier that the number's prefix was allotted to, e.g. china_mobile."""
    prefix = packaged_prefixes().find(national(phone))
    return prefix.carrier or None if prefix else None


def is_synthetic(phone: str) -> bool:
    """Whether the number lies in a synthetic range: no real channel may send to it."""
    digits = national(phone)
    if len(digits) != 11 or not digits.isdecimal():
        return False
    return is_synthetic_segment(digits[:7])


@lru_cache(16_384)
def is_synthetic_segment(digits: str) -> bool:
    """Whether the first seven digits of a number are those of a synthetic range."""
    segment = int(digits)
    return any(first <= segment <= last for first, last in SYNTHETIC_SEGMENTS)
