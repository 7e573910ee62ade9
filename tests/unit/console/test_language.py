"""How a page writes numbers."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from service.console.language import Language
from tests.unit.console.gallery import environment

GIVEN = [(118_000, "118,000"), (485.1485148514851, "485.1"), (12_345.0, "12,345.0"), (None, "–")]


@pytest.mark.parametrize(("value", "written"), GIVEN)
def test_a_number_has_separators_and_one_digit_of_a_fraction(
    value: float | None, written: str
) -> None:
    language = Language("zh", ZoneInfo("Asia/Shanghai"), datetime(2027, 1, 13, tzinfo=UTC))
    assert language.number(value) == written
    piece = environment("zh").from_string(
        '{% import "_kit.html" as k with context %}{{ k.number(value) }}'
    )
    assert piece.render(value=value, csrf=None, desk=None, refusal=None, t=language) == written
