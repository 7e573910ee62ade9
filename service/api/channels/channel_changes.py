"""Settings of a real channel, and new ones, take two persons: one proposes, another confirms."""

from collections.abc import Iterable, Mapping
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from service.accounts.people.model import Right, User
from service.accounts.people.proposals import ProposalState, state_of
from service.accounts.people.second_person import second_persons
from service.api.channels.channel_forms import Config
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.channels.config import changes, changes_store, store
from service.channels.config.changes import NewChange
from service.channels.config.changes_store import ChannelProposal
from service.channels.contract.model import Channel, merged, parse_config, shown
from service.delivery.receipts import id_forms
from service.errors import Invalid
from service.queue import Job


class ChangeBody(Body):
    """Settings to be changed, the channel's secrets among them, and why."""

    config: Config
    reason: Line


class ConfirmerOut(Out):
    """Somebody who could confirm a change."""

    id: UUID
    name: str


class ChannelChangeOut(Out):
    """A change that was proposed, and what became of it; `confirmed`: it came into force then.

    `creates`: it is of a new channel, which carries nothing before it is confirmed.
    """

    id: UUID
    channel_id: int
    config: dict[str, Any] | None = Field(
        description="The settings that it changes, each secret as set or unset; null: they do not"
        " fit the channel any more."
    )
    reason: str
    state: ProposalState
    creates: bool
    enables: bool = Field(description="The new channel is enabled once it is confirmed.")
    proposed_by: UUID | None = Field(
        description="Null: whoever runs the machine, of a new channel."
    )
    proposed_at: Instant
    confirmed_by: UUID | None
    confirmed_at: Instant | None
    confirmers: list[ConfirmerOut] = Field(
        description="Who could confirm it, by name; nobody once it does not wait any more."
    )

    @classmethod
    def of(
        cls,
        proposal: ChannelProposal,
        state: ProposalState,
        config: dict[str, Any] | None,
        confirmers: Iterable[User],
        *,
        enables: bool,
    ) -> Self:
        """What is shown of a proposal."""
        could = [ConfirmerOut(id=user.id, name=user.name) for user in confirmers]
        own = {"config": config, "state": state, "enables": enables, "confirmers": could}
        return cls.model_validate(proposal._asdict() | own)


async def list_changes(call: Call, channel_id: int, query: PageQuery) -> Page[ChannelChangeOut]:
    """List the changes of a channel that took two persons, from new to old."""
    await store.get_channel(call.conn, call.runtime.keyring, channel_id)
    found = await changes_store.list_proposals(call.conn, channel_id, query.before, query.wanted)
    return cut(Page[ChannelChangeOut], [await _shown(call, proposal) for proposal in found], query)


async def propose_change(call: Call, channel_id: int, body: ChangeBody) -> ChannelChangeOut:
    """Propose settings of a real channel that one person may not change; somebody else confirms."""
    new = NewChange(channel_id, body.config, body.reason)
    keyring = call.runtime.keyring
    made = await changes.propose(call.conn, keyring, new, call.user.id, call.now)
    call.note("channels", channel_id, proposal=str(made.id), settings=made.names)
    return await _shown(call, made)


async def confirm_change(call: Call, channel_id: int, change_id: UUID) -> ChannelChangeOut:
    """Put proposed settings of a channel in force, as the second person."""
    keyring = call.runtime.keyring
    made, before, after = await changes.confirm(
        call.conn, keyring, channel_id, change_id, call.user, call.now
    )
    if await id_forms.follow(call.conn, before, after, call.now):
        call.after_commit(Job.FOLD_RECEIPTS, channel_id)
    call.note("channels", channel_id, proposal=str(made.id), settings=made.names)
    return await _shown(call, made)


async def _shown(call: Call, proposal: ChannelProposal) -> ChannelChangeOut:
    keyring = call.runtime.keyring
    channel = await store.get_channel(call.conn, keyring, proposal.channel_id)
    given, _, enables = changes_store.contents_of(keyring, proposal)
    state = state_of(proposal, call.now)
    could = []
    if state == "pending":
        hands = [proposal.proposed_by] if proposal.proposed_by else []
        could = await second_persons(call.conn, Right.CHANNELS, hands, call.now)
    own = _given(channel, given)
    return ChannelChangeOut.of(proposal, state, own, could, enables=enables)


def _given(channel: Channel, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that a change gives, as they are shown; None: they do not fit any more."""
    try:
        config = parse_config(type(channel.config), merged(channel.config, given))
    except Invalid:
        return None
    values = shown(config)
    return {name: values[name] for name in given if name in values}
