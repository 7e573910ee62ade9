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
from service.storage import locks, sql
from service.storage.postgres import Connection, Record, UniqueViolation
from service.words.phrase import phrase

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
            user_id = await sql.fetchval(
                conn,
                """
                INSERT INTO users (department_id, login, name, roles, rights, bootstrap)
                VALUES (:department_id, :login, :name, :roles, :rights, :bootstrap) RETURNING id
                """,
                department_id=new.department_id,
                login=new.login,
                name=new.name,
                roles=sorted(new.roles) if bootstrap else [],
                rights=sorted(right.word for right in new.rights) if bootstrap else [],
                bootstrap=bootstrap,
            )
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a user with the login {login} already", login=new.login)
        ) from error
    return await get_user(conn, user_id, None)


async def update_user(conn: Connection, user: User, grant_id: UUID | None = None) -> None:
    """Change a user's name, roles, rights, and whether the user is out of service.

    grant_id: by which grant; None: the user gains nothing. The database refuses any other gain.
    """
    await sql.execute(
        conn,
        """
        UPDATE users SET name = :name, roles = :roles, rights = :rights, disabled_at = :disabled_at,
            grant_id = coalesce(:grant_id, grant_id)
        WHERE id = :user_id
        """,
        user_id=user.id,
        name=user.name,
        roles=sorted(user.roles),
        rights=sorted(right.word for right in user.rights),
        disabled_at=user.disabled_at,
        grant_id=grant_id,
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
    rows = await sql.fetch(
        conn,
        """
        SELECT u.id, u.password_hash IS NOT NULL OR EXISTS (
            SELECT FROM keys k WHERE k.user_id = u.id AND k.mode = 'live'
              AND k.activated_at IS NOT NULL AND k.revoked_at IS NULL
              AND (k.expires_at IS NULL OR k.expires_at > :now)
              AND (k.scopes IS NULL OR :word = ANY (k.scopes))
              AND 'admin' = ANY (k.held_roles)) AS able
        FROM users u JOIN departments d ON d.id = u.department_id
        WHERE d.kind = 'county' AND 'admin' = ANY (u.roles) AND u.disabled_at IS NULL
        """,
        now=now,
        word=Right.ACCOUNTS.word,
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
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM unnest(:users::uuid[]) AS a (id), unnest(:users::uuid[]) AS b (id)
            WHERE a.id < b.id AND NOT share_a_person(ARRAY[a.id], ARRAY[b.id], :at))
        """,
        users=list(users),
        at=at,
    )
    return found


async def lock_logins(conn: Connection) -> list[str]:
    """All logins; nobody else makes another one meanwhile."""
    await locks.lock_logins(conn)
    return [row["login"] for row in await conn.fetch("SELECT login FROM users")]


async def find_user(conn: Connection, login: str) -> User | None:
    """The user with this login."""
    row = await sql.fetchrow(conn, f"{USERS} WHERE u.login = :login", login=login)
    return user_from(row) if row else None


async def get_user(
    conn: Connection, user_id: UUID, scope: UUID | None, *, lock: bool = False
) -> User:
    """One user.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await sql.fetchrow(
        conn,
        f"{USERS} WHERE u.id = :user_id AND (:scope::uuid IS NULL OR u.department_id = :scope)"
        + " FOR NO KEY UPDATE OF u" * lock,
        user_id=user_id,
        scope=scope,
    )
    if row is None:
        raise NotFound(phrase("there is no user {user_id}", user_id=user_id))
    return user_from(row)


async def find_shared_person(
    conn: Connection, seat: Sequence[UUID], hands: Sequence[UUID], at: datetime
) -> UUID | None:
    """The first of the hands behind whom may be the same person as behind somebody of the seat."""
    return await _find_hand(conn, "share_a_person", seat, hands, at)


async def find_who_can_act_as(
    conn: Connection, seat: Sequence[UUID], hands: Sequence[UUID], at: datetime
) -> UUID | None:
    """The first of the hands who could act as somebody of the seat, or the seat as that one."""
    return await _find_hand(conn, "can_act_as", seat, hands, at)


async def _find_hand(
    conn: Connection, decision: str, seat: Sequence[UUID], hands: Sequence[UUID], at: datetime
) -> UUID | None:
    found: UUID | None = await sql.fetchval(
        conn,
        f"""
        SELECT hand FROM unnest(:hands::uuid[]) WITH ORDINALITY AS h (hand, place)
        WHERE {decision}(:seat, ARRAY[hand], :at) ORDER BY place LIMIT 1
        """,  # noqa: S608  # one of our functions
        seat=seat,
        hands=hands,
        at=at,
    )
    return found


async def list_holders(
    conn: Connection, users: Sequence[UUID], at: datetime
) -> dict[UUID, list[UUID]]:
    """Who counts as each of these users, beside the user."""
    rows = await sql.fetch(
        conn,
        """
        SELECT u.id, ARRAY(SELECT p FROM persons_behind(ARRAY[u.id], :at) AS p
                           WHERE p <> u.id ORDER BY p) AS holders
        FROM unnest(:users::uuid[]) AS u (id)
        """,
        users=users,
        at=at,
    )
    return {row["id"]: row["holders"] for row in rows}


async def list_users(
    conn: Connection,
    scope: UUID | None,
    before: UUID | None,
    limit: int,
    *,
    words: str = "",
    department_id: UUID | None = None,
    ids: Sequence[UUID] | None = None,
) -> list[User]:
    """A page of users. words: a part of the name or the login, in any case; "": whatever they are.
    department_id: only those of it; None: of all. ids: only these; None: all.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {USERS}
        WHERE (:scope::uuid IS NULL OR u.department_id = :scope)
          AND (:department_id::uuid IS NULL OR u.department_id = :department_id)
          AND (:ids::uuid[] IS NULL OR u.id = ANY(:ids))
          AND (:before::uuid IS NULL OR u.id < :before)
          AND strpos(lower(u.name || ' ' || u.login), lower(:words)) > 0
        ORDER BY u.id DESC LIMIT :limit
        """,
        scope=scope,
        department_id=department_id,
        ids=ids,
        before=before,
        words=words,
        limit=limit,
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
