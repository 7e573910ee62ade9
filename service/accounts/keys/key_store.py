"""The table of keys, in SQL.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.keys.key import USED_EVERY, HeldRights, Key, Mode, NewKey
from service.accounts.people.model import Role, User, rights_of
from service.accounts.people.store import USER_COLUMNS, user_from
from service.errors import NotFound
from service.storage.postgres import Connection, Record

_KEY = "SELECT k.*, u.department_id FROM keys k JOIN users u ON u.id = k.user_id"
_IN_SCOPE = "k.id = $1 AND ($2::uuid IS NULL OR u.department_id = $2)"


async def insert_key(
    conn: Connection,
    key: NewKey,
    token_hash: bytes,
    now: datetime,
    renews: Key | None = None,
    overlap: timedelta | None = None,
    held: HeldRights | None = None,
) -> UUID | None:
    """Store a key; None if its token is stored already.

    It waits for a second person, unless it is one of the first accounts, or takes the place of a
    key that has had one. overlap: it waits, and the old ones work so long beside it then.
    held: what the user of one of the first accounts has.
    """
    at_once = renews if overlap is None else None
    held = at_once.held if at_once else held
    key_id: UUID | None = await conn.fetchval(
        """
        INSERT INTO keys (user_id, name, token_hash, created_by, created_at, expires_at, mode,
                          scopes, area_codes, rosters, networks, requests_per_minute, bootstrap,
                          replaces, activated_by, activated_at, overlap, held_roles, held_rights)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $19)
        ON CONFLICT (token_hash) DO NOTHING
        RETURNING id
        """,
        key.user_id,
        key.name,
        token_hash,
        key.created_by,
        now,
        key.expires_at,
        key.mode,
        *(
            None if some is None else list(some)
            for some in (key.scopes, key.area_codes, key.rosters, key.networks)
        ),
        key.requests_per_minute,
        key.bootstrap,
        renews.first_id if renews else None,
        at_once.activated_by if at_once else None,
        now if key.bootstrap or at_once else None,
        overlap,
        *_held_words(held),
    )
    return key_id


class FoundKey(NamedTuple):
    """A key, the user for whom it acts, the requests a minute of the department, and whether the
    user may stand in for somebody (see `deputies_store.absent_of`).
    """

    key: Key
    user: User
    department_requests: int | None
    deputises: bool


async def find_key(conn: Connection, token_hash: bytes, now: datetime) -> FoundKey | None:
    """The key of a token, in one statement: every request begins with it."""
    row = await conn.fetchrow(
        f"""
        SELECT k.*, u.department_id, d.requests_per_minute AS department_requests,
               EXISTS (SELECT FROM deputies p WHERE p.deputy_id = u.id AND p.ends_at > $2)
                   AS deputises, {USER_COLUMNS}
        FROM keys k JOIN users u ON u.id = k.user_id JOIN departments d ON d.id = u.department_id
        WHERE k.token_hash = $1
        """,  # noqa: S608  # the columns are constants
        token_hash,
        now,
    )
    if row is None:
        return None
    user = user_from(row)
    return FoundKey(_key(row), user, row["department_requests"], row["deputises"])


async def is_stored(conn: Connection, token_hash: bytes) -> bool:
    """Whether there is a key with this token, whatever became of it."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM keys WHERE token_hash = $1)", token_hash
    )
    return found


async def get_key(conn: Connection, key_id: UUID, scope: UUID | None, *, lock: bool = False) -> Key:
    """One key.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await conn.fetchrow(
        f"{_KEY} WHERE {_IN_SCOPE}" + " FOR UPDATE OF k" * lock, key_id, scope
    )
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    return _key(row)


async def list_keys(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Key]:
    """A page of keys."""
    rows = await conn.fetch(
        f"""
        {_KEY}
        WHERE ($1::uuid IS NULL OR u.department_id = $1) AND ($2::uuid IS NULL OR k.id < $2)
        ORDER BY k.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [_key(row) for row in rows]


async def touch_key(conn: Connection, key: Key, now: datetime) -> None:
    """Write down that a key is used, at most once a minute."""
    if key.last_used_at is None or key.last_used_at <= now - USED_EVERY:
        await conn.execute(
            """
            UPDATE keys SET last_used_at = $2
            WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)
            """,
            key.id,
            now,
            now - USED_EVERY,
        )


async def activate_key(
    conn: Connection, key_id: UUID, user_id: UUID, held: HeldRights, now: datetime
) -> None:
    """Let a key work, with what its user has; the database refuses whoever made it."""
    await conn.execute(
        """
        UPDATE keys SET activated_by = $2, activated_at = $3, held_roles = $4, held_rights = $5
        WHERE id = $1
        """,
        key_id,
        user_id,
        now,
        *_held_words(held),
    )


async def end_key(conn: Connection, key_id: UUID, expires_at: datetime) -> None:
    """Let a key expire, unless it does so earlier."""
    await conn.execute(
        "UPDATE keys SET expires_at = least(expires_at, $2) WHERE id = $1", key_id, expires_at
    )


async def end_renewed(conn: Connection, key: Key, expires_at: datetime) -> None:
    """Let all other tokens of a key's grant expire that work, unless they do so earlier."""
    await conn.execute(
        """
        UPDATE keys SET expires_at = least(expires_at, $3)
        WHERE coalesce(replaces, id) = $2 AND id <> $1 AND activated_at IS NOT NULL
        """,
        key.id,
        key.first_id,
        expires_at,
    )


async def revoke_key(conn: Connection, key_id: UUID, scope: UUID | None, now: datetime) -> None:
    """Put a key out of service for good; one that is already stays as it is.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    await get_key(conn, key_id, scope, lock=True)
    await conn.execute(
        "UPDATE keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1", key_id, now
    )


def _held_words(held: HeldRights | None) -> tuple[list[str] | None, list[str] | None]:
    if held is None:
        return None, None
    return sorted(held.roles), sorted(right.word for right in held.rights)


def _held(row: Record) -> HeldRights | None:
    if row["held_roles"] is None:
        return None
    return HeldRights(frozenset(map(Role, row["held_roles"])), rights_of(row["held_rights"]))


def _key(row: Record) -> Key:
    def some(name: str) -> tuple[str, ...] | None:
        return None if row[name] is None else tuple(row[name])

    return Key(
        id=row["id"],
        department_id=row["department_id"],
        grant=NewKey(
            user_id=row["user_id"],
            name=row["name"],
            created_by=row["created_by"],
            expires_at=row["expires_at"],
            mode=Mode(row["mode"]),
            scopes=some("scopes"),
            area_codes=some("area_codes"),
            rosters=some("rosters"),
            networks=some("networks"),
            requests_per_minute=row["requests_per_minute"],
            bootstrap=row["bootstrap"],
        ),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        replaces=row["replaces"],
        activated_by=row["activated_by"],
        activated_at=row["activated_at"],
        overlap=row["overlap"],
        held=_held(row),
    )
