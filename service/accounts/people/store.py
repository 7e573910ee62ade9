"""The table of users, in SQL.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import NewUser, Right, Role, User, rights_of
from service.errors import Conflict, NotFound
from service.storage import locks
from service.storage.postgres import Connection, Record, UniqueViolation

USER_COLUMNS = """
    u.id AS user_id, u.department_id AS user_department_id, d.kind AS user_department_kind,
    u.login AS user_login, u.name AS user_name, u.roles AS user_roles, u.rights AS user_rights,
    u.disabled_at AS user_disabled_at, u.given_by AS user_given_by, u.given_hash AS user_given_hash,
    CASE WHEN EXISTS (SELECT FROM departments c WHERE c.parent_id = u.department_id)
        THEN ARRAY(SELECT departments_below(u.department_id)) ELSE '{}' END AS user_below
"""
"""What makes a user (`user_from`), also beside what else a statement finds. Most departments have
none below, and are not asked for those below them."""
USERS = f"SELECT {USER_COLUMNS} FROM users u JOIN departments d ON d.id = u.department_id"  # noqa: S608  # a constant


async def insert_user(conn: Connection, new: NewUser, *, bootstrap: bool = False) -> User:
    """Make a user, with no roles and rights but by a grant.

    bootstrap: by whoever runs the machine, with the roles and rights at once.

    Raises:
        Conflict: the login is taken.
    """
    try:
        async with conn.transaction():
            user_id = await conn.fetchval(
                """
                INSERT INTO users (department_id, login, name, roles, rights, bootstrap)
                VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
                """,
                new.department_id,
                new.login,
                new.name,
                sorted(new.roles) if bootstrap else [],
                sorted(right.word for right in new.rights) if bootstrap else [],
                bootstrap,
            )
    except UniqueViolation as error:
        raise Conflict(f"there is a user with the login {new.login} already") from error
    return await get_user(conn, user_id, None)


async def update_user(conn: Connection, user: User, grant_id: UUID | None = None) -> None:
    """Change a user's name, roles, rights, and whether the user is out of service.

    grant_id: by which grant; None: the user gains nothing. The database refuses any other gain.
    """
    await conn.execute(
        """
        UPDATE users SET name = $2, roles = $3, rights = $4, disabled_at = $5,
            grant_id = coalesce($6, grant_id)
        WHERE id = $1
        """,
        user.id,
        user.name,
        sorted(user.roles),
        sorted(right.word for right in user.rights),
        user.disabled_at,
        grant_id,
    )


class Administrators(NamedTuple):
    """Those who run the county and are in service, and who of them can act: with a password, or a
    live key that may manage users.
    """

    all: frozenset[UUID]
    able: frozenset[UUID]


async def lock_administrators(conn: Connection, now: datetime) -> Administrators:
    """The administrators of the county. Nobody else changes who they are meanwhile."""
    await locks.lock_administrators(conn)
    rows = await conn.fetch(
        """
        SELECT u.id, u.password_hash IS NOT NULL OR EXISTS (
            SELECT FROM keys k WHERE k.user_id = u.id AND k.mode = 'live'
              AND k.activated_at IS NOT NULL AND k.revoked_at IS NULL
              AND (k.expires_at IS NULL OR k.expires_at > $1)
              AND (k.scopes IS NULL OR $2 = ANY (k.scopes))
              AND 'admin' = ANY (k.held_roles)) AS able
        FROM users u JOIN departments d ON d.id = u.department_id
        WHERE d.kind = 'county' AND 'admin' = ANY (u.roles) AND u.disabled_at IS NULL
        """,
        now,
        Right.ACCOUNTS.word,
    )
    return Administrators(
        frozenset(row["id"] for row in rows), frozenset(row["id"] for row in rows if row["able"])
    )


async def had_administrators(conn: Connection) -> bool:
    """Whether a county has an administrator, in service or not."""
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM users u JOIN departments d ON d.id = u.department_id
                       WHERE d.kind = 'county' AND 'admin' = ANY (u.roles))
        """
    )
    return found


async def are_two_persons(conn: Connection, users: Collection[UUID], at: datetime) -> bool:
    """Whether two of these users do not count as one person."""
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM unnest($1::uuid[]) AS a (id), unnest($1::uuid[]) AS b (id)
            WHERE a.id < b.id AND NOT share_a_person(ARRAY[a.id], ARRAY[b.id], $2))
        """,
        list(users),
        at,
    )
    return found


async def lock_logins(conn: Connection) -> list[str]:
    """All logins; nobody else makes another one meanwhile."""
    await locks.lock_logins(conn)
    return [row["login"] for row in await conn.fetch("SELECT login FROM users")]


async def find_user(conn: Connection, login: str) -> User | None:
    """The user with this login."""
    row = await conn.fetchrow(f"{USERS} WHERE u.login = $1", login)
    return user_from(row) if row else None


async def get_user(
    conn: Connection, user_id: UUID, scope: UUID | None, *, lock: bool = False
) -> User:
    """One user.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await conn.fetchrow(
        f"{USERS} WHERE u.id = $1 AND ($2::uuid IS NULL OR u.department_id = $2)"
        + " FOR NO KEY UPDATE OF u" * lock,
        user_id,
        scope,
    )
    if row is None:
        raise NotFound(f"there is no user {user_id}")
    return user_from(row)


async def find_shared_person(
    conn: Connection, seat: Sequence[UUID], hands: Sequence[UUID], at: datetime
) -> UUID | None:
    """The first of the hands behind whom may be the same person as behind somebody of the seat."""
    found: UUID | None = await conn.fetchval(
        """
        SELECT hand FROM unnest($2::uuid[]) WITH ORDINALITY AS h (hand, place)
        WHERE share_a_person($1, ARRAY[hand], $3) ORDER BY place LIMIT 1
        """,
        seat,
        hands,
        at,
    )
    return found


async def list_holders(
    conn: Connection, users: Sequence[UUID], at: datetime
) -> dict[UUID, list[UUID]]:
    """Who counts as each of these users, beside the user."""
    rows = await conn.fetch(
        """
        SELECT u.id, ARRAY(SELECT p FROM persons_behind(ARRAY[u.id], $2) AS p
                           WHERE p <> u.id ORDER BY p) AS holders
        FROM unnest($1::uuid[]) AS u (id)
        """,
        users,
        at,
    )
    return {row["id"]: row["holders"] for row in rows}


async def list_users(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[User]:
    """A page of users."""
    rows = await conn.fetch(
        f"""
        {USERS}
        WHERE ($1::uuid IS NULL OR u.department_id = $1) AND ($2::uuid IS NULL OR u.id < $2)
        ORDER BY u.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [user_from(row) for row in rows]


def user_from(row: Record) -> User:
    """The user of a row with USER_COLUMNS."""
    return User(
        id=row["user_id"],
        department_id=row["user_department_id"],
        department_kind=row["user_department_kind"],
        login=row["user_login"],
        name=row["user_name"],
        roles=frozenset(map(Role, row["user_roles"])),
        disabled_at=row["user_disabled_at"],
        rights=rights_of(row["user_rights"]),
        below=frozenset(row["user_below"]),
        password_from=row["user_given_by"] if row["user_given_hash"] is not None else None,
    )
