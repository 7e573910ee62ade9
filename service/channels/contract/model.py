"""A channel: a configured way out. Its kind decides which settings and credentials it has.

A channel is simulated or real from its creation on, for good; secrets are shown as set or unset,
never as they are.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from service.errors import Invalid
from service.messages.signature import SignMode
from service.words.phrase import phrase
from service.words.validation import fault

SET, UNSET = "set", "unset"
"""How a secret is shown."""

SHORTEST_SECRET = 4
BLOT = "•••"
_ORDINARY = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|[0-9]+")
_AS_A_VALUE = r"(?:(?<=[='\"“‘「])|(?<=:)(?=[^\s]+@)){0}(?![A-Za-z0-9])"
"""A secret shorter than this is no secret, and blotting it out would blot out words."""


PROVIDERS = frozenset({"http", "twilio"})
"""Kinds that lead to a provider between us and the carriers, unless it is said otherwise."""


LISTS = frozenset({"list_file"})
"""Kinds whose texts leave as a list that the carrier takes and sends by itself. They hand off
nothing but while a person has a list drawn, and take a carrier's own base alone (decision 0398)."""


def operator_of(kind: str, carriers: Sequence[str], operated_by: str | None) -> str | None:
    """The carrier whose gateway a channel leads to, so that whoever sends over it shows numbers to
    nobody else; None: of no carrier, or it is not known of which.
    """
    if operated_by is not None:
        return operated_by
    return carriers[0] if len(carriers) == 1 and kind not in PROVIDERS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """Everything about a channel that is decided by whoever sets it up.

    carriers: whose subscribers it reaches.
    config: the kind's own settings and credentials.
    tps: parts per second; None: as fast as the window allows.
    window: unanswered submits allowed on one connection.
    destinations: the most recipients in one submit, where the text is the same for all.
    on_net_only: whether it takes only its own carriers' numbers, or others' too as a fallback.
    operated_by: whose gateway it leads to, one of `carriers`; None: see `operator_of`.
    rank: among channels that could take a number, the lowest rank is chosen.
    signature: who puts the 【signature】 and where. signature_counts: whether one that the carrier
        adds takes room in the text.
    receipts: whether a state report is asked for each part or for the last alone.
    send_validity: whether the end of validity travels with the text.
    daily_quota, monthly_quota: parts by the calendar in Beijing; None: as many as there are.
    maintenance: spans of times of day in Beijing in which nothing is handed off; see `maintenance`.
    """

    name: str
    kind: str
    simulated: bool
    carriers: tuple[str, ...]
    config: BaseModel
    tps: int | None = None
    window: int = 16
    connections: int = 1
    enabled: bool = True
    destinations: int = 1
    on_net_only: bool = True
    operated_by: str | None = None
    rank: int = 100
    signature: SignMode = "ours_head"
    signature_counts: bool = True
    receipts: Literal["all", "last"] = "all"
    send_validity: bool = True
    daily_quota: int | None = None
    monthly_quota: int | None = None
    maintenance: tuple[tuple[str, str], ...] = ()

    @property
    def has_quota(self) -> bool:
        """Whether its parts are counted."""
        return self.daily_quota is not None or self.monthly_quota is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel(ChannelSettings):
    """A channel of the table.

    waits_since: it is new and real, and carries nothing before a second person has confirmed it;
    None: it waits for nobody.
    requires_filing: whether a text must be filed with its carrier before it goes over it.
    """

    id: int
    requires_filing: bool
    waits_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The account may not send for now: so its carrier said, or its own quota is used up.

    by: whose hold it is: "carrier" or "quota".
    """

    until: datetime
    why: str
    by: str = "carrier"


def parse_config(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    """The settings of a kind, checked.

    Raises:
        Invalid: names each field that is missing, unknown or malformed, never its value.
    """
    unknown = sorted(values.keys() - model.model_fields.keys())
    fields: dict[str, str] = {
        f"config.{name}": phrase("this kind has no such setting") for name in unknown
    }
    try:
        config = model.model_validate(dict(values))
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            fields[".".join(["config", *map(str, item["loc"])])] = fault(item)
        raise Invalid(phrase("the channel's settings are wrong"), fields=fields) from error
    if fields:
        raise Invalid(phrase("the channel's settings are wrong"), fields=fields)
    return config


def revealed(config: BaseModel) -> dict[str, Any]:
    """The settings with their secrets, for storage under encryption."""
    return _as_json(config, SecretStr.get_secret_value)


def shown(config: BaseModel) -> dict[str, Any]:
    """The settings as people may see them: each secret is "set" or "unset"."""
    return _as_json(config, lambda secret: SET if secret.get_secret_value() else UNSET)


def merged(config: BaseModel, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with some of them changed; a secret comes back as `shown` gave it, unchanged."""
    before, seen = revealed(config), shown(config)
    return before | {
        name: _unmasked(value, before.get(name), seen.get(name)) for name, value in changes.items()
    }


def _unmasked(value: object, before: object, seen: object) -> object:
    """A changed value in which each secret that came back as it is shown is what it was."""
    if isinstance(value, dict) and isinstance(before, dict) and isinstance(seen, dict):
        return {
            name: _unmasked(inner, before.get(name), seen.get(name))
            for name, inner in value.items()
        }
    if isinstance(value, list) and isinstance(before, list) and isinstance(seen, list):
        known = dict(enumerate(zip(before, seen, strict=True)))
        return [_unmasked(inner, *known.get(n, (None, None))) for n, inner in enumerate(value)]
    return before if value == seen and value in {SET, UNSET} else value


def without_secrets(text: str, config: BaseModel, quoted: str = "") -> str:
    """A sentence with every secret of the settings blotted out, should one have got into it.

    In what is quoted of others each one is, wherever it stands. In our own words a secret that is
    an ordinary word or number (login, 1234) is one only where it stands as a value: after an equals
    sign, in quotation marks, or as the password of an address.
    """
    secrets = sorted(set(_secrets(config.model_dump())), key=len, reverse=True)
    if quoted:
        blotted = quoted
        for secret in secrets:
            blotted = blotted.replace(secret, BLOT)
        text = text.replace(quoted, blotted)
    for secret in secrets:
        plain = re.escape(secret)
        pattern = _AS_A_VALUE.format(plain) if _ORDINARY.fullmatch(secret) else plain
        text = re.sub(pattern, BLOT, text)
    return text


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        if len(value.get_secret_value()) >= SHORTEST_SECRET:
            yield value.get_secret_value()
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _secrets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner)


def _as_json(config: BaseModel, secret: Callable[[SecretStr], str]) -> dict[str, Any]:
    def plain(value: object) -> object:
        return secret(value) if isinstance(value, SecretStr) else to_jsonable_python(value)

    settings: dict[str, Any] = json.loads(json.dumps(config.model_dump(), default=plain))
    return settings
