"""Opt-out lists as carriers send them (import rules §11)."""

import pytest

from service.audience.model import Rejected
from service.audience.prefix import packaged_prefixes
from service.audience.suppression import OptOuts, read_optouts
from service.errors import FileRefused


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
        Rejected("", 8, "letters", "197****1236", "19790001236"),
    )


def test_a_list_without_phone_column_is_refused() -> None:
    with pytest.raises(FileRefused) as refused:
        _read("name\n张三\n")
    assert refused.value.code == "no_phone_column"
