"""The tables of sessions and of what people log in with, in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.login.attempt_store import end_attempts
from service.accounts.people.model import User
from service.accounts.people.store import USERS, user_from
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record, one
from service.words.phrase import phrase

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=2)
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user logs in with. totp_step: the last step whose code was taken."""

    user_id: UUID
    department_id: UUID
    password_hash: str | None
    temporary: bool
    totp_cipher: bytes | None
    totp_confirmed: bool
    totp_step: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class UserSession:
    """Somebody who has logged in."""

    id: UUID
    user_id: UUID
    address: str
    agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


async def find_credentials(conn: Connection, login: str) -> Credentials | None:
    """What somebody logs in with, if there is such a login."""
    row = await sql.fetchrow(conn, "SELECT * FROM users WHERE login = :login", login=login)
    return _credentials(row) if row else None


async def get_credentials(conn: Connection, user_id: UUID) -> Credentials:
    """What a user logs in with; locked to the end of the transaction."""
    row = await sql.fetchrow(
        conn, "SELECT * FROM users WHERE id = :user_id FOR NO KEY UPDATE", user_id=user_id
    )
    return _credentials(one(row))


async def set_password(
    conn: Connection, user_id: UUID, password_hash: str, *, temporary: bool
) -> None:
    """Store a password, and open the account again; one that was given and waits is gone."""
    await sql.execute(
        conn,
        """
        UPDATE users SET password_hash = :password_hash, password_temporary = :temporary,
            given_hash = NULL
        WHERE id = :user_id
        """,
        user_id=user_id,
        password_hash=password_hash,
        temporary=temporary,
    )
    await end_attempts(conn, user_id)


async def give_password(
    conn: Connection, user_id: UUID, password_hash: str, by: UUID, now: datetime
) -> None:
    """Store a password that waits for a second person, in place of any other that does."""
    await sql.execute(
        conn,
        """
        UPDATE users SET given_hash = :password_hash, given_by = :by, given_at = :now,
            given_confirmed_by = NULL
        WHERE id = :user_id
        """,
        user_id=user_id,
        password_hash=password_hash,
        by=by,
        now=now,
    )


async def confirm_password(conn: Connection, user_id: UUID, by: UUID, since: datetime) -> bool:
    """Let a password that was given since then count; False: none was. The database refuses
    whoever gave it.
    """
    confirmed = await sql.fetchval(
        conn,
        """
        UPDATE users SET password_hash = given_hash, password_temporary = true, given_hash = NULL,
            given_confirmed_by = :by
        WHERE id = :user_id AND given_hash IS NOT NULL AND given_at > :since RETURNING true
        """,
        user_id=user_id,
        by=by,
        since=since,
    )
    if confirmed:
        await end_attempts(conn, user_id)
    return bool(confirmed)


async def record_giver(
    conn: Connection, user_id: UUID, given_by: UUID | None, now: datetime, *, ends_others: bool
) -> None:
    """Write down who knows the password that counts from now on, as it may have been they who chose
    the next one. given_by: None: nobody with an account. ends_others: whoever gave one before does
    not know this one.
    """
    if ends_others:
        await sql.execute(
            conn,
            """
            UPDATE given_passwords SET ended_at = :now WHERE user_id = :user_id AND ended_at IS NULL
            """,
            user_id=user_id,
            now=now,
        )
    if given_by is not None and given_by != user_id:
        await sql.execute(
            conn,
            """
            INSERT INTO given_passwords (user_id, given_by, counted_at)
            VALUES (:user_id, :given_by, :now)
            """,
            user_id=user_id,
            given_by=given_by,
            now=now,
        )


async def set_totp(conn: Connection, user_id: UUID, cipher: bytes | None) -> None:
    """Store a secret that is yet to be confirmed, or none; recovery codes go with the old one."""
    await sql.execute(
        conn,
        """
        UPDATE users SET totp_cipher = :cipher, totp_confirmed_at = NULL, totp_step = 0
        WHERE id = :user_id
        """,
        user_id=user_id,
        cipher=cipher,
    )
    await sql.execute(conn, "DELETE FROM recovery_codes WHERE user_id = :user_id", user_id=user_id)


async def confirm_totp(
    conn: Connection, user_id: UUID, step: int, codes: Sequence[bytes], now: datetime
) -> None:
    """From now on a code is asked for; `codes` are the hashes of those for recovery."""
    await sql.execute(
        conn,
        "UPDATE users SET totp_confirmed_at = :now, totp_step = :step WHERE id = :user_id",
        user_id=user_id,
        now=now,
        step=step,
    )
    await sql.execute(
        conn,
        "INSERT INTO recovery_codes (user_id, code_hash) SELECT :user_id, unnest(:codes::bytea[])",
        user_id=user_id,
        codes=codes,
    )


async def take_step(conn: Connection, user_id: UUID, step: int) -> bool:
    """Use up a code; False: it, or a later one, was used meanwhile."""
    taken = await sql.fetchval(
        conn,
        """
        UPDATE users SET totp_step = :step WHERE id = :user_id AND totp_step < :step RETURNING true
        """,
        user_id=user_id,
        step=step,
    )
    return bool(taken)


