"""What the unit tests of contact imports share: the packaged rules, and a reader for octets."""

from collections.abc import Callable
from typing import Any

import pytest

from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.imports.importing import read_contacts
from service.audience.imports.model import ReportTable, RowResult
from service.audience.imports.report import Repeats
from service.audience.imports.rows import Rules
from service.audience.numbers.prefix import packaged_prefixes

Rows = list[RowResult]
ReadFile = Callable[..., tuple[Rows, ReportTable]]


@pytest.fixture(scope="session")
def rules() -> Rules:
    return Rules(AreaTree(packaged_areas()), packaged_prefixes())


@pytest.fixture(scope="session")
def read_file(rules: Rules) -> ReadFile:
    """Reads a whole file: its row results, and its report as if no number stood in two rows."""

    def read(data: bytes | str, *, size: int = 65_536, **options: Any) -> tuple[Rows, ReportTable]:
        octets = data.encode() if isinstance(data, str) else data
        pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
        with read_contacts(lambda: pieces, rules=rules, **options) as reading:
            return list(reading), reading.report(Repeats())

    return read
