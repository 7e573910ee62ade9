"""Acts on a channel: its test, on and off, its hold, and what its texts must be filed for."""

from service.api.channels import channels
from service.api.channels.channel_forms import ChannelPatch
from service.api.sending import filings
from service.api.sending.filings import RequiredBody
from service.console.asking import Desk
from service.console.channels import words as channel_words
from service.console.channels.pages import CHANNELS
from service.console.render import Gone, Shown
from service.words.phrase import phrase


async def test(desk: Desk) -> Shown:
    """Log in with a channel's settings and out again, and say what the carrier answered."""
    channel_id = desk.number("channel_id")
    trial = await desk.act(channels.test_channel, channel_id=channel_id)
    async with desk.reading():
        channel = await desk.get(channels.get_channel, channel_id=channel_id)
    return Shown("channels/channel_test.html", {"channel": channel, "trial": trial})


async def show_switch(desk: Desk) -> Shown:
    """What it means to switch a channel on or off."""
    channel = await desk.get(channels.get_channel, channel_id=desk.number("channel_id"))
    told = {"channel": channel, "kind_word": channel_words.kind_word(channel.kind)}
    return Shown("channels/channel_switch.html", told)


async def switch(desk: Desk) -> Gone:
    """Switch a channel on or off."""
    channel_id = desk.number("channel_id")
    on = desk.typed("enabled") == "true"
    await desk.act(channels.edit_channel, channel_id=channel_id, body=ChannelPatch(enabled=on))
    done = phrase("The channel is switched on.") if on else phrase("The channel is switched off.")
    return Gone(f"{CHANNELS}/{channel_id}", done)


async def lift_hold(desk: Desk) -> Gone:
    """Let a held channel hand off again."""
    channel_id = desk.number("channel_id")
    body = ChannelPatch(held_until=None)
    await desk.act(channels.edit_channel, channel_id=channel_id, body=body)
    return Gone(f"{CHANNELS}/{channel_id}", phrase("The channel hands off again."))


async def set_filing(desk: Desk) -> Gone:
    """Say whether a text must be filed with the channel's carrier before it goes over it."""
    channel_id = desk.number("channel_id")
    required = desk.typed("required") == "true"
    body = RequiredBody(required=required)
    await desk.act(filings.set_filing_required, channel_id=channel_id, body=body)
    done = phrase("Texts go over it without a filing.")
    if required:
        done = phrase("Only filed texts go over it.")
    return Gone(f"{CHANNELS}/{channel_id}", done)
