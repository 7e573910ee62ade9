"""The ways out; their secrets are shown as set or unset, and only to those who manage them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from service.accounts.people.model import Right
from service.api.channels.channel_forms import (
    ChannelBody,
    ChannelOut,
    ChannelPatch,
    channel_out,
    edited,
    settings_of,
)
from service.api.channels.channel_health import losses_of
from service.api.http.call import Call, Later
from service.api.http.schema import (
    Body,
    Line,
    OptionalLine,
    Out,
    PlainOut,
    QueryString,
    TranslatedText,
)
from service.channels.config import changes, codes_store, connection_store, store
from service.channels.config.codes import CarrierCode
from service.channels.contract.kinds import describe
from service.channels.contract.model import Channel, Hold
from service.channels.contract.networks import reach_of, read_networks
from service.channels.contract.registry import load
from service.channels.trial.link_explanations import recent
from service.channels.trial.trial import check_clock, try_channel
from service.delivery.receipts import id_forms
from service.queue import Job


class ChannelsOut(Out):
    """All channels."""

    items: list[ChannelOut]
    next_cursor: None = None


class SettingOut(Out):
    """One setting of a kind; `json_schema` has its limits, and nothing else is needed for a form.

    A `secret` one is written and never read: it is shown as "set" or "unset", and "set" given back
    leaves it as it is.
    """

    name: str
    description: TranslatedText
    type: str = Field(description="string, integer, number, boolean, object or array")
    required: bool
    nullable: bool
    secret: bool
    guarded: bool = Field(
        description="On a real channel it takes a second person: POST /channels/{id}/changes."
    )
    default: Any
    choices: list[Any] | None
    json_schema: Mapping[str, Any] = Field(validation_alias="schema")


class KindOut(Out):
    """A kind of channel, and what its `config` is made of."""

    name: str
    about: TranslatedText
    most_recipients: int
    calls_back: bool = Field(description="Whether its provider reports by calling us over HTTP.")
    settings: list[SettingOut]


class KindsOut(Out):
    """All kinds of channels."""

    items: list[KindOut]
    next_cursor: None = None


class TrialOut(Out):
    """What the carrier answered to a login; `code` is its own where it gave one."""

    ok: bool = Field(description="The login was accepted, and the connection stayed for a second.")
    detail: TranslatedText
    code: str
    milliseconds: int
    plain: PlainOut = Field(
        description="The same in words, and what became of the channel's own connections of late."
    )


class CodeName(QueryString):
    """Which code is meant."""

    kind: Line
    applies_to: Literal["submit", "receipt"]
    code: Line


class CarrierCodeBody(Body):
    """What a carrier's code means."""

    kind: Line = Field(description="Of channel, such as cmpp.")
    applies_to: Literal["submit", "receipt"]
    code: Line = Field(description="As the carrier writes it, and as reports show it.")
    outcome: Line = Field(
        description="Of a submit: rejected, unanswered, throttled, refused_lot, suspended,"
        " daily_limit; of a receipt: buffered, delivered, undelivered, expired, rejected, unknown."
    )
    reason: OptionalLine = Field(default="", description="Why, in the words of the reports.")
    note: OptionalLine = ""


class CodeOut(Out):
    """What a carrier's code means."""

    kind: str
    applies_to: str
    code: str
    outcome: str
    reason: str
    note: str


class CodesOut(Out):
    """All codes that the operator gave a meaning."""

    items: list[CodeOut]
    next_cursor: None = None


async def list_channels(call: Call) -> ChannelsOut:
    """List all channels."""
    channels = await store.list_channels(call.conn, call.runtime.keyring)
    holds = await store.list_holds(call.conn, call.now)
    return ChannelsOut(items=[_shown(call, c, holds.get(c.id)) for c in channels])


async def list_kinds(call: Call) -> KindsOut:  # noqa: ARG001  # every handler is given it
    """List the kinds of channels with their settings."""
    kinds = [KindOut.model_validate(describe(kind)) for kind in load().values()]
    return KindsOut(items=sorted(kinds, key=lambda kind: kind.name))


async def get_channel(call: Call, channel_id: int) -> ChannelOut:
    """Show a channel."""
    channel = await store.get_channel(call.conn, call.runtime.keyring, channel_id)
    return _shown(call, channel, await store.get_hold(call.conn, channel_id, call.now))


async def create_channel(call: Call, body: ChannelBody) -> ChannelOut:
    """Set up a channel; a real one waits for a second person, and carries nothing before."""
    keyring, settings = call.runtime.keyring, settings_of(body)
    made = await changes.create(call.conn, keyring, settings, call.user.id, call.now)
    return _shown(call, made, None)


async def edit_channel(call: Call, channel_id: int, body: ChannelPatch) -> ChannelOut:
    """Change a channel, or lift its hold; whoever serves it follows within seconds."""
    channel = await store.get_channel(call.conn, call.runtime.keyring, channel_id, lock=True)
    changed = edited(channel, body)
    changes.check_alone(channel, changed)
    await store.update_channel(call.conn, call.runtime.keyring, changed)
    if await id_forms.follow(call.conn, channel, changed, call.now):
        call.after_commit(Job.FOLD_RECEIPTS, channel_id)
    if body.lifts_hold:
        await store.lift_hold(call.conn, channel_id)
    if body.lifts_hold or body.changes_quota:
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return _shown(call, changed, await store.get_hold(call.conn, channel_id, call.now))


async def test_channel(call: Call, channel_id: int) -> Later[TrialOut]:
    """Log in with a channel's settings, log out, and say what the carrier answered."""
    runtime = call.runtime
    channel = await store.get_channel(call.conn, runtime.keyring, channel_id)
    check_clock(channel, runtime.clock)
    changes.need_begun(channel)
    health = await connection_store.get_health(call.conn, channel_id)
    said = losses_of(call, health) if recent(health.connections, call.now) else None

    async def answer() -> TrialOut:
        networks = read_networks(runtime.settings.carrier_networks)
        where = reach_of(channel, networks, runtime.settings.own_servers)
        redis, clock = runtime.redis, runtime.clock
        trial = await try_channel(channel, clock, redis, health.up, said, where=where)
        return TrialOut.model_validate(trial)

    return Later(answer)


async def list_codes(call: Call) -> CodesOut:
    """List the codes that carriers say and the operator gave a meaning."""
    codes = await codes_store.list_codes(call.conn)
    return CodesOut(items=[CodeOut.model_validate(code) for code in codes])


async def put_code(call: Call, body: CarrierCodeBody) -> CodeOut:
    """Say what a carrier's code means, over the kind's own table."""
    code = CarrierCode(**body.model_dump())
    return CodeOut.model_validate(await codes_store.put_code(call.conn, code, call.now))


async def delete_code(call: Call, query: CodeName) -> None:
    """Let the kind's own table speak of a code again."""
    await codes_store.delete_code(call.conn, query.kind, query.applies_to, query.code)


def _shown(call: Call, channel: Channel, hold: Hold | None) -> ChannelOut:
    return channel_out(channel, hold, with_config=call.user.may(Right.CHANNELS))
