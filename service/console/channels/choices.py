"""What the forms of a channel are made of, and what they say in a way of their own."""

from collections.abc import Mapping
from typing import Any

from service.api.channels import channels
from service.api.channels.channel_forms import ChannelOut
from service.api.channels.channels import KindOut, SettingOut
from service.audience.vocabulary.choices import CARRIERS
from service.console.asking import Desk
from service.console.channels import form as channel_form
from service.console.channels import words as channel_words
from service.console.channels.form import SettingField, own_fields
from service.console.office import words
from service.console.words import carrier_word
from service.errors import NotFound
from service.words.phrase import phrase

TICKS = ("on_net_only", "signature_counts", "send_validity")
FIRST = frozenset({"port", "version", "sender", "public_url"})
"""Settings that stand with those that every channel of a kind needs."""


async def kind_of(desk: Desk, name: str) -> KindOut:
    """The kind of a channel.

    Raises:
        NotFound: there is none of this name.
    """
    found = channel_form.kind_of((await desk.get(channels.list_kinds)).items, name)
    if found is None:
        raise NotFound(phrase("there is no kind of channel named {kind}", kind=name))
    return found


def parted(channel: ChannelOut, kind: KindOut) -> tuple[list[SettingOut], list[SettingOut]]:
    """The settings that one person changes, and those that take two."""
    alone = [s for s in kind.settings if channel.simulated or not s.guarded]
    return alone, [s for s in kind.settings if s not in alone]


def setting_fields(
    desk: Desk, settings: list[SettingOut], config: Mapping[str, Any]
) -> list[SettingField]:
    """Settings as fields, in the reader's language. config: what they are; {}: of a new channel."""
    return channel_form.fields_of(settings, config, desk.language)


def first_and_more(
    desk: Desk, settings: list[SettingOut], config: Mapping[str, Any]
) -> dict[str, list[SettingField]]:
    """The settings that are seen at once, and those that are folded away."""
    fields = setting_fields(desk, settings, config)
    seen = [field for field in fields if field.setting.required or field.setting.name in FIRST]
    return {"needed": seen, "more": [field for field in fields if field not in seen]}


def own_names(desk: Desk) -> list[str]:
    """The fields of a form that the page reads itself."""
    return [*own_fields(desk.form), "maintenance", "carriers", *TICKS]


def given_members(desk: Desk) -> dict[str, Any]:
    """The members of a channel that a form says in a way of its own."""
    return {
        "carriers": desk.form.getall("carriers", []),
        "maintenance": channel_form.spans_of(desk.form.get("maintenance", "")),
        **{name: name in desk.form for name in TICKS},
    }


def choices(desk: Desk, kind: KindOut) -> dict[str, Any]:
    """The options of a channel's form, and what its kind is called."""
    carriers = [(code, carrier_word(code, desk.language)) for code in CARRIERS]
    return {
        "kind_word": channel_words.kind_word(kind.name),
        "carriers": carriers,
        "operators": [("", desk.language.say(phrase("that of its one carrier"))), *carriers],
        "signatures": words.options(channel_words.SIGNATURES, desk.language),
        "receipts": words.options(channel_words.RECEIPTS, desk.language),
    }
