"""Settings of a real channel, and new ones, take two persons: one proposes, another confirms."""

from typing import Any, Self
from uuid import UUID

from pydantic import Field

from service.accounts.people.proposals import ProposalState, state_of
from service.api.channels.channel_forms import Config
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.channels.config import changes, changes_store, store
from service.channels.config.changes import NewChange
from service.channels.config.changes_store import ChannelProposal
from service.channels.contract.model import merged, parse_config, shown
from service.delivery.receipts import id_forms
from service.errors import Invalid
from service.queue import Job


class ChangeBody(Body):
    """Settings to be changed, the channel's secrets among them, and why."""

    config: Config
    reason: Line


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

    @classmethod
    def of(
        cls, proposal: ChannelProposal, call: Call, config: dict[str, Any] | None, *, enables: bool
    ) -> Self:
        """What is shown of a proposal."""
        state = state_of(proposal, call.now)
        own = {"config": config, "state": state, "enables": enables}
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
    try:
        config = parse_config(type(channel.config), merged(channel.config, given))
    except Invalid:
        return ChannelChangeOut.of(proposal, call, None, enables=enables)
    values = shown(config)
    own = {name: values[name] for name in given if name in values}
    return ChannelChangeOut.of(proposal, call, own, enables=enables)
