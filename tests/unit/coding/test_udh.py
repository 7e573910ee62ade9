import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import udh
from service.coding.udh import Concatenation


def test_header_is_the_six_octets_of_the_specification() -> None:
    assert udh.build(0xBEA7, 2, 1).hex() == "050003a70201"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("050003a70201ff", (Concatenation(0xA7, 2, 1), "ff")),
        ("060804beef0202ff", (Concatenation(0xBEEF, 2, 2), "ff")),
        ("0b05040b8423f0000307020154", (Concatenation(7, 2, 1), "54")),
        ("06050415811581ff", (None, "ff")),
        ("050003a70003ff", (None, "ff")),
        ("050003a70203ff", (None, "ff")),
        ("ff00", (None, "ff00")),
        ("05", (None, "05")),
        ("", (None, "")),
        ("0100ff", (None, "ff")),
    ],
)
def test_parse(content: str, expected: tuple[Concatenation | None, str]) -> None:
    found, rest = udh.parse(bytes.fromhex(content))
    assert (found, rest.hex()) == expected


@given(st.binary(max_size=200))
def test_parse_never_raises(content: bytes) -> None:
    _, rest = udh.parse(content)
    assert content.endswith(rest)
