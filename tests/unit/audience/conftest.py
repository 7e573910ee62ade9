"""What the unit tests of contact imports share: the packaged rules, and a reader for octets."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from service.audience.area import AreaTree, packaged_areas
from service.audience.importing import Rules, read_contacts
from service.audience.model import Accepted, Duplicate, Rejected, Report, RowResult, Skipped
from service.audience.prefix import packaged_prefixes

Rows = list[RowResult]
ReadFile = Callable[..., tuple[Rows, Report]]


@pytest.fixture(scope="session")
def rules() -> Rules:
    return Rules(AreaTree(packaged_areas()), packaged_prefixes())


@pytest.fixture(scope="session")
def read_file(rules: Rules) -> ReadFile:
    """Reads a whole file: its row results and its report."""

    def read(
        data: bytes | str, *, optouts: Iterable[str] = (), size: int = 65_536, **options: Any
    ) -> tuple[Rows, Report]:
        octets = data.encode() if isinstance(data, str) else data
        reading = read_contacts(
            lambda: (octets[at : at + size] for at in range(0, len(octets), size)),
            rules=rules,
            opted_out=frozenset(optouts).__contains__,
            **options,
        )
        return list(reading), reading.report

    return read


@pytest.fixture(scope="session")
def truth_row() -> Callable[[RowResult], dict[str, Any] | None]:
    """Writes a row result as the truth file does (§16); None if the row is plainly clean."""
    return _truth_row


def _truth_row(result: RowResult) -> dict[str, Any] | None:
    entry: dict[str, Any] = {"row": result.row}
    match result:
        case Skipped():
            return entry | {"result": "skipped", "code": result.code}
        case Rejected():
            entry |= {"result": "rejected", "code": result.code}
            return entry | ({"suggestion": result.suggestion} if result.code == "letters" else {})
        case Duplicate():
            phones = list(result.numbers)
            return entry | {"result": "duplicate", "phones": phones, "of_row": result.origin.row}
        case Accepted():
            return _accepted(entry, result)


def _accepted(entry: dict[str, Any], result: Accepted) -> dict[str, Any] | None:
    found = {*result.fixes, *result.warnings}
    if not found and not result.merged and not result.suppressed:
        return None
    entry |= {"result": "accepted", "phones": list(result.numbers)}
    for name in ("fixes", "warnings", "suppressed"):
        if getattr(result, name):
            entry[name] = list(getattr(result, name))
    if result.origin:
        entry |= {"merged": result.merged, "of_row": result.origin.row}
    if found & {"name_cleaned", "name_refused"}:
        entry["name"] = result.link.name
    if found & {"area_alias", "area_unknown", "village_unknown", "area_code_invalid"}:
        entry["area"] = result.link.area
    return entry
