"""What the digits of a mobile number say: carrier, kind, and whether it is nobody's.

Source: `data/mobile_prefixes.csv` (allocations of December 2023); synthetic ranges: import rules
§14. Whether a number is a person's is for its first three or four digits alone. Its carrier is that
of its block, the first seven digits, where a table of blocks was imported and has it. Since numbers
can be ported between carriers, either is the best guess only.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from service.audience.vocabulary.choices import CARRIERS

SYNTHETIC_SEGMENTS = (
    (1979000, 1979999),
    (1977622, 1977999),
    (1908033, 1908656),
    (1968512, 1968999),
    (1926152, 1926639),
)
"""Seven-digit segments that no operator has opened: every number of demo and tests lies here."""

FIRST_BLOCK, BLOCKS = 1_000_000, 1_000_000
"""Blocks are the numbers 1000000 to 1999999: the first seven digits of mobile numbers."""

_REJECTED_KINDS = {"iot": "iot", "satellite": "satellite", "reserved": "prefix"}


class Prefix(NamedTuple):
    """One line of the prefix table; `kind` is mno, mvno, iot, satellite or reserved."""

    carrier: str
    kind: str


_ALLOTTED = (None, *(Prefix(carrier, kind) for carrier in CARRIERS for kind in ("mno", "mvno")))
_BLOCK = re.compile("1[0-9]{6}")


class Blocks:
    """Who was allotted each block of ten thousand numbers; an octet each, so a megabyte in all."""

    def __init__(self) -> None:
        self._octets = bytearray(BLOCKS)

    def put(self, blocks: Iterable[int], carrier: str, *, virtual: bool) -> None:
        """Allot blocks to a carrier, or to virtual operators on its network."""
        octet = _ALLOTTED.index(Prefix(carrier, "mvno" if virtual else "mno"))
        for block in blocks:
            self._octets[block - FIRST_BLOCK] = octet

    def find(self, number: str) -> Prefix | None:
        """Whose block a number is in."""
        if _BLOCK.match(number) is None:
            return None
        return _ALLOTTED[self._octets[int(number[:7]) - FIRST_BLOCK]]


class Prefixes:
    """The prefix table, of which the longest match counts, four digits before three; and a table of
    blocks where there is one, which says better whose a number is, but not whether it is one.
    """

    def __init__(self, table: Mapping[str, Prefix], blocks: Blocks | None = None) -> None:
        self._table = dict(table)
        self._blocks = blocks

    def with_blocks(self, blocks: Blocks) -> "Prefixes":
        """The same prefixes with this table of blocks."""
        return Prefixes(self._table, blocks)

    def find(self, number: str) -> Prefix | None:
        """What is known of an 11-digit number: by its block, else by its first digits."""
        allotted = self._blocks.find(number) if self._blocks else None
        return allotted or self._by_first_digits(number)

    def carrier_of(self, phone: str) -> str | None:
        """The carrier that a number (E.164 or 11 digits) was allotted to, e.g. china_mobile."""
        prefix = self.find(national(phone))
        return prefix.carrier or None if prefix else None

    def _by_first_digits(self, number: str) -> Prefix | None:
        return self._table.get(number[:4]) or self._table.get(number[:3])

    def judge(self, number: str) -> str | None:
        """Why 11 digits are no person's mobile number (§5.5.12 and 13), or None if they are."""
        prefix = self._by_first_digits(number)
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
