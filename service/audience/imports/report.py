"""The report of an import, counted as its rows are read: import rules §12.

An entry whose count is zero is left out of the breakdowns; all other keys are always there.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from service.audience.areas.area import AreaPlace
from service.audience.imports.model import ReportTable
from service.audience.tables.header import Header
from service.audience.vocabulary.choices import role_bits, roles_of

RULES_VERSION = 1
MINORS = "14-17"
LISTED_SPELLINGS = 1_000


@dataclass(slots=True)
class TableCount:
    """What was read of one table."""

    sheet: str
    header: Header
    rows_read: int = 0
    refused: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refused = [0] * len(self.header.refused)

    def report(self) -> ReportTable:
        """The table's entry in the report."""
        header = self.header
        return {
            "sheet": self.sheet,
            "header_rows": list(header.rows),
            "preamble_rows": header.rows[0] - 1,
            "rows_read": self.rows_read,
            "mapped": header.mapped,
            "refused": [
                {"header": column.title, "kind": column.kind, "non_empty": count}
                for column, count in zip(header.refused, self.refused, strict=True)
            ],
            "ignored": header.ignored,
        }


Remarks = tuple[tuple[str, ...], tuple[str, ...]]
"""The fixes and the warnings of a row."""

NumberKind = tuple[str, str, str, bool, bool]
"""Of one number in one row: town, age band, carrier, whether ported, whether virtual operator's."""

FIXES = sorted(
    [
        "fullwidth",
        "country_code",
        "separators",
        "text_prefix",
        "scientific",
        "number_format",
        "two_numbers",
        "name_cleaned",
        "area_alias",
    ]
)
WARNINGS = sorted(
    [
        "part_rejected",
        "name_missing",
        "name_refused",
        "name_title",
        "age_invalid",
        "grade_unknown",
        "gender_unknown",
        "area_code_invalid",
        "area_unknown",
        "village_unknown",
        "role_unknown",
        "role_refused",
        "carrier_unknown",
        "cell_refused",
        "csv_injection",
        "tag_refused",
        "text_too_long",
    ]
)
_BITS = {code: 1 << at for at, code in enumerate((*FIXES, *WARNINGS))}


@lru_cache(4_096)
def remark_bits(fixes: tuple[str, ...], warnings: tuple[str, ...]) -> int:
    """A row's fixes and warnings as one number, for the staged rows."""
    return sum(_BITS[code] for code in (*fixes, *warnings))


def remarks_of(bits: int) -> Remarks:
    """The inverse of `remark_bits`."""
    fixes = tuple(code for code in FIXES if bits & _BITS[code])
    return fixes, tuple(code for code in WARNINGS if bits & _BITS[code])


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the staged rows say of numbers that stand in more than one row (§10).

    `duplicates` are rows that say nothing new, by remark bits; `kinds` numbers that an earlier row
    has, by kind. Of the recipients with several rows, `roles_listed` has the role bits of each row
    and `roles_joined` those of all rows together.
    """

    duplicates: Mapping[int, int] = field(default_factory=dict)
    merged: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[int, int] = field(default_factory=dict)
    roles_listed: Mapping[int, int] = field(default_factory=dict)
    roles_joined: Mapping[int, int] = field(default_factory=dict)
    suppressed: int = 0


class Kinds:
    """The numbers of all rows by kind and by roles, as if each were a recipient of its own."""

    def __init__(self) -> None:
        self._kinds: dict[NumberKind, int] = {}
        self._counts: list[int] = []
        self._roles: Counter[tuple[str, ...]] = Counter()

    def index(self, kind: NumberKind) -> int:
        """The number of a kind."""
        index = self._kinds.setdefault(kind, len(self._counts))
        if index == len(self._counts):
            self._counts.append(0)
        return index

    def count(self, index: int, roles: tuple[str, ...]) -> None:
        """Count a number."""
        self._counts[index] += 1
        self._roles[roles] += 1

    def report(self, repeats: Repeats) -> ReportTable:
        """The report's `recipients`."""
        counted = [
            (kind, self._counts[index] - repeats.kinds.get(index, 0))
            for kind, index in self._kinds.items()
        ]
        sums: dict[str, Counter[str]] = {name: Counter() for name in ("town", "carrier", "age")}
        for (town, age_band, carrier, _, _), count in counted:
            sums["town"][town] += count
            sums["age"][age_band] += count
            sums["carrier"][carrier] += count
        return {
            "total": sum(count for _, count in counted),
            "suppressed": repeats.suppressed,
            "minors_14_17": sums["age"][MINORS],
            "ported": sum(count for kind, count in counted if kind[3]),
            "mvno": sum(count for kind, count in counted if kind[4]),
            "by_town": _nonzero(sums["town"]),
            "by_role": _nonzero(self._by_role(repeats)),
            "by_carrier": _nonzero(sums["carrier"]),
            "by_age_band": _nonzero(sums["age"]),
        }

    def _by_role(self, repeats: Repeats) -> Counter[str]:
        counts = Counter({role_bits(roles): count for roles, count in self._roles.items()})
        counts.subtract(repeats.roles_listed)
        counts.update(repeats.roles_joined)
        by_role: Counter[str] = Counter()
        for bits, count in counts.items():
            for role in roles_of(bits) or ["none"]:
                by_role[role] += count
        return by_role


