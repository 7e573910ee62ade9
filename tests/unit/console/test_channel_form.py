"""A channel's settings as fields: what is label and what hint, and what a list or a table means."""

import pytest
from multidict import MultiDict

from service.api.channels.channels import SettingOut
from service.channels.config.codes import SETTLED
from service.channels.contract.outcome import Outcome, ReceiptState
from service.channels.contract.registry import load
from service.console.channels.form import (
    at_their_fields,
    config_of,
    label_and_hint,
    spans_of,
)
from service.console.channels.words import KINDS, OUTCOMES
from service.errors import Invalid


def setting(
    type_: str, *, secret: bool = False, required: bool = False, **more: object
) -> SettingOut:
    told = {"name": "x", "description": "X", "type": type_, "required": required,
            "nullable": False, "secret": secret, "guarded": False, "default": None,
            "choices": None, "json_schema": {}}  # fmt: skip
    return SettingOut.model_validate(told | more, by_name=True)


INTEGERS = setting("array", json_schema={"items": {"type": "integer"}})
TEXTS = setting("array", json_schema={"items": {"type": "string"}})


@pytest.mark.parametrize(
    ("description", "code", "label", "hint"),
    [
        ("FeeType: 01 free, 02 per message", "en", "FeeType", "01 free, 02 per message"),
        ("计费类型（FeeType）：01 免费，02 按条", "zh", "计费类型（FeeType）", "01 免费，02 按条"),
        ("Account, e.g. 901234", "en", "Account", "e.g. 901234"),
        ("账号，例如 901234", "zh", "账号", "例如 901234"),
        ("Shared secret of the account", "en", "Shared secret of the account", ""),
    ],
)
def test_a_description_is_a_label_and_a_hint(
    description: str, code: str, label: str, hint: str
) -> None:
    assert label_and_hint(description, code) == (label, hint)


@pytest.mark.parametrize(
    ("one", "typed", "value"),
    [
        (INTEGERS, "8, 84 85\n86", [8, 84, 85, 86]),
        (TEXTS, "192.0.2.0/28 ::1", ["192.0.2.0/28", "::1"]),
        (setting("object"), "0 = accepted\r\n\r\n23=rejected", {"0": "accepted", "23": "rejected"}),
        (setting("integer"), "7890", 7890),
        (setting("integer"), "7 8", "7 8"),
        (setting("integer", choices=[0, 2]), "2", 2),
        (setting("string"), " a ", "a"),
    ],
)  # fmt: skip
def test_what_is_typed_is_what_the_setting_takes(
    one: SettingOut, typed: str, value: object
) -> None:
    assert config_of([one], MultiDict({"config.x": typed}), new=True) == {"x": value}


@pytest.mark.parametrize(
    ("one", "new", "value"),
    [
        (setting("string"), True, {}),
        (setting("string"), False, {"x": ""}),
        (setting("number", nullable=True), False, {"x": None}),
        (setting("number", default=30.0), False, {"x": 30.0}),
        (setting("object"), False, {"x": {}}),
        (setting("boolean"), True, {"x": False}),
        (setting("string", secret=True), False, {}),
    ],
)
def test_what_is_empty_is_left_out_or_is_so(one: SettingOut, new: bool, value: object) -> None:
    assert (
        config_of([one], MultiDict({"config.x": ""} if one.type != "boolean" else {}), new=new)
        == value
    )


def test_each_outcome_that_a_code_may_mean_has_a_word() -> None:
    submits = {outcome.value for outcome in Outcome} - {outcome.value for outcome in SETTLED}
    assert OUTCOMES["submit"].keys() == submits
    assert OUTCOMES["receipt"].keys() == {state.value for state in ReceiptState}
    assert KINDS.keys() == load().keys()


def test_hours_are_written_as_people_write_them() -> None:
    assert spans_of("23:00-1:00\n\n 12:00 至 12:15 ") == [("23:00", "01:00"), ("12:00", "12:15")]
    with pytest.raises(Invalid) as refused:
        spans_of("23:00-01:00\nnoon")
    assert list(refused.value.fields) == ["maintenance"]


def test_what_is_wrong_inside_stands_at_the_field() -> None:
    with pytest.raises(Invalid) as refused, at_their_fields():
        raise Invalid("x", fields={"config.codes.23": "a", "maintenance.0.1": "b", "tps": "c"})
    assert refused.value.fields == {"config.codes": "a", "maintenance": "b", "tps": "c"}
