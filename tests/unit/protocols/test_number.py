import pytest

from service.protocols.number import to_e164, to_national


@pytest.mark.parametrize(
    "text", ["19790001234", "8619790001234", "+8619790001234", "008619790001234"]
)
def test_every_usual_form_is_one_number(text: str) -> None:
    assert to_e164(text) == "+8619790001234"
    assert to_national(text) == "19790001234"


@pytest.mark.parametrize(
    "text", ["", "10086", "2979000123", "197900012345", "1979000123x", "१९७९०००१२३४"]
)
def test_what_is_no_mobile_number_is_nothing(text: str) -> None:
    assert to_e164(text) == ""


def test_a_foreign_number_loses_its_plus_only() -> None:
    assert to_national("+447700900123") == "447700900123"
