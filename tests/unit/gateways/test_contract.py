"""What every gateway keeps to, whoever adds it: these run over all that the registry finds."""

import inspect

import pytest
from pydantic import SecretStr

from service.channels.contract import registry
from service.channels.contract.gateway import Gateway
from service.errors import NotFound

KINDS = registry.load()


def test_the_gateways_are_found() -> None:
    print("gateways:", ", ".join(KINDS))
    assert "cmpp" in KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_the_name_of_the_module(kind: str) -> None:
    assert KINDS[kind].__module__ == f"{registry.PACKAGE}.{kind}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_described(kind: str) -> None:
    fields = KINDS[kind].config_model.model_fields
    assert fields
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_secret(kind: str) -> None:
    for name, field in KINDS[kind].config_model.model_fields.items():
        if any(word in name for word in ("secret", "password", "token")):
            assert field.annotation is SecretStr


@pytest.mark.parametrize("kind", KINDS)
def test_a_gateway_is_made_of_settings_a_deliver_and_a_clock(kind: str) -> None:
    assert list(inspect.signature(KINDS[kind]).parameters) == ["config", "deliver", "clock"]
    assert registry.factory(kind) is KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_submitting_is_synchronous(kind: str) -> None:
    assert not inspect.iscoroutinefunction(KINDS[kind].submit)
    assert issubclass(KINDS[kind], Gateway)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="cmpp"):
        registry.factory("telex")
