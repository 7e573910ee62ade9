"""Settings that lead a real channel: one administrator proposes them, another confirms."""

from service.api.channels import channel_changes, channels
from service.api.channels.channel_changes import ChangeBody
from service.api.channels.channel_forms import ChannelOut
from service.api.channels.channels import KindOut, SettingOut
from service.console.asking import Desk
from service.console.channels import form as channel_form
from service.console.channels.choices import kind_of, setting_fields
from service.console.channels.form import SET, at_their_fields
from service.console.channels.pages import CHANNELS
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import listing, phrase


async def show_proposal(desk: Desk) -> Shown:
    """The form that proposes where a real channel leads."""
    channel = await desk.get(channels.get_channel, channel_id=desk.number("channel_id"))
    kind = await kind_of(desk, channel.kind)
    told = {
        "channel": channel,
        "fields": setting_fields(desk, _proposable(kind), channel.config or {}),
    }
    return Shown("channels/channel_propose.html", told)


async def propose(desk: Desk) -> Gone:
    """Propose settings of a real channel; another administrator confirms them."""
    channel_id = desk.number("channel_id")
    async with desk.reading():
        channel = await desk.get(channels.get_channel, channel_id=channel_id)
        kind = await kind_of(desk, channel.kind)
    with at_their_fields():
        config = _changes(channel, kind, desk)
        body = body_of(
            ChangeBody, desk.form, but=channel_form.own_fields(desk.form), given={"config": config}
        )
        made = await desk.act(channel_changes.propose_change, channel_id=channel_id, body=body)
    names = [user.name for user in made.confirmers]
    done = phrase("It is proposed. Who can confirm it: {names}.", names=listing(names))
    if not names:
        done = phrase("It is proposed. Nobody can confirm it yet: it takes another administrator.")
    return Gone(f"{CHANNELS}/{channel_id}", done)


async def confirm(desk: Desk) -> Gone:
    """Put proposed settings in force, as the second person."""
    channel_id = desk.number("channel_id")
    made = await desk.act(
        channel_changes.confirm_change, channel_id=channel_id, change_id=desk.uuid("change_id")
    )
    done = phrase("The change is in force.")
    if made.creates:
        done = phrase("The channel may begin. Test the login, then switch it on.")
    return Gone(f"{CHANNELS}/{channel_id}", done)


def _proposable(kind: KindOut) -> list[SettingOut]:
    """What takes two persons, and the secrets, which are entered anew with it."""
    return [setting for setting in kind.settings if setting.guarded or setting.secret]


def _changes(channel: ChannelOut, kind: KindOut, desk: Desk) -> dict[str, object]:
    """The settings that differ from those in force, and the secrets that were entered.

    Raises:
        Invalid: nothing differs that takes two persons.
    """
    before = channel.config or {}
    typed = channel_form.config_of(_proposable(kind), desk.form, new=False)
    secrets = {setting.name for setting in kind.settings if setting.secret}
    config = {
        name: value
        for name, value in typed.items()
        if (
            value or before.get(name) == SET
            if name in secrets
            else not _same(value, before.get(name))
        )
    }
    guarded = {setting.name for setting in kind.settings if setting.guarded}
    if channel.waits_since is None and not guarded & config.keys():
        raise Invalid(
            phrase("nothing is changed that takes a second person; change the other settings alone")
        )
    return config


def _same(typed: object, before: object) -> bool:
    """Whether a setting was typed as it is; a number may come as text."""
    return channel_form.shown_value(typed) == channel_form.shown_value(before)
