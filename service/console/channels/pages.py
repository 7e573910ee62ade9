"""Channels set up and changed: by one person, or by two where the settings lead a real one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.api.channels import channel_changes, channels
from service.api.channels.channel_changes import ChannelChangeOut
from service.api.channels.channel_forms import ChannelOut, ChannelPatch
from service.api.channels.channels import KindOut
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.channels import form as channel_form
from service.console.channels import words as channel_words
from service.console.channels.choices import (
    choices,
    first_and_more,
    given_members,
    kind_of,
    own_names,
    parted,
    setting_fields,
)
from service.console.channels.form import SettingField, at_their_fields
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.words import carrier_word
from service.errors import Invalid
from service.words.phrase import Phrase, phrase

CHANNELS = "/office/channels"
NEEDED = ("name", "window", "connections", "destinations", "rank")
EMPTIED = ("tps", "daily_quota", "monthly_quota", "operated_by")


class ChannelRow(NamedTuple):
    """A channel in the list. waiting: its proposed change; None: there is none."""

    channel: ChannelOut
    kind: str
    state: str
    word: Phrase
    waiting: ChannelChangeOut | None


class ChangedSetting(NamedTuple):
    """A setting of a proposed change: what it is, what it was, and what it would be."""

    label: str
    before: str
    after: str


async def show_channels(desk: Desk) -> Shown:
    """All channels as they are set up."""
    found = (await desk.get(channels.list_channels)).items
    rows = [
        ChannelRow(
            channel,
            channel_words.kind_word(channel.kind),
            *channel_words.standing(channel, desk.now),
            None if channel.simulated else await _waiting(desk, channel.id),
        )
        for channel in found
    ]
    told = {"rows": rows, "carrier": lambda code: carrier_word(code, desk.language)}
    return Shown("channels/channels.html", told)


async def show_channel(desk: Desk) -> Shown:
    """One channel: its settings, what waits for a second person, and what took two of them."""
    channel = await desk.get(channels.get_channel, channel_id=desk.number("channel_id"))
    kind = await kind_of(desk, channel.kind)
    query = body_of(PageQuery, desk.request.query, given={"limit": 20})
    changes = await desk.get(channel_changes.list_changes, channel_id=channel.id, query=query)
    waiting = next((change for change in changes.items if change.state == "pending"), None)
    alone, guarded = parted(channel, kind)
    hands = [hand for change in changes.items for hand in (change.proposed_by, change.confirmed_by)]
    config = channel.config or {}
    told = {
        "channel": channel,
        "kind": kind,
        "standing": channel_words.standing(channel, desk.now),
        "guarded": setting_fields(desk, guarded, config),
        "waiting": waiting,
        "changed": _changed(desk, kind, config, waiting),
        "may_confirm": waiting is not None
        and desk.user.id in {user.id for user in waiting.confirmers},
        "changes": changes.items,
        "next": changes.next_cursor,
        "names": await names_of(desk, hands),
        "change_words": channel_words.CHANGES,
        "callback": f"/api/v1/callbacks/{channel.id}" if kind.calls_back else "",
    }
    return Shown(
        "channels/channel.html", told | first_and_more(desk, alone, config) | choices(desk, kind)
    )


async def edit(desk: Desk) -> Gone:
    """Change what one person may change of a channel."""
    channel_id = desk.number("channel_id")
    async with desk.reading():
        channel = await desk.get(channels.get_channel, channel_id=channel_id)
        kind = await kind_of(desk, channel.kind)
    missing = {name: phrase("fill it in") for name in NEEDED if not desk.typed(name)}
    if missing:
        raise Invalid(phrase("something is not filled in"), fields=missing)
    emptied = {name: None for name in EMPTIED if not desk.typed(name)}
    with at_their_fields():
        config = channel_form.config_of(parted(channel, kind)[0], desk.form, new=False)
        given = given_members(desk) | emptied | {"config": config}
        body = body_of(ChannelPatch, desk.form, but=own_names(desk), given=given)
        await desk.act(channels.edit_channel, channel_id=channel_id, body=body)
    return Gone(f"{CHANNELS}/{channel_id}", phrase("Saved."))


async def _waiting(desk: Desk, channel_id: int) -> ChannelChangeOut | None:
    """The change of a channel that waits: a newer one would have replaced it."""
    query = PageQuery(limit=1)
    found = await desk.get(channel_changes.list_changes, channel_id=channel_id, query=query)
    return next((change for change in found.items if change.state == "pending"), None)


def _changed(
    desk: Desk, kind: KindOut, config: Mapping[str, Any], change: ChannelChangeOut | None
) -> list[ChangedSetting]:
    """What a proposed change would change, in words; secrets are set or not."""
    given = (change.config if change is not None else None) or {}
    before = setting_fields(desk, [s for s in kind.settings if s.name in given], config)
    after = setting_fields(desk, [s for s in kind.settings if s.name in given], given)
    fresh = "" if change is None or change.creates else desk.language.say(phrase("entered anew"))
    return [
        ChangedSetting(old.label, _said(desk, old), (new.is_set and fresh) or _said(desk, new))
        for old, new in zip(before, after, strict=True)
    ]


def _said(desk: Desk, field: SettingField) -> str:
    say = desk.language.say
    if field.setting.secret:
        return say(phrase("set")) if field.is_set else say(phrase("not set"))
    if field.setting.type == "boolean":
        return say(phrase("yes")) if field.value else say(phrase("no"))
    return field.value or "–"