class RowCount:
    """What became of the rows, by outcome and code."""

    def __init__(self) -> None:
        self.listed: Counter[Remarks] = Counter()
        self.rejected: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def report(self, repeats: Repeats) -> ReportTable:
        """The report's keys from `rows` to `warnings`."""
        accepted = Counter(self.listed)
        accepted.subtract({remarks_of(bits): n for bits, n in repeats.duplicates.items()})
        merged = sum(repeats.merged.values())
        rows = {
            "accepted": accepted.total(),
            "rejected": self.rejected.total(),
            "duplicate": sum(repeats.duplicates.values()),
            "skipped": self.skipped.total(),
        }
        fixed, warned = _by_code(accepted, 0), _by_code(accepted, 1)
        return {
            "rows": {"read": sum(rows.values()), **rows},
            "accepted": {
                "new": rows["accepted"] - merged,
                "merged": merged,
                "fixed": sum(count for (fixes, _), count in accepted.items() if fixes),
                "warned": sum(count for (_, warnings), count in accepted.items() if warnings),
            },
            "merged": _nonzero(Counter(repeats.merged)),
            "fixed": _nonzero(fixed),
            "rejected": _nonzero(self.rejected),
            "skipped": _nonzero(self.skipped),
            "warnings": _nonzero(warned),
        }


def _by_code(rows: Counter[Remarks], side: int) -> Counter[str]:
    codes: Counter[str] = Counter()
    for remarks, count in rows.items():
        for code in remarks[side]:
            codes[code] += count
    return codes


class Spellings:
    """What people wrote for areas where it was not the exact name, for a person to confirm."""

    def __init__(self) -> None:
        self._rows: Counter[AreaPlace] = Counter()
        self._left_out = 0

    def add(self, place: AreaPlace) -> None:
        """Count a place as written; past the limit, only how many rows are not listed."""
        if not place.alias and not place.warnings:
            return
        if place in self._rows or len(self._rows) < LISTED_SPELLINGS:
            self._rows[place] += 1
        else:
            self._left_out += 1

    def report(self) -> ReportTable:
        """An addition to the report: each spelling with the area it got."""
        listed = [
            {"written": place.written, "area": place.code, "rows": rows}
            for place, rows in self._rows.most_common()
        ]
        return {"area_spellings": listed, "area_spellings_left_out": self._left_out}


def _nonzero(counter: Counter[str]) -> dict[str, int]:
    return {key: count for key, count in sorted(counter.items()) if count}