async def take_recovery_code(
    conn: Connection, user_id: UUID, code_hash: bytes, now: datetime
) -> bool:
    """Use up a recovery code; False: there is none like it, or it was used before."""
    taken = await sql.fetchval(
        conn,
        """
        UPDATE recovery_codes SET used_at = :now
        WHERE user_id = :user_id AND code_hash = :code_hash AND used_at IS NULL RETURNING true
        """,
        user_id=user_id,
        code_hash=code_hash,
        now=now,
    )
    return bool(taken)


async def insert_session(
    conn: Connection, user_id: UUID, token_hash: bytes, *, address: str, agent: str, now: datetime
) -> UserSession:
    """Begin a session."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO sessions (user_id, token_hash, address, agent, created_at, last_used_at,
                              expires_at)
        VALUES (:user_id, :token_hash, :address, :agent, :now, :now, :expires_at) RETURNING *
        """,
        user_id=user_id,
        token_hash=token_hash,
        address=address,
        agent=agent,
        now=now,
        expires_at=now + LIFETIME,
    )
    return _session(one(row))


async def find_session(
    conn: Connection, token_hash: bytes, now: datetime, *, used: bool = True
) -> tuple[UUID, User, bool, int | None] | None:
    """A session that holds now: its id, its user, whether the password is good for nothing but to
    choose another, and the department's requests a minute. It is written down as used, if it is.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT s.id, s.user_id, s.last_used_at, u.password_temporary, d.requests_per_minute
        FROM sessions s JOIN users u ON u.id = s.user_id
        JOIN departments d ON d.id = u.department_id
        WHERE s.token_hash = :token_hash AND s.revoked_at IS NULL AND s.expires_at > :now
          AND s.last_used_at > :since AND u.disabled_at IS NULL
        """,
        token_hash=token_hash,
        now=now,
        since=now - IDLE,
    )
    if row is None:
        return None
    if used and row["last_used_at"] <= now - USED_EVERY:
        await sql.execute(
            conn,
            "UPDATE sessions SET last_used_at = :now WHERE id = :session_id",
            session_id=row["id"],
            now=now,
        )
    user = one(await sql.fetchrow(conn, f"{USERS} WHERE u.id = :user_id", user_id=row["user_id"]))
    return row["id"], user_from(user), row["password_temporary"], row["requests_per_minute"]


async def user_of_session(conn: Connection, token_hash: bytes) -> UUID | None:
    """Whose session it is or was, whether it holds or not."""
    found: UUID | None = await sql.fetchval(
        conn, "SELECT user_id FROM sessions WHERE token_hash = :token_hash", token_hash=token_hash
    )
    return found


async def list_sessions(
    conn: Connection, user_id: UUID, before: UUID | None, limit: int, now: datetime
) -> list[UserSession]:
    """A page of a user's sessions that hold, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT * FROM sessions
        WHERE user_id = :user_id AND (:before::uuid IS NULL OR id < :before) AND revoked_at IS NULL
          AND expires_at > :now AND last_used_at > :since
        ORDER BY id DESC LIMIT :limit
        """,
        user_id=user_id,
        before=before,
        limit=limit,
        now=now,
        since=now - IDLE,
    )
    return [_session(row) for row in rows]


async def revoke_session(
    conn: Connection, session_id: UUID, users: UUID | None, scope: UUID | None, now: datetime
) -> None:
    """End a session, of one user or of any in the scope.

    Raises:
        NotFound: there is none of this id that may be ended.
    """
    found = await sql.fetchval(
        conn,
        """
        UPDATE sessions s SET revoked_at = coalesce(s.revoked_at, :now)
        FROM users u WHERE s.id = :session_id AND u.id = s.user_id
          AND (:user_id::uuid IS NULL OR u.id = :user_id)
          AND (:scope::uuid IS NULL OR u.department_id = :scope)
        RETURNING true
        """,
        session_id=session_id,
        user_id=users,
        scope=scope,
        now=now,
    )
    if not found:
        raise NotFound(phrase("there is no session {session_id}", session_id=session_id))


async def revoke_sessions(
    conn: Connection, user_id: UUID, now: datetime, *, but: UUID | None = None
) -> None:
    """End all sessions of a user, but one."""
    await sql.execute(
        conn,
        """
        UPDATE sessions SET revoked_at = :now
        WHERE user_id = :user_id AND revoked_at IS NULL AND id IS DISTINCT FROM :but
        """,
        user_id=user_id,
        now=now,
        but=but,
    )


def _credentials(row: Record) -> Credentials:
    return Credentials(
        user_id=row["id"],
        department_id=row["department_id"],
        password_hash=row["password_hash"],
        temporary=row["password_temporary"],
        totp_cipher=row["totp_cipher"],
        totp_confirmed=row["totp_confirmed_at"] is not None,
        totp_step=row["totp_step"],
        disabled=row["disabled_at"] is not None,
    )


def _session(row: Record) -> UserSession:
    return UserSession(
        row["id"],
        row["user_id"],
        row["address"],
        row["agent"],
        row["created_at"],
        row["last_used_at"],
        row["expires_at"],
        row["revoked_at"],
    )
