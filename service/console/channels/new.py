"""A channel is set up: its kind, real or simulated for good; switched off until it is tried."""

from service.api.channels import channels
from service.api.channels.channel_forms import ChannelBody
from service.console.asking import Desk
from service.console.channels import form as channel_form
from service.console.channels import words as channel_words
from service.console.channels.choices import (
    choices,
    first_and_more,
    given_members,
    kind_of,
    own_names,
)
from service.console.channels.form import at_their_fields
from service.console.channels.pages import CHANNELS
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase


async def show_new(desk: Desk) -> Shown:
    """What kind of channel is set up, real or simulated; once that is said, the form for it."""
    kinds = (await desk.get(channels.list_kinds)).items
    asked = desk.form if "kind" in desk.form else desk.request.query
    kind = channel_form.kind_of(kinds, asked.get("kind", ""))
    if kind is None or asked.get("simulated") not in {"true", "false"}:
        options = [
            (one.name, desk.language.say(channel_words.kind_word(one.name)))
            for one in sorted(kinds, key=channel_words.place)
        ]
        return Shown("channels/channel_kind.html", {"kinds": options})
    told = {
        "kind": kind,
        "simulated": asked["simulated"] == "true",
    }
    fields = first_and_more(desk, kind.settings, {})
    return Shown("channels/channel_new.html", told | fields | choices(desk, kind))


async def create(desk: Desk) -> Gone:
    """Set a channel up, switched off: it is tried before it is switched on."""
    kinds = {"simulated": desk.typed("simulated") == "true", "enabled": False}
    async with desk.reading():
        kind = await kind_of(desk, desk.typed("kind"))
    with at_their_fields():
        config = channel_form.config_of(kind.settings, desk.form, new=True)
        given = given_members(desk) | kinds | {"config": config}
        body = body_of(ChannelBody, desk.form, but=own_names(desk), given=given)
        made = await desk.act(channels.create_channel, body=body)
    done = phrase("{name} is set up. Test the login, then switch it on.", name=made.name)
    if made.waits_since is not None:
        done = phrase("{name} is set up. It carries nothing before a second person confirms it.",
                      name=made.name)  # fmt: skip
    return Gone(f"{CHANNELS}/{made.id}", done)
