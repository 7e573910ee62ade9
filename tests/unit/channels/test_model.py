"""Settings as they are shown, changed and blotted out of sentences."""

from typing import Any

from pydantic import BaseModel, SecretStr

from service.channels.model import merged, parse_config, revealed, shown, without_secrets


class Config(BaseModel):
    host: str
    secret: SecretStr = SecretStr("")
    headers: dict[str, SecretStr] = {}
    listeners: list[dict[str, SecretStr]] = []


def config(**others: Any) -> BaseModel:
    return parse_config(Config, {"host": "192.0.2.1", **others})


FULL = {
    "secret": "hush-hush",
    "headers": {"Authorization": "Bearer deep", "X-Empty": ""},
    "listeners": [{"password": "deeper"}],
}


def test_every_secret_is_shown_as_set_or_unset_however_deep() -> None:
    assert shown(config(**FULL)) == {
        "host": "192.0.2.1",
        "secret": "set",
        "headers": {"Authorization": "set", "X-Empty": "unset"},
        "listeners": [{"password": "set"}],
    }


def test_what_was_shown_may_be_given_back() -> None:
    before = config(**FULL)
    given_back = shown(before) | {"host": "192.0.2.2"}
    assert merged(before, given_back) == revealed(before) | {"host": "192.0.2.2"}
    assert merged(config(), shown(config())) == revealed(config())


def test_a_secret_can_be_changed_beside_one_that_stays() -> None:
    change = {"headers": {"Authorization": "set", "X-Key": "new"}, "listeners": []}
    after = merged(config(**FULL), change)
    assert after["headers"] == {"Authorization": "Bearer deep", "X-Key": "new"}
    assert after["listeners"] == []
    assert after["secret"] == "hush-hush"


def test_no_secret_stays_in_a_sentence() -> None:
    sentence = "hush-hush was refused with Bearer deep at 192.0.2.1 by deeper"
    assert (
        without_secrets(sentence, config(**FULL)) == "••• was refused with ••• at 192.0.2.1 by •••"
    )
    assert without_secrets("nothing", config()) == "nothing"
