"""The table of grants, in SQL: what users were given, by whom, and what waits to be confirmed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import Right, Role, rights_of
from service.errors import NotFound
from service.storage.postgres import Connection, Record, one

_COLUMNS = (
    "id, user_id, roles, rights, enables, narrows, proposed_by, proposed_at, confirmed_by,"
    " confirmed_at, replaced_at"
)


class RightsGrant(NamedTuple):
    """All that a user is to have, beyond what a user without roles has.

    enables: it puts the user back into service. narrows: it only takes away, and counts at once.
    """

    id: UUID
    user_id: UUID
    roles: frozenset[Role]
    rights: frozenset[Right]
    enables: bool
    narrows: bool
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    replaced_at: datetime | None


class NewGrant(NamedTuple):
    """A grant to be written down; see `RightsGrant`."""

    user_id: UUID
    roles: frozenset[Role]
    rights: frozenset[Right]
    enables: bool = False
    narrows: bool = False


async def insert_grant(conn: Connection, new: NewGrant, by: UUID, now: datetime) -> RightsGrant:
    """Write down a grant; the user has no other one that waits."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO grants (user_id, roles, rights, enables, narrows, proposed_by, proposed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        new.user_id,
        sorted(new.roles),
        sorted(right.word for right in new.rights),
        new.enables,
        new.narrows,
        by,
        now,
    )
    return _grant(one(row))


async def replace_waiting(conn: Connection, user_id: UUID, now: datetime) -> None:
    """Put aside what waits to be confirmed of a user."""
    await conn.execute(
        """
        UPDATE grants SET replaced_at = $2
        WHERE user_id = $1 AND confirmed_at IS NULL AND replaced_at IS NULL AND NOT narrows
        """,
        user_id,
        now,
    )


async def confirm_grant(conn: Connection, grant_id: UUID, by: UUID, now: datetime) -> None:
    """Let a grant count; the database refuses whoever proposed it, and whoever gets it."""
    await conn.execute(
        "UPDATE grants SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1", grant_id, by, now
    )


async def get_grant(conn: Connection, user_id: UUID, grant_id: UUID) -> RightsGrant:
    """One grant.

    Raises:
        NotFound: the user has none of this id.
    """
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM grants WHERE id = $1 AND user_id = $2",  # noqa: S608
        grant_id,
        user_id,
    )
    if row is None:
        raise NotFound(f"the user has no grant {grant_id}")
    return _grant(row)


async def list_grants(
    conn: Connection, user_id: UUID, before: UUID | None, limit: int
) -> list[RightsGrant]:
    """A page of a user's grants, from new to old."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM grants
        WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
        """,  # noqa: S608  # the columns stand above
        user_id,
        before,
        limit,
    )
    return [_grant(row) for row in rows]


async def waiting_grants(
    conn: Connection, users: Sequence[UUID], since: datetime
) -> dict[UUID, RightsGrant]:
    """What waits to be confirmed of these users, if it was proposed since then."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM grants
        WHERE user_id = ANY ($1) AND confirmed_at IS NULL AND replaced_at IS NULL AND NOT narrows
          AND proposed_at > $2
        """,  # noqa: S608  # the columns stand above
        users,
        since,
    )
    return {row["user_id"]: _grant(row) for row in rows}


def _grant(row: Record) -> RightsGrant:
    values = dict(row)
    values["roles"] = frozenset(map(Role, row["roles"]))
    values["rights"] = rights_of(row["rights"])
    return RightsGrant(**values)
