"""Where a real channel's credentials and numbers go: one administrator proposes, another confirms.

Whoever could change a channel's host alone would be sent its password at the next login, and every
number with its text after it. So the settings that a kind calls `guarded` take two persons on a
real channel, and the stored secrets are not taken along: they are entered anew with the change. A
simulated channel has neither real secrets nor real people.

A new real channel is such a change of all of them: it waits, switched off, for its second person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from service.accounts.people.model import User
from service.accounts.people.proposals import WAITS, need_pending
from service.accounts.people.second_person import need_second_person
from service.channels.config import changes_store, store
from service.channels.config.changes_store import ChannelProposal, Contents
from service.channels.contract.model import SET, Channel, ChannelSettings, merged, revealed
from service.channels.contract.registry import check_given, load
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

NEW = "新建通道 / a new channel"
"""The reason of the proposal with which a channel is set up."""


@dataclass(frozen=True, slots=True)
class NewChange:
    """Settings to be proposed for a channel, as `PATCH /channels/{id}` takes them in `config`."""

    channel_id: int
    given: Mapping[str, Any]
    reason: str


def check_alone(before: Channel, after: Channel) -> None:
    """Refuse a change that one person may not make.

    Raises:
        Conflict: it is one of guarded settings of a real channel.
    """
    names = _guarded_changes(before, after)
    if names:
        raise Conflict(
            phrase(
                "{names}: on a real channel this takes a second person; propose it (POST"
                " /channels/{channel_id}/changes) with the channel's secrets, and another"
                " administrator confirms it",
                names=listing(names),
                channel_id=before.id,
            ),
            code="needs_second_person",
        )


def need_begun(channel: Channel) -> None:
    """Refuse to use a new real channel that waits for its second person.

    Raises:
        Conflict: says who must confirm it, and how.
    """
    if channel.waits_since is not None:
        raise Conflict(
            phrase(
                "{channel} is a new real channel: it is neither enabled nor tried"
                " before another administrator has confirmed it (POST"
                " /channels/{channel_id}/changes/{{change_id}}/confirm); GET"
                " /channels/{channel_id}/changes lists what waits, and after {days} days it"
                " is proposed anew (POST /channels/{channel_id}/changes)",
                channel=channel.name,
                channel_id=channel.id,
                days=WAITS.days,
            ),
            code="needs_second_person",
        )


async def create(
    conn: Connection, keyring: Keyring, settings: ChannelSettings, by: UUID | None, now: datetime
) -> Channel:
    """Set up a channel. A real one waits, switched off, and all its guarded settings are proposed:
    whoever confirms them lets it begin, enabled if `settings` say so.

    by: None: whoever runs the machine, to whom each administrator is a second person.

    Raises:
        Invalid, Conflict: as `store.insert_channel`.
    """
    channel = await store.insert_channel(conn, keyring, settings, now)
    if channel.waits_since is not None:
        guarded = _guarded(channel)
        contents = Contents(guarded, guarded, settings.enabled)
        await changes_store.insert_proposal(
            conn, keyring, channel.id, contents, NEW, by, now, creates=True
        )
    return channel


def check_secrets(before: Channel, after: Channel, given: Mapping[str, Any]) -> None:
    """Refuse to send the stored secrets of a real channel elsewhere.

    Raises:
        Invalid: guarded settings change, and secrets are not given anew; names each.
    """
    names = _guarded_changes(before, after)
    if not names:
        return
    stored = [
        name
        for name in type(before.config).model_fields
        if isinstance(value := getattr(before.config, name), SecretStr) and value.get_secret_value()
    ]
    missing = [name for name in stored if given.get(name, SET) == SET]
    if missing:
        why = phrase("enter it anew: the stored one is not taken along when these change")
        raise Invalid(
            phrase(
                "{names}: with another value the stored secrets are void; give {missing} anew",
                names=listing(names),
                missing=listing(missing),
            ),
            fields={f"config.{name}": why for name in missing},
        )


async def propose(
    conn: Connection, keyring: Keyring, new: NewChange, by: UUID, now: datetime
) -> ChannelProposal:
    """Propose a change, in place of a proposal that waits; nothing changes yet. Of a new channel
    that waits, all guarded settings are proposed with it, and it stays switched off when it begins.

    Raises:
        NotFound: there is no such channel.
        Conflict: it takes no second person.
        Invalid: the settings are not what the kind needs, or lack secrets.
    """
    channel = await store.get_channel(conn, keyring, new.channel_id, lock=True)
    changed = _changed(channel, new.given)
    creates = channel.waits_since is not None
    if not creates and not _guarded_changes(channel, changed):
        raise Conflict(
            phrase("this takes no second person: change it by PATCH /channels/{{id}}"),
            code="wrong_state",
        )
    check_secrets(channel, changed, new.given)
    check_given(changed)
    await changes_store.replace_waiting(conn, channel.id, now)
    given = (_guarded(channel) if creates else {}) | dict(new.given)
    contents = Contents(given, _guarded(channel))
    return await changes_store.insert_proposal(
        conn, keyring, channel.id, contents, new.reason, by, now, creates=creates
    )


async def confirm(
    conn: Connection, keyring: Keyring, channel_id: int, proposal_id: UUID, by: User, now: datetime
) -> tuple[ChannelProposal, Channel, Channel]:
    """Put a proposed change in force, as the second person; whoever serves the channel follows.

    Returns the proposal, and the channel before and after.

    Raises:
        NotFound: there is no such channel, or it has no such proposal.
        Forbidden: the actor counts as who proposed it.
        Conflict: it does not wait (any more), or the channel has changed since.
        Invalid: with other settings that have changed since, it does not fit any more.
    """
    channel = await store.get_channel(conn, keyring, channel_id, lock=True)
    found = await changes_store.get_proposal(conn, channel_id, proposal_id)
    need_pending(found, now)
    await need_second_person(
        conn, by, {found.proposed_by: phrase("proposed this change")}, phrase("confirm it"), now
    )
    contents = changes_store.contents_of(keyring, found)
    if contents.before != _guarded(channel):
        raise Conflict(
            phrase(
                "the channel's settings have changed since it was proposed; make another proposal"
            ),
            code="wrong_state",
        )
    changed = _changed(channel, contents.given)
    if found.creates:
        changed = replace(changed, waits_since=None, enabled=contents.enables)
    check_given(changed)
    done = await changes_store.confirm_proposal(conn, found, by.id, now)
    await store.update_channel(conn, keyring, changed)
    return done, channel, changed


def _changed(channel: Channel, given: Mapping[str, Any]) -> Channel:
    config = store.parse_settings(channel.kind, merged(channel.config, given))
    return replace(channel, config=config)


def _guarded(channel: Channel) -> dict[str, Any]:
    """The settings of a channel that its kind guards, with their values."""
    values = revealed(channel.config)
    return {name: values[name] for name in sorted(load()[channel.kind].guarded & values.keys())}


def _guarded_changes(before: Channel, after: Channel) -> list[str]:
    """The guarded settings that differ, of a real channel."""
    if before.simulated:
        return []
    new = _guarded(after)
    return [name for name, value in _guarded(before).items() if value != new[name]]
