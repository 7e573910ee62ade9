"""The tables of departments, users and keys, in SQL.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from datetime import datetime
from uuid import UUID

from service.accounts.model import Department, Key, NewDepartment, NewKey, NewUser, Role, User
from service.errors import Conflict, NotFound
from service.storage.postgres import Connection, Record, UniqueViolation, affected, one

_USERS = """
    SELECT u.*, d.kind AS department_kind FROM users u JOIN departments d ON d.id = u.department_id
"""


async def insert_department(conn: Connection, new: NewDepartment, now: datetime) -> Department:
    """Make a department.

    Raises:
        Conflict: the name is taken.
    """
    try:
        row = await conn.fetchrow(
            """
            INSERT INTO departments (name, kind, signature, weight, created_at)
            VALUES ($1, $2, $3, $4, $5) RETURNING *
            """,
            new.name,
            new.kind,
            new.signature,
            new.weight,
            now,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a department named {new.name} already") from error
    return _department(one(row))


async def find_department(conn: Connection, name: str) -> Department | None:
    """The department of this name."""
    row = await conn.fetchrow("SELECT * FROM departments WHERE name = $1", name)
    return _department(row) if row else None


async def get_department(conn: Connection, department_id: UUID, scope: UUID | None) -> Department:
    """One department.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await conn.fetchrow(
        """
        SELECT * FROM departments
        WHERE id = $1 AND ($2::uuid IS NULL OR id = $2)
        """,
        department_id,
        scope,
    )
    if row is None:
        raise NotFound(f"there is no department {department_id}")
    return _department(row)


async def set_weight(conn: Connection, department_id: UUID, weight: int) -> Department:
    """Change how much a department counts when a channel is shared; it holds within a second.

    Raises:
        NotFound: there is none of this id.
    """
    row = await conn.fetchrow(
        "UPDATE departments SET weight = $2 WHERE id = $1 RETURNING *", department_id, weight
    )
    if row is None:
        raise NotFound(f"there is no department {department_id}")
    return _department(row)


async def list_departments(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Department]:
    """A page of departments."""
    rows = await conn.fetch(
        """
        SELECT * FROM departments
        WHERE ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [_department(row) for row in rows]


async def insert_user(conn: Connection, new: NewUser) -> User:
    """Make a user.

    Raises:
        Conflict: the login is taken.
    """
    try:
        user_id = await conn.fetchval(
            """
            INSERT INTO users (department_id, login, name, roles)
            VALUES ($1, $2, $3, $4) RETURNING id
            """,
            new.department_id,
            new.login,
            new.name,
            sorted(new.roles),
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a user with the login {new.login} already") from error
    return await get_user(conn, user_id, None)


async def find_user(conn: Connection, login: str) -> User | None:
    """The user with this login."""
    row = await conn.fetchrow(f"{_USERS} WHERE u.login = $1", login)
    return _user(row) if row else None


async def get_user(conn: Connection, user_id: UUID, scope: UUID | None) -> User:
    """One user.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await conn.fetchrow(
        f"{_USERS} WHERE u.id = $1 AND ($2::uuid IS NULL OR u.department_id = $2)",
        user_id,
        scope,
    )
    if row is None:
        raise NotFound(f"there is no user {user_id}")
    return _user(row)


async def list_users(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[User]:
    """A page of users."""
    rows = await conn.fetch(
        f"""
        {_USERS}
        WHERE ($1::uuid IS NULL OR u.department_id = $1) AND ($2::uuid IS NULL OR u.id < $2)
        ORDER BY u.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [_user(row) for row in rows]


async def insert_key(conn: Connection, key: NewKey, token_hash: bytes, now: datetime) -> Key | None:
    """Store a key; None if its token is stored already."""
    row = await conn.fetchrow(
        """
        INSERT INTO keys AS k (user_id, name, token_hash, created_by, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (token_hash) DO NOTHING
        RETURNING k.*
        """,
        key.user_id,
        key.name,
        token_hash,
        key.created_by,
        now,
        key.expires_at,
    )
    return _key(row) if row else None


async def find_key_user(conn: Connection, token_hash: bytes, now: datetime) -> User | None:
    """The user for whom a token acts, unless the key or the user is out of service."""
    row = await conn.fetchrow(
        f"""
        {_USERS} JOIN keys k ON k.user_id = u.id
        WHERE k.token_hash = $1 AND k.revoked_at IS NULL AND u.disabled_at IS NULL
          AND (k.expires_at IS NULL OR k.expires_at > $2)
        """,
        token_hash,
        now,
    )
    return _user(row) if row else None


async def list_keys(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Key]:
    """A page of keys."""
    rows = await conn.fetch(
        """
        SELECT k.* FROM keys k JOIN users u ON u.id = k.user_id
        WHERE ($1::uuid IS NULL OR u.department_id = $1) AND ($2::uuid IS NULL OR k.id < $2)
        ORDER BY k.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [_key(row) for row in rows]


async def revoke_key(conn: Connection, key_id: UUID, scope: UUID | None, now: datetime) -> None:
    """Put a key out of service for good; one that is already stays as it is.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    status = await conn.execute(
        """
        UPDATE keys k SET revoked_at = coalesce(k.revoked_at, $3)
        FROM users u
        WHERE k.id = $1 AND u.id = k.user_id AND ($2::uuid IS NULL OR u.department_id = $2)
        """,
        key_id,
        scope,
        now,
    )
    if not affected(status):
        raise NotFound(f"there is no key {key_id}")


def _user(row: Record) -> User:
    return User(
        id=row["id"],
        department_id=row["department_id"],
        department_kind=row["department_kind"],
        login=row["login"],
        name=row["name"],
        roles=frozenset(map(Role, row["roles"])),
        disabled_at=row["disabled_at"],
    )


def _department(row: Record) -> Department:
    return Department(
        row["id"],
        row["name"],
        row["kind"],
        row["signature"],
        row["weight"],
        row["direct_send_limit"],
        row["created_at"],
    )


def _key(row: Record) -> Key:
    return Key(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
