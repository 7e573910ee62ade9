"""What a channel of each kind can be told, as a form needs it: from the kind's settings model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from service.channels.contract.gateway import CallbackGateway, Gateway

ConfigSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a kind.

    description: a phrase.
    type: of JSON: string, integer, number, boolean, object or array.
    nullable: whether null is a value.
    secret: whether it is, or has in it, what is never shown again.
    guarded: whether it takes a second person on a real channel.
    default: None where there is none, and for secrets.
    choices: the values there are; None: any that the schema allows.
    schema: its JSON Schema, with the limits, and complete in itself.
    """

    name: str
    description: str
    type: str
    required: bool
    nullable: bool
    secret: bool
    guarded: bool
    default: object
    choices: list[Any] | None
    schema: ConfigSchema


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind of channel. calls_back: whether its carrier reports by calling us over HTTP."""

    name: str
    about: str
    most_recipients: int
    calls_back: bool
    settings: list[Setting]


@cache  # a model's schema takes 2 ms, and pages of channels ask for all kinds
def describe(gateway: type[Gateway]) -> ChannelKind:
    """A kind, and its settings in the order of its model; the same object each time."""
    schema = gateway.config_model.model_json_schema()
    required = frozenset(schema.get("required", ()))
    properties: ConfigSchema = schema.get("properties", {})
    settings = [
        _setting(gateway, name, _complete(own, schema.get("$defs", {})), required=name in required)
        for name, own in properties.items()
    ]
    about = gateway.about or (gateway.config_model.__doc__ or "").partition("\n")[0].strip()
    calls_back = issubclass(gateway, CallbackGateway)
    return ChannelKind(gateway.kind, about, gateway.most_recipients, calls_back, settings)


def _setting(gateway: type[Gateway], name: str, schema: ConfigSchema, *, required: bool) -> Setting:
    forms = [form for form in schema.get("anyOf", (schema,)) if form.get("type") != "null"]
    secret = _is_secret(schema)
    form: ConfigSchema = forms[0] if forms else {}
    return Setting(
        name=name,
        description=gateway.config_model.model_fields[name].description or "",
        type=form.get("type", "object"),
        required=required,
        nullable=len(forms) < len(schema.get("anyOf", (schema,))),
        secret=secret,
        guarded=name in gateway.guarded,
        default=None if secret else schema.get("default"),
        choices=[form["const"]] if "const" in form else form.get("enum"),
        schema={
            name: value for name, value in schema.items() if not (secret and name == "default")
        },
    )


def _complete(schema: Any, definitions: ConfigSchema, within: frozenset[str] = frozenset()) -> Any:
    """A schema with what it refers to in place; one that holds itself stays a reference."""
    if isinstance(schema, list):
        return [_complete(inner, definitions, within) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    target = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if target in definitions and target not in within:
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return _complete({**definitions[target], **beside}, definitions, within | {target})
    return {name: _complete(inner, definitions, within) for name, inner in schema.items()}


def _is_secret(schema: object) -> bool:
    if isinstance(schema, dict):
        return bool(schema.get("writeOnly")) or any(map(_is_secret, schema.values()))
    return isinstance(schema, list) and any(map(_is_secret, schema))
