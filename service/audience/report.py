"""The report of an import, counted as its rows are read: import rules §12.

An entry whose count is zero is left out of the breakdowns; all other keys are always there.
"""

from collections import Counter
from dataclasses import dataclass, field

from service.audience.area import Place
from service.audience.header import Header
from service.audience.model import Accepted, Duplicate, Rejected, Report, RowResult, Skipped

RULES_VERSION = 1
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

    def report(self) -> Report:
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


@dataclass(slots=True)
class RecipientCount:
    """What the recipients are made of."""

    total: int = 0
    suppressed: int = 0
    minors_14_17: int = 0
    ported: int = 0
    mvno: int = 0
    by_town: Counter[str] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    by_carrier: Counter[str] = field(default_factory=Counter)
    by_age_band: Counter[str] = field(default_factory=Counter)

    def report(self) -> Report:
        """The report's `recipients`."""
        return {
            "total": self.total,
            "suppressed": self.suppressed,
            "minors_14_17": self.minors_14_17,
            "ported": self.ported,
            "mvno": self.mvno,
            "by_town": _nonzero(self.by_town),
            "by_role": _nonzero(self.by_role),
            "by_carrier": _nonzero(self.by_carrier),
            "by_age_band": _nonzero(self.by_age_band),
        }


class RowCount:
    """What became of the rows, by outcome and code."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.merged: Counter[str] = Counter()
        self.fixed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()

    def add(self, result: RowResult) -> None:
        """Count one row."""
        match result:
            case Accepted():
                self._add_accepted(result)
            case Duplicate():
                self.outcomes["duplicate"] += 1
            case Rejected():
                self.outcomes["rejected"] += 1
                self.rejected[result.code] += 1
            case Skipped():
                self.outcomes["skipped"] += 1
                self.skipped[result.code] += 1

    def _add_accepted(self, result: Accepted) -> None:
        self.outcomes["accepted"] += 1
        self.accepted["merged" if result.merged else "new"] += 1
        if result.merged:
            self.merged[result.merged] += 1
        if result.fixes:
            self.accepted["fixed"] += 1
            self.fixed.update(result.fixes)
        if result.warnings:
            self.accepted["warned"] += 1
            self.warnings.update(result.warnings)

    def report(self) -> Report:
        """The report's keys from `rows` to `warnings`."""
        outcomes = ("accepted", "rejected", "duplicate", "skipped")
        counts = {outcome: self.outcomes[outcome] for outcome in outcomes}
        kinds = ("new", "merged", "fixed", "warned")
        return {
            "rows": {"read": sum(counts.values()), **counts},
            "accepted": {kind: self.accepted[kind] for kind in kinds},
            "merged": _nonzero(self.merged),
            "fixed": _nonzero(self.fixed),
            "rejected": _nonzero(self.rejected),
            "skipped": _nonzero(self.skipped),
            "warnings": _nonzero(self.warnings),
        }


class Spellings:
    """What people wrote for areas where it was not the exact name, for a person to confirm."""

    def __init__(self) -> None:
        self._rows: Counter[Place] = Counter()
        self._left_out = 0

    def add(self, place: Place) -> None:
        """Count a place as written; past the limit, only how many rows are not listed."""
        if not place.alias and not place.warnings:
            return
        if place in self._rows or len(self._rows) < LISTED_SPELLINGS:
            self._rows[place] += 1
        else:
            self._left_out += 1

    def report(self) -> Report:
        """An addition to the report: each spelling with the area it got."""
        listed = [
            {"written": place.written, "area": place.code, "rows": rows}
            for place, rows in self._rows.most_common()
        ]
        return {"area_spellings": listed, "area_spellings_left_out": self._left_out}


def _nonzero(counter: Counter[str]) -> dict[str, int]:
    return {key: count for key, count in sorted(counter.items()) if count}
