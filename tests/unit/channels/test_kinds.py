"""Every kind describes its settings well enough for a form to be made of nothing else."""

import json
from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from service.channels.contract.kinds import ChannelKind, Setting, describe
from service.channels.contract.registry import load
from service.words.phrase import Phrase
from tests.harness.stage import Scripted

TYPES = {"string", "integer", "number", "boolean", "object", "array"}


class Inner(BaseModel):
    """A nested setting."""

    token: SecretStr = Field(default=SecretStr("hush"), description="Its token")


class Config(BaseModel):
    """Settings of nobody's account."""

    host: str = Field(description="Address")
    port: int = Field(default=7890, ge=1, le=65535, description="Port")
    version: Literal["2.0", "3.0"] = Field(default="3.0", description="Version")
    only: Literal["one"] = Field(default="one", description="No choice")
    secret: SecretStr = Field(default=SecretStr("hush"), description="Secret")
    limit: float | None = Field(default=None, description="Limit")
    inner: Inner = Field(default=Inner(), description="Nested")


class Nobody(Scripted):
    kind = "nobody"
    config_model = Config
    most_recipients = 7


def described() -> tuple[ChannelKind, dict[str, Setting]]:
    kind = describe(Nobody)
    return kind, {setting.name: setting for setting in kind.settings}


def test_a_setting_says_what_a_form_needs() -> None:
    kind, by_name = described()
    assert (kind.name, kind.most_recipients, kind.calls_back) == ("nobody", 7, False)
    assert kind.about == "Settings of nobody's account."
    assert list(by_name) == ["host", "port", "version", "only", "secret", "limit", "inner"]
    assert {name: s.type for name, s in by_name.items()} == {
        "host": "string",
        "port": "integer",
        "version": "string",
        "only": "string",
        "secret": "string",
        "limit": "number",
        "inner": "object",
    }
    assert [name for name, s in by_name.items() if s.required] == ["host"]
    assert [name for name, s in by_name.items() if s.nullable] == ["limit"]
    assert [name for name, s in by_name.items() if s.secret] == ["secret", "inner"]
    assert by_name["version"].choices == ["2.0", "3.0"]
    assert by_name["only"].choices == ["one"]
    assert by_name["port"].default == 7890
    assert (by_name["port"].schema["minimum"], by_name["port"].schema["maximum"]) == (1, 65535)
    assert by_name["inner"].schema["properties"]["token"]["description"] == "Its token"
    assert by_name["inner"].description == "Nested"


def test_no_default_of_a_secret_is_shown() -> None:
    _, by_name = described()
    assert by_name["secret"].default is None
    assert by_name["inner"].default is None
    assert "hush" not in json.dumps([dict(setting.schema) for setting in by_name.values()])


@pytest.mark.parametrize("name", sorted(load()))
def test_every_kind_describes_all_of_its_settings(name: str) -> None:
    kind = describe(load()[name])
    assert kind.name == name
    assert kind.settings
    for setting in kind.settings:
        said = setting.description
        assert isinstance(said, Phrase), f"{name}.{setting.name} has no description"
        assert said.in_language("zh") != said, f"{name}.{setting.name} has no Chinese"
        assert setting.type in TYPES, setting
        assert "$ref" not in json.dumps(setting.schema), setting
