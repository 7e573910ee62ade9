"""The table of keys, in SQL.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.keys.key import USED_EVERY, HeldRights, Key, Mode, NewKey
from service.accounts.people.model import Role, User, rights_of
from service.accounts.people.store import USER_COLUMNS, user_from
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase

_KEY = "SELECT k.*, u.department_id FROM keys k JOIN users u ON u.id = k.user_id"
_IN_SCOPE = "k.id = :key_id AND (:scope::uuid IS NULL OR u.department_id = :scope)"


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
    key_id: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO keys (user_id, name, token_hash, created_by, created_at, expires_at, mode,
                          scopes, area_codes, rosters, networks, requests_per_minute, bootstrap,
                          replaces, activated_by, activated_at, overlap, held_roles, held_rights)
        VALUES (:user_id, :name, :token_hash, :created_by, :now, :expires_at, :mode,
                :scopes, :area_codes, :rosters, :networks, :requests_per_minute, :bootstrap,
                :replaces, :activated_by, :activated_at, :overlap, :held_roles, :held_rights)
        ON CONFLICT (token_hash) DO NOTHING
        RETURNING id
        """,
        user_id=key.user_id,
        name=key.name,
        token_hash=token_hash,
        created_by=key.created_by,
        now=now,
        expires_at=key.expires_at,
        mode=key.mode,
        scopes=_listed(key.scopes),
        area_codes=_listed(key.area_codes),
        rosters=_listed(key.rosters),
        networks=_listed(key.networks),
        requests_per_minute=key.requests_per_minute,
        bootstrap=key.bootstrap,
        replaces=renews.first_id if renews else None,
        activated_by=at_once.activated_by if at_once else None,
        activated_at=now if key.bootstrap or at_once else None,
        overlap=overlap,
        **_held_words(held),
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
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT k.*, u.department_id, d.requests_per_minute AS department_requests,
               EXISTS (SELECT FROM deputies p WHERE p.deputy_id = u.id AND p.ends_at > :now)
                   AS deputises, {USER_COLUMNS}
        FROM keys k JOIN users u ON u.id = k.user_id JOIN departments d ON d.id = u.department_id
        WHERE k.token_hash = :token_hash
        """,  # noqa: S608  # the columns are constants
        token_hash=token_hash,
        now=now,
    )
    if row is None:
        return None
    user = user_from(row)
    return FoundKey(_key(row), user, row["department_requests"], row["deputises"])


async def is_stored(conn: Connection, token_hash: bytes) -> bool:
    """Whether there is a key with this token, whatever became of it."""
    found: bool = await sql.fetchval(
        conn,
        "SELECT EXISTS (SELECT FROM keys WHERE token_hash = :token_hash)",
        token_hash=token_hash,
    )
    return found


async def get_key(conn: Connection, key_id: UUID, scope: UUID | None, *, lock: bool = False) -> Key:
    """One key.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    query = f"{_KEY} WHERE {_IN_SCOPE}" + " FOR UPDATE OF k" * lock
    row = await sql.fetchrow(conn, query, key_id=key_id, scope=scope)
    if row is None:
        raise NotFound(phrase("there is no key {key_id}", key_id=key_id))
    return _key(row)


async def list_keys(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Key]:
    """A page of keys."""
    rows = await sql.fetch(
        conn,
        f"""
        {_KEY}
        WHERE (:scope::uuid IS NULL OR u.department_id = :scope)
          AND (:before::uuid IS NULL OR k.id < :before)
        ORDER BY k.id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
    )
    return [_key(row) for row in rows]


async def touch_key(conn: Connection, key: Key, now: datetime) -> None:
    """Write down that a key is used, at most once a minute."""
    if key.last_used_at is None or key.last_used_at <= now - USED_EVERY:
        await sql.execute(
            conn,
            """
            UPDATE keys SET last_used_at = :now
            WHERE id = :key_id AND (last_used_at IS NULL OR last_used_at <= :before)
            """,
            key_id=key.id,
            now=now,
            before=now - USED_EVERY,
        )


async def activate_key(
    conn: Connection, key_id: UUID, user_id: UUID, held: HeldRights, now: datetime
) -> None:
    """Let a key work, with what its user has; the database refuses whoever made it."""
    await sql.execute(
        conn,
        """
        UPDATE keys SET activated_by = :user_id, activated_at = :now,
            held_roles = :held_roles, held_rights = :held_rights
        WHERE id = :key_id
        """,
        key_id=key_id,
        user_id=user_id,
        now=now,
        **_held_words(held),
    )


async def end_key(conn: Connection, key_id: UUID, expires_at: datetime) -> None:
    """Let a key expire, unless it does so earlier."""
    await sql.execute(
        conn,
        "UPDATE keys SET expires_at = least(expires_at, :expires_at) WHERE id = :key_id",
        key_id=key_id,
        expires_at=expires_at,
    )


async def end_renewed(conn: Connection, key: Key, expires_at: datetime) -> None:
    """Let all other tokens of a key's grant expire that work, unless they do so earlier."""
    await sql.execute(
        conn,
        """
        UPDATE keys SET expires_at = least(expires_at, :expires_at)
        WHERE coalesce(replaces, id) = :first_id AND id <> :key_id AND activated_at IS NOT NULL
        """,
        key_id=key.id,
        first_id=key.first_id,
        expires_at=expires_at,
    )


async def revoke_key(conn: Connection, key_id: UUID, scope: UUID | None, now: datetime) -> None:
    """Put a key out of service for good; one that is already stays as it is.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    await get_key(conn, key_id, scope, lock=True)
    await sql.execute(
        conn,
        "UPDATE keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :key_id",
        key_id=key_id,
        now=now,
    )


def _listed(some: Iterable[str] | None) -> list[str] | None:
    return None if some is None else list(some)


def _held_words(held: HeldRights | None) -> dict[str, Any]:
    return {
        "held_roles": sorted(held.roles) if held else None,
        "held_rights": sorted(right.word for right in held.rights) if held else None,
    }


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
