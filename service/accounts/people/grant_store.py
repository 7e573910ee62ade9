"""The table of grants, in SQL: what users were given, by whom, and what waits to be confirmed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import Right, Role, rights_of
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record, one
from service.words.phrase import phrase

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
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO grants (user_id, roles, rights, enables, narrows, proposed_by, proposed_at)
        VALUES (:user_id, :roles, :rights, :enables, :narrows, :by, :now) RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        user_id=new.user_id,
        roles=sorted(new.roles),
        rights=sorted(right.word for right in new.rights),
        enables=new.enables,
        narrows=new.narrows,
        by=by,
        now=now,
    )
    return _grant(one(row))


async def replace_waiting(conn: Connection, user_id: UUID, now: datetime) -> None:
    """Put aside what waits to be confirmed of a user."""
    await sql.execute(
        conn,
        """
        UPDATE grants SET replaced_at = :now
        WHERE user_id = :user_id AND confirmed_at IS NULL AND replaced_at IS NULL AND NOT narrows
        """,
        user_id=user_id,
        now=now,
    )


async def confirm_grant(conn: Connection, grant_id: UUID, by: UUID, now: datetime) -> None:
    """Let a grant count; the database refuses whoever proposed it, and whoever gets it."""
    await sql.execute(
        conn,
        "UPDATE grants SET confirmed_by = :by, confirmed_at = :now WHERE id = :grant_id",
        grant_id=grant_id,
        by=by,
        now=now,
    )


async def get_grant(conn: Connection, user_id: UUID, grant_id: UUID) -> RightsGrant:
    """One grant.

    Raises:
        NotFound: the user has none of this id.
    """
    row = await sql.fetchrow(
        conn,
        f"SELECT {_COLUMNS} FROM grants WHERE id = :grant_id AND user_id = :user_id",  # noqa: S608
        grant_id=grant_id,
        user_id=user_id,
    )
    if row is None:
        raise NotFound(phrase("the user has no grant {grant_id}", grant_id=grant_id))
    return _grant(row)


async def list_grants(
    conn: Connection, user_id: UUID, before: UUID | None, limit: int
) -> list[RightsGrant]:
    """A page of a user's grants, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM grants
        WHERE user_id = :user_id AND (:before::uuid IS NULL OR id < :before) ORDER BY id DESC
        LIMIT :limit
        """,  # noqa: S608  # the columns stand above
        user_id=user_id,
        before=before,
        limit=limit,
    )
    return [_grant(row) for row in rows]


async def waiting_grants(
    conn: Connection, users: Sequence[UUID], since: datetime
) -> dict[UUID, RightsGrant]:
    """What waits to be confirmed of these users, if it was proposed since then."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM grants
        WHERE user_id = ANY (:users) AND confirmed_at IS NULL AND replaced_at IS NULL
          AND NOT narrows
          AND proposed_at > :since
        """,  # noqa: S608  # the columns stand above
        users=users,
        since=since,
    )
    return {row["user_id"]: _grant(row) for row in rows}


def _grant(row: Record) -> RightsGrant:
    values = dict(row)
    values["roles"] = frozenset(map(Role, row["roles"]))
    values["rights"] = rights_of(row["rights"])
    return RightsGrant(**values)
