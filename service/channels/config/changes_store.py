"""The table of proposed changes of channels, in SQL; a channel's row has the settings in force."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.channels.config.store import CONFIG
from service.crypto import Keyring
from service.errors import NotFound
from service.storage.postgres import Connection, one

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
    row = await conn.fetchrow(
        f"""
        INSERT INTO channel_changes (channel_id, change_cipher, names, reason, proposed_by,
                                     proposed_at, creates)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        channel_id,
        keyring.encrypt(CONFIG, json.dumps(contents._asdict())),
        sorted(contents.given),
        reason,
        by,
        now,
        creates,
    )
    return ChannelProposal(*one(row))


def contents_of(keyring: Keyring, proposal: ChannelProposal) -> Contents:
    """What a proposal says."""
    stored: Mapping[str, Any] = json.loads(keyring.decrypt(CONFIG, proposal.change_cipher))
    return Contents(**stored)


async def replace_waiting(conn: Connection, channel_id: int, now: datetime) -> None:
    """Put aside what waits to be confirmed."""
    await conn.execute(
        """
        UPDATE channel_changes SET replaced_at = $2
        WHERE channel_id = $1 AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        channel_id,
        now,
    )


async def get_proposal(conn: Connection, channel_id: int, proposal_id: UUID) -> ChannelProposal:
    """One proposal.

    Raises:
        NotFound: the channel has none of this id.
    """
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM channel_changes WHERE id = $1 AND channel_id = $2::bigint",  # noqa: S608
        proposal_id,
        channel_id,
    )
    if row is None:
        raise NotFound(f"the channel has no proposal {proposal_id}")
    return ChannelProposal(*row)


async def list_proposals(
    conn: Connection, channel_id: int, before: UUID | None, limit: int
) -> list[ChannelProposal]:
    """A page of a channel's proposals, from new to old."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM channel_changes
        WHERE channel_id = $1::bigint AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,  # noqa: S608  # the columns stand above
        channel_id,
        before,
        limit,
    )
    return [ChannelProposal(*row) for row in rows]


async def confirm_proposal(
    conn: Connection, proposal: ChannelProposal, by: UUID, now: datetime
) -> ChannelProposal:
    """Note who confirmed it; the database refuses whoever proposed it."""
    await conn.execute(
        "UPDATE channel_changes SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1",
        proposal.id,
        by,
        now,
    )
    return proposal._replace(confirmed_by=by, confirmed_at=now)
