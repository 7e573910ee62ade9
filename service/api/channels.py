"""The ways out; their secrets are shown as set or unset, and only to those who manage them."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from service.accounts.model import Right
from service.api.call import Call
from service.api.schema import Body, Instant, Int, Line, Out
from service.channels import store
from service.channels.model import Channel, ChannelSettings, merged, shown

Carrier = Literal["china_mobile", "china_unicom", "china_telecom", "china_broadnet"]
Carriers = Annotated[list[Carrier], Field(min_length=1)]
TPS = Annotated[Int, Field(ge=1)]
Window = Annotated[Int, Field(ge=1, le=10_000)]
Connections = Annotated[Int, Field(ge=1, le=100)]
Config = dict[str, Any]


class ChannelBody(Body):
    """A channel to be set up; `config` is what its kind needs."""

    name: Line
    kind: Line
    simulated: bool = Field(description="Whether it is a simulator; decided once, for good.")
    carriers: Carriers
    config: Config
    tps: TPS | None = Field(
        default=None, description="Parts per second; null: no limit but the window."
    )
    window: Window = 16
    connections: Connections = 1
    enabled: bool = True


class ChannelPatch(Body):
    """What is to change; the rest stays, and so do settings that `config` leaves out."""

    name: Line | None = None
    carriers: Carriers | None = None
    config: Config | None = None
    tps: TPS | None = Field(default=None, description="null: no limit but the window.")
    window: Window | None = None
    connections: Connections | None = None
    enabled: bool | None = None


class ChannelOut(Out):
    """A channel; `config` is null for those who do not manage channels."""

    id: int
    name: str
    kind: str
    simulated: bool
    carriers: list[str]
    config: Config | None
    tps: int | None
    window: int
    connections: int
    enabled: bool


class ChannelsOut(Out):
    """All channels."""

    items: list[ChannelOut]
    next_cursor: None = None


class ConnectionOut(Out):
    """What the holder of one connection last said of it."""

    slot: int
    state: str
    note: str
    changed_at: Instant | None


class HealthOut(Out):
    """A channel's connections, and roughly how much waits for them."""

    connections: list[ConnectionOut]
    open_slices: int
    queued_estimate: int


async def list_channels(call: Call) -> ChannelsOut:
    """List all channels."""
    channels = await store.list_channels(call.conn, call.runtime.keyring)
    return ChannelsOut(items=[_shown(call, channel) for channel in channels])


async def get_channel(call: Call, channel_id: int) -> ChannelOut:
    """Show a channel."""
    return _shown(call, await store.get_channel(call.conn, call.runtime.keyring, channel_id))


async def create_channel(call: Call, body: ChannelBody) -> ChannelOut:
    """Set up a channel."""
    settings = ChannelSettings(
        name=body.name,
        kind=body.kind,
        simulated=body.simulated,
        carriers=tuple(dict.fromkeys(body.carriers)),
        config=store.parse_settings(body.kind, body.config),
        tps=body.tps,
        window=body.window,
        connections=body.connections,
        enabled=body.enabled,
    )
    made = await store.insert_channel(call.conn, call.runtime.keyring, settings, call.now)
    return _shown(call, made)


async def edit_channel(call: Call, channel_id: int, body: ChannelPatch) -> ChannelOut:
    """Change a channel; whoever serves it follows within seconds."""
    channel = await store.get_channel(call.conn, call.runtime.keyring, channel_id, lock=True)
    changes: dict[str, Any] = {
        name: getattr(body, name)
        for name in body.model_fields_set
        if name == "tps" or getattr(body, name) is not None
    }
    if body.carriers is not None:
        changes["carriers"] = tuple(dict.fromkeys(body.carriers))
    if body.config is not None:
        changes["config"] = store.parse_settings(channel.kind, merged(channel.config, body.config))
    edited = replace(channel, **changes)
    await store.update_channel(call.conn, call.runtime.keyring, edited)
    return _shown(call, edited)


async def get_health(call: Call, channel_id: int) -> HealthOut:
    """Show the state of a channel's connections, and what waits for them."""
    await store.get_channel(call.conn, call.runtime.keyring, channel_id)
    return HealthOut.model_validate(await store.get_health(call.conn, channel_id))


def _shown(call: Call, channel: Channel) -> ChannelOut:
    return ChannelOut(
        id=channel.id,
        name=channel.name,
        kind=channel.kind,
        simulated=channel.simulated,
        carriers=list(channel.carriers),
        config=shown(channel.config) if call.user.may(Right.CHANNELS) else None,
        tps=channel.tps,
        window=channel.window,
        connections=channel.connections,
        enabled=channel.enabled,
    )
