"""Settings as they are shown, changed and blotted out of sentences."""

from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from service.channels.contract.model import merged, parse_config, revealed, shown, without_secrets


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
    hidden = "••• was refused with ••• at 192.0.2.1 by •••"
    assert without_secrets(sentence, config(**FULL), "by deeper") == hidden
    assert without_secrets("nothing", config()) == "nothing"


@pytest.mark.parametrize("secret", ["login", "password", "tocsin", "Account", "7890"])
def test_our_own_words_stay_though_one_of_them_is_the_secret(secret: str) -> None:
    known = config(**FULL | {"secret": secret})
    ours = f"192.0.2.1:7890 refused the login: Account and password; tocsin has {secret}s"
    assert without_secrets(ours, known) == ours
    for value in ("={}", '"{}"', "“{}”", "'{}'", "http://name:{}@192.0.2.1/"):
        said = f"refused the login ({value.format(secret)})"
        assert without_secrets(said, known) == f"refused the login ({value.format('•••')})"
    theirs = f"you gave {secret}"
    said = f"the login was refused: {theirs}"
    assert without_secrets(said, known, theirs) == "the login was refused: you gave •••"
