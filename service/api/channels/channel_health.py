"""How a channel is doing: its connections, its breaker, the figures behind it, what was done."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out, PlainOut
from service.channels.config import connection_store, store
from service.channels.config.connection_store import Health
from service.channels.contract.gateway import Refused
from service.channels.contract.model import Channel
from service.channels.links import refusals_store
from service.channels.links.logins import EndingKind
from service.channels.trial import link_explanations
from service.channels.trial.link_explanations import LinkExplanation
from service.delivery.receipts import id_forms
from service.dispatch.failover import health_store
from service.dispatch.failover.channel_monitor import limits_of, look_at
from service.dispatch.failover.circuit_breaker import BreakerState

MOST_EVENTS = 50


class ConnectionOut(Out):
    """What the holder of one connection last said of it, and how its last link ended."""

    slot: int
    state: str
    note: str
    changed_at: Instant | None
    lost_at: Instant | None = Field(description="When it last lost its link, or could not log in.")
    lost_how: EndingKind | None = Field(
        description="lost: the link had worked; closed: the login was accepted, and the link ended"
        " before it worked; refused, unparseable, unreachable: there was no login."
    )
    lost_why: str = Field(description="As whoever noticed it said.")
    lived_ms: int | None = Field(description="From the login to the end of that link.")
    losses: int = Field(description="Since `losing_since`.")
    losing_since: Instant | None = Field(
        description="The first of the losses between which there was no hour without any."
    )


class ChannelFiguresOut(Out):
    """What was seen in the last minute, or since the breaker last changed; counts of submits."""

    submits: int
    accepted: int
    refused: int = Field(description="For the number's sake or the text's.")
    failed: int = Field(description="Refused for the channel's sake, or nobody knows why.")
    unanswered: int
    unsent: int = Field(description="Provably never written.")
    throttled: int = Field(description="Too fast; sent again.")
    fault_share: float | None = Field(
        description="Failed, unanswered and unsent of all that were judged; null: none was."
    )
    answer_p50_ms: int | None
    answer_p95_ms: int | None
    receipts: int
    delivered_share: float | None = Field(description="Of the receipts.")
    unreported: int = Field(description="Submits accepted since the last receipt.")
    silent_seconds: int | None = Field(
        description="Since the first of these; null: none is missing, or a receipt never came."
    )
    connections: int
    up: int
    down_seconds: int | None = Field(
        description="How long there has been no connection although somebody tries."
    )


class EventOut(Out):
    """A change of the breaker, or what was done about it.

    shifted: `messages` of a run went to `to_channel_id`; waiting: no other channel may take them.
    """

    id: int
    kind: Literal["opened", "probing", "closed", "returned", "shifted", "waiting"]
    at: Instant
    last_at: Instant
    why: str
    figures: dict[str, Any]
    run_id: UUID | None = Field(description="Null for runs of other departments too.")
    to_channel_id: int | None
    messages: int


class HintOut(Out):
    """Something about a channel that a person should look at."""

    name: Literal["receipts_meet_nothing"]
    plain: PlainOut
    since: Instant
    receipts: int = Field(description="How many in a row met no text.")
    setting: str | None = Field(
        description="The setting that may correct it, in `config`; null: there is none."
    )
    now: str | None = Field(description="What that setting says.")
    fitting: str | None = Field(
        description="What it should say for the last receipts to fit; null: nothing makes them."
    )


class RefusalOut(Out):
    """What the channel's listener refused to whoever connected to it."""

    why: Refused = Field(
        description="stranger: not from an address in `listen_addresses`; displaced: no login, and"
        " too many of one address; wrong_login: name or password; locked_out: too many of these"
        " before, so the login was not looked at."
    )
    plain: PlainOut
    times: int = Field(description="Since `since`.")
    since: Instant = Field(description="With no hour without any in between.")
    last_at: Instant


class HealthOut(Out):
    """How a channel is doing, and roughly how much waits for it."""

    plain: PlainOut = Field(description="How its connections do, in words.")
    connections: list[ConnectionOut]
    refusals: list[RefusalOut] = Field(
        description="What its listener, if it has one, refused in the last hour, the last first."
    )
    next_login_at: Instant | None = Field(
        description="When one of its connections logs in again; null: none waits for that."
    )
    open_slices: int
    queued_estimate: int
    state: BreakerState = Field(
        description="Of its breaker; open: nothing is handed off, half_open: it is being tried."
    )
    why: str = Field(description="Why it is not closed.")
    since: Instant | None = Field(description="Null: nobody has judged the channel yet.")
    climbing: bool = Field(description="Closed again, and not yet back at its full pace.")
    next_trial_at: Instant | None = Field(description="Not before; and it takes a connection.")
    hints: list[HintOut] = Field(description="What a person should look at.")
    figures: ChannelFiguresOut
    events: list[EventOut] = Field(description="The last ones, from new to old.")


async def get_health(call: Call, channel_id: int) -> HealthOut:
    """Show how a channel is doing, since when and why, and what waits for it."""
    channel = await store.get_channel(call.conn, call.runtime.keyring, channel_id)
    health = await connection_store.get_health(call.conn, channel_id)
    limits = limits_of(call.runtime.settings).at_speed(call.runtime.clock.speed)
    breaker, figures = await look_at(call.conn, channel_id, limits, call.now)
    events = await health_store.list_events(call.conn, channel_id, call.user.scope, MOST_EVENTS)
    is_open = breaker is not None and breaker.state == "open"
    said = losses_of(call, health)
    return HealthOut(
        plain=PlainOut(zh=said.zh, en=said.en),
        next_login_at=_next_login(call, health),
        connections=[ConnectionOut.model_validate(c) for c in health.connections],
        refusals=await _refusals(call, channel_id),
        open_slices=health.open_slices,
        queued_estimate=health.queued_estimate,
        state=breaker.state if breaker else "closed",
        why=breaker.why if breaker else "",
        since=breaker.changed_at if breaker else None,
        climbing=breaker is not None and breaker.climbing,
        next_trial_at=breaker.changed_at + breaker.rest(limits) if breaker and is_open else None,
        hints=await _hints(call, channel),
        figures=ChannelFiguresOut.model_validate(figures.as_json()),
        events=[EventOut.model_validate(event) for event in events],
    )


async def _hints(call: Call, channel: Channel) -> list[HintOut]:
    found = await id_forms.hint(call.conn, channel)
    if found is None:
        return []
    said = found.said(call.runtime.settings.zone)
    return [
        HintOut(
            name="receipts_meet_nothing",
            plain=PlainOut(zh=said.zh, en=said.en),
            since=found.since,
            receipts=found.missed,
            setting=found.setting or None,
            now=found.form or None,
            fitting=found.fitting or None,
        )
    ]


async def _refusals(call: Call, channel_id: int) -> list[RefusalOut]:
    found = await refusals_store.list_refusals(call.conn, channel_id, call.now)
    zone = call.runtime.settings.zone
    plain = [link_explanations.refused(refusal, call.now, zone) for refusal in found]
    return [
        RefusalOut.model_validate({**refusal._asdict(), "plain": said._asdict()})
        for refusal, said in zip(found, plain, strict=True)
    ]


def _next_login(call: Call, health: Health) -> datetime | None:
    """When a connection logs in again; carriers go by real time, whatever the clock's speed."""
    if health.next_login is None:
        return None
    return call.now + timedelta(seconds=health.next_login) * call.runtime.clock.speed


def losses_of(call: Call, health: Health) -> LinkExplanation:
    """How the links of a channel do, in words."""
    zone = call.runtime.settings.zone
    return link_explanations.losses(health.connections, _next_login(call, health), call.now, zone)
