"""The rows of an import as a truth file lists them (import rules §16)."""

from collections.abc import Iterable
from typing import Any

from service.audience.imports.model import ListedRow, Rejected, RowResult, Skipped
from service.audience.imports.staging import TABLE_SHIFT

Entry = dict[str, Any]


class Outcome:
    """What the staged rows say of one row: `new`, `two_names`, `same_name` or `duplicate`."""

    def __init__(self, kind: str = "new", first_no: int = 0, suppressed: Iterable[str] = ()):
        self.kind = kind
        self.first_no = first_no
        self.suppressed = list(suppressed)


def entry(result: RowResult, outcome: Outcome, sheets: list[str]) -> Entry | None:
    """The truth file's entry for a row; None if the row is plainly clean."""
    match result:
        case Skipped():
            return _place(result.sheet, result.row) | {"result": "skipped", "code": result.code}
        case Rejected():
            found = _place(result.sheet, result.row) | {"result": "rejected", "code": result.code}
            return found | ({"suggestion": result.suggestion} if result.code == "letters" else {})
        case ListedRow():
            return _listed(result, outcome, sheets)


def _place(sheet: str, row: int, prefix: str = "") -> Entry:
    place: Entry = {f"{prefix}row": row}
    return place | ({f"{prefix}sheet": sheet} if sheet else {})


def _origin(no: int, sheets: list[str]) -> Entry:
    return _place(sheets[no >> TABLE_SHIFT], no & ((1 << TABLE_SHIFT) - 1), "of_")


def _listed(row: ListedRow, outcome: Outcome, sheets: list[str]) -> Entry | None:
    found = _place(sheets[row.table], row.row) | {"phones": list(row.numbers)}
    if outcome.kind == "duplicate":
        return found | {"result": "duplicate"} | _origin(outcome.first_no, sheets)
    codes = {*row.fixes, *row.warnings}
    if not codes and outcome.kind == "new" and not outcome.suppressed:
        return None
    found |= {"result": "accepted"}
    for name, values in (("fixes", row.fixes), ("warnings", row.warnings)):
        if values:
            found[name] = list(values)
    if outcome.suppressed:
        found["suppressed"] = outcome.suppressed
    if outcome.kind != "new":
        found |= {"merged": outcome.kind} | _origin(outcome.first_no, sheets)
    if codes & {"name_cleaned", "name_refused"}:
        found["name"] = row.link.name
    if codes & {"area_alias", "area_unknown", "village_unknown", "area_code_invalid"}:
        found["area"] = row.link.area
    return found
