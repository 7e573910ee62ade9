"""Opt-out lists as carriers send them (import rules §11)."""

from typing import Any

import pytest

from service.audience.imports.model import Rejected
from service.audience.numbers.number import Repair
from service.audience.numbers.prefix import packaged_prefixes
from service.audience.suppressions import suppression
from service.audience.suppressions.suppression import OptOuts, read_optouts
from service.audience.tables import files
from service.audience.tables.workbook_process import (
    OF_IMPORTS,
    OF_LISTS,
    WorkbookLimits,
    unpack_workbook,
)
from service.errors import FileRefused
from tests.unit.audience.workbooks import sheet, text_row, workbook


def _read(text: str) -> OptOuts:
    return read_optouts(lambda: [text.encode("gb18030")], packaged_prefixes())


def test_numbers_are_read_as_in_a_contact_file() -> None:
    listed = _read(
        "# 退订名单\nphone,received_at,年龄,身份证\n+86 197-9000-1234,2026-10-05,9,x\n"
        "# 以下为补录\n\n19790001235/19790001234\n0563-0601234\n1979O001236\n"
    )
    assert listed.phones == ("+8619790001234", "+8619790001235")
    assert listed.rejected == (
        Rejected("", 7, "landline", "056*****1234"),
        Rejected("", 8, "letters", "197****1236", "19790001236", Repair.LOOKALIKES),
    )


def test_a_list_without_phone_column_is_refused() -> None:
    with pytest.raises(FileRefused) as refused:
        _read("name\n张三\n")
    assert refused.value.code == "no_phone_column"


@pytest.mark.attack
def test_a_list_has_a_limit_of_rows_blank_ones_included(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "MOST_ROWS", 3)
    assert _read("phone\n19790001234\n\n\n").phones == ("+8619790001234",)
    for rows in ("\n\n\n\n", "19790001234\n" * 4):
        with pytest.raises(FileRefused, match="more than 3 rows") as refused:
            _read("phone\n" + rows)
        assert refused.value.code == "file_too_large"


@pytest.mark.attack
def test_a_list_has_a_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "READ_SECONDS", -1.0)
    with pytest.raises(FileRefused, match="to read") as refused:
        _read("phone\n19790001234\n")
    assert refused.value.code == "file_too_large"


@pytest.mark.attack
def test_a_workbook_of_numbers_is_bounded_closer_than_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is unpacked by a process of its own, with the limits of lists."""
    given: list[WorkbookLimits] = []

    def unpacked(chunks: Any, limits: WorkbookLimits) -> Any:
        given.append(limits)
        return unpack_workbook(chunks, limits._replace(unpacked_octets=10_000))

    monkeypatch.setattr(files, "unpack_workbook", unpacked)
    rows = [text_row("19790001234")] * 2_000
    with pytest.raises(FileRefused) as refused:
        read_optouts(
            lambda: [workbook({"S": sheet(text_row("phone"), *rows)})], packaged_prefixes()
        )
    assert refused.value.code == "file_too_large"
    assert given == [OF_LISTS]
    assert all(list_ < import_ for list_, import_ in zip(OF_LISTS, OF_IMPORTS, strict=True))
