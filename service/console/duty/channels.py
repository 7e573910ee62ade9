"""Channels as a person on duty looks at them: one word, since when, why, what waits, what to do."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from service.accounts.people.model import Right
from service.api.channels import channel_health, channels
from service.api.channels.channel_forms import ChannelOut
from service.api.channels.channel_health import HealthOut
from service.api.sending import queue
from service.clock import CHINA
from service.console.asking import Desk
from service.console.render import Shown
from service.ledger.priority import PRIORITIES
from service.ledger.reasons import Wait
from service.reports.interruptions import why as reason_of
from service.words.phrase import Phrase, phrase


class Standing(NamedTuple):
    """How a channel stands, in one word. state: gives colour and shape. advice: what to do."""

    state: str
    word: Phrase
    advice: Phrase | None = None


WAITS = Standing(
    "asked",
    phrase("waits for a second person"),
    phrase("Another administrator confirms it under Administration."),
)
DISABLED = Standing(
    "disabled",
    phrase("switched off"),
    phrase("Whoever manages channels switches it on under Administration."),
)
EXHAUSTED = Standing(
    "exhausted",
    phrase("quota used up"),
    phrase("It goes on by itself with the next day or month. For more, agree on it with the carrier"
           " and raise the quota under Administration."),
)  # fmt: skip
CARRIER = Standing(
    "maintenance",
    phrase("the carrier has it wait"),
    phrase("Call the carrier: it says that the account may not send. It is tried again by itself."),
)
MAINTENANCE = Standing(
    "maintenance", phrase("in maintenance"), phrase("It goes on by itself after the window.")
)
DOWN = Standing(
    "down",
    phrase("disconnected"),
    phrase("Its texts wait. It connects again by itself; after three minutes they go over other"
           " channels where that is allowed. If it stays so for ten minutes: check the line and the"
           " carrier's gateway, then name, password and address with the carrier."),
)  # fmt: skip
SHUT = Standing(
    "open",
    phrase("shut"),
    phrase("Its texts go over other channels where that is allowed, and wait otherwise. It is tried"
           " by itself; call the carrier if it does not come back."),
)  # fmt: skip
TRIED = Standing("half_open", phrase("being tried"), phrase("A few texts go over it. Wait."))
CLIMBING = Standing("half_open", phrase("recovering"), phrase("It gets faster by itself. Wait."))
UP = Standing("up", phrase("works"))

EVENTS: Final = {
    "opened": phrase("shut"),
    "probing": phrase("being tried"),
    "closed": phrase("works again"),
    "returned": phrase("back at its full pace"),
}
REASONS: Final = {
    "disabled": phrase("the channel is switched off"),
    "no_connection": phrase("there is no connection"),
    "breaker": phrase("the channel is shut"),
    "carrier": phrase("the carrier has it wait"),
    "quota": phrase("a quota is used up"),
    "maintenance": phrase("maintenance"),
    "paused": phrase("the campaign is paused"),
    "hours": phrase("outside the send hours"),
    "later": phrase("it is to leave later"),
}
URGENT_TO_BULK: Final = (phrase("urgent"), phrase("normal"), phrase("in bulk"))
"""What the priorities are called, in their order."""


class Card(NamedTuple):
    """A channel with its health and how it stands."""

    channel: ChannelOut
    health: HealthOut
    standing: Standing
    why: str


async def show_channels(desk: Desk) -> Shown:
    """A card for each channel."""
    found = (await desk.get(channels.list_channels)).items
    cards = [await _card(desk, channel) for channel in found]
    told = {"cards": cards, "may_manage": desk.may(Right.CHANNELS)}
    return Shown("duty/channels.html", told)


async def show_waiting(desk: Desk) -> Shown:
    """What waits on a channel, counted, for its card."""
    found = await desk.get(queue.get_queue, channel_id=desk.number("channel_id"))
    return Shown("duty/_waiting.html", {"queue": found, "wait": _lasting})


def _lasting(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


async def show_channel(desk: Desk) -> Shown:
    """One channel: connections, figures, events, what waits on it and for how long."""
    channel = await desk.get(channels.get_channel, channel_id=desk.number("channel_id"))
    waiting = await desk.get(queue.get_queue, channel_id=channel.id)
    others = {c.id: c.name for c in (await desk.get(channels.list_channels)).items}
    card = await _card(desk, channel)
    return Shown(
        "duty/channel.html",
        {
            "card": card,
            "queue": waiting,
            "others": others,
            "events": [_event(desk, event, others) for event in card.health.events],
            "reasons": REASONS,
            "priorities": dict(zip(PRIORITIES, URGENT_TO_BULK, strict=True)),
            "wait": _lasting,
            "may_manage": desk.may(Right.CHANNELS),
        },
    )


async def _card(desk: Desk, channel: ChannelOut) -> Card:
    health = await desk.get(channel_health.get_health, channel_id=channel.id)
    standing = standing_of(channel, health, desk.now)
    told = desk.language.plain
    if channel.held_until is not None and channel.held_until > desk.now:
        why = channel.held_why
    elif health.why and health.state != "closed":
        why = told(reason_of(health.why))
    else:
        why = told(health.plain)
    return Card(channel, health, standing, why)


def standing_of(channel: ChannelOut, health: HealthOut, now: datetime) -> Standing:
    """How a channel stands now, in one word: the first that keeps texts from leaving."""
    held = channel.held_until is not None and channel.held_until > now
    lost = bool(health.figures.connections and not health.figures.up)
    found = {
        WAITS: channel.waits_since is not None,
        DISABLED: not channel.enabled,
        EXHAUSTED: held and channel.held_by == "quota",
        CARRIER: held,
        MAINTENANCE: _in_maintenance(channel, now),
        DOWN: lost or (health.state == "open" and health.why == Wait.DOWN),
        SHUT: health.state == "open",
        TRIED: health.state == "half_open",
        CLIMBING: health.climbing,
    }
    return next((standing for standing, holds in found.items() if holds), UP)


def _in_maintenance(channel: ChannelOut, now: datetime) -> bool:
    """Whether it is in one of the channel's windows, of which one may cross midnight."""
    clock = now.astimezone(CHINA).strftime("%H:%M")
    return any(
        begin <= clock < end if begin < end else clock >= begin or clock < end
        for begin, end in channel.maintenance
    )


def _event(desk: Desk, event: Any, others: dict[int, str]) -> dict[str, str]:
    """A change of a channel as a sentence."""
    language = desk.language
    count = language.number(event.messages)
    if event.kind == "shifted":
        name = others.get(event.to_channel_id, "–")
        said = phrase("{count} texts of a run go over {channel}", count=count, channel=name)
    elif event.kind == "waiting":
        said = phrase("{count} texts of a run wait: no other channel may take them", count=count)
    else:
        said = EVENTS[event.kind]
    tone = {"opened": "bad", "waiting": "warn", "closed": "done", "returned": "done"}
    why = language.plain(reason_of(event.why)) if event.why else ""
    return {
        "at": language.when(event.at),
        "said": language.say(said),
        "why": why,
        "tone": tone.get(event.kind, "run"),
    }
