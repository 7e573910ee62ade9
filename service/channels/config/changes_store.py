"""The table of proposed changes of channels, in SQL; a channel's row has the settings in force."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.channels.config.store import CONFIG
from service.crypto import Keyring
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, one
from service.words.phrase import phrase

_COLUMNS = (
    "id, channel_id, change_cipher, names, reason, creates, proposed_by, proposed_at, confirmed_by,"
    " confirmed_at, replaced_at"
)


class ChannelProposal(NamedTuple):
    """A change that somebody proposed. change_cipher: see `contents`. names: of the settings.

    creates: the channel is new, and carries nothing before. proposed_by: None: whoever runs the
    machine, who proposes nothing but new channels.
    """

    id: UUID
    channel_id: int
    change_cipher: bytes
    names: list[str]
    reason: str
    creates: bool
    proposed_by: UUID | None
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    replaced_at: datetime | None


class Contents(NamedTuple):
    """What a proposal says, secrets and all: the settings given, and the guarded ones before.

    enables: the channel is new, and is enabled once it is confirmed.
    """

    given: dict[str, Any]
    before: dict[str, Any]
    enables: bool = False


async def insert_proposal(
    conn: Connection,
    keyring: Keyring,
    channel_id: int,
    contents: Contents,
    reason: str,
    by: UUID | None,
    now: datetime,
    *,
    creates: bool,
) -> ChannelProposal:
    """Write down a proposal; the channel has no other one that waits."""
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO channel_changes (channel_id, change_cipher, names, reason, proposed_by,
                                     proposed_at, creates)
        VALUES (:channel_id, :change_cipher, :given, :reason, :by, :now, :creates)
        RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        channel_id=channel_id,
        change_cipher=keyring.encrypt(CONFIG, json.dumps(contents._asdict())),
        given=sorted(contents.given),
        reason=reason,
        by=by,
        now=now,
        creates=creates,
    )
    return ChannelProposal(*one(row))


def contents_of(keyring: Keyring, proposal: ChannelProposal) -> Contents:
    """What a proposal says."""
    stored: Mapping[str, Any] = json.loads(keyring.decrypt(CONFIG, proposal.change_cipher))
    return Contents(**stored)


async def replace_waiting(conn: Connection, channel_id: int, now: datetime) -> None:
    """Put aside what waits to be confirmed."""
    await sql.execute(
        conn,
        """
        UPDATE channel_changes SET replaced_at = :now
        WHERE channel_id = :channel_id AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        channel_id=channel_id,
        now=now,
    )


async def get_proposal(conn: Connection, channel_id: int, proposal_id: UUID) -> ChannelProposal:
    """One proposal.

    Raises:
        NotFound: the channel has none of this id.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_COLUMNS} FROM channel_changes WHERE id = :proposal_id
          AND channel_id = :channel_id::bigint
        """,  # noqa: S608
        proposal_id=proposal_id,
        channel_id=channel_id,
    )
    if row is None:
        raise NotFound(phrase("the channel has no proposal {proposal_id}", proposal_id=proposal_id))
    return ChannelProposal(*row)


async def list_proposals(
    conn: Connection, channel_id: int, before: UUID | None, limit: int
) -> list[ChannelProposal]:
    """A page of a channel's proposals, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM channel_changes
        WHERE channel_id = :channel_id::bigint AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # the columns stand above
        channel_id=channel_id,
        before=before,
        limit=limit,
    )
    return [ChannelProposal(*row) for row in rows]


async def confirm_proposal(
    conn: Connection, proposal: ChannelProposal, by: UUID, now: datetime
) -> ChannelProposal:
    """Note who confirmed it; the database refuses whoever proposed it."""
    await sql.execute(
        conn,
        """
        UPDATE channel_changes SET confirmed_by = :by, confirmed_at = :now WHERE id = :proposal_id
        """,
        proposal_id=proposal.id,
        by=by,
        now=now,
    )
    return proposal._replace(confirmed_by=by, confirmed_at=now)
