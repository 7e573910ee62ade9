"""The tables of sessions and of what people log in with, in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import User
from service.accounts.people.store import USERS, user_from
from service.errors import NotFound
from service.storage.postgres import Connection, Record, one

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=2)
USED_EVERY = timedelta(minutes=1)

FREE_ATTEMPTS = 5
"""So many logins of one name may go wrong before it is shut for a while."""
FIRST_LOCK, LONGEST_LOCK = timedelta(seconds=30), timedelta(minutes=30)
"""How long at first; doubled with each attempt that goes wrong, up to the longest."""


@dataclass(frozen=True, slots=True)
class FailureCounter:
    """What logins that go wrong are counted by. source: a keyed hash of it.

    free: so many may go wrong before it is shut. forgets: the count begins again after so long
    without one. user_id: whose login it is, if it is anybody's.
    """

    source: bytes
    free: int
    forgets: timedelta
    user_id: UUID | None = None


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


async def begin_attempt(
    conn: Connection, counter: FailureCounter, now: datetime
) -> datetime | None:
    """Count a login as gone wrong before it is looked at, so that many at once are counted, too.

    Returns until when it is shut; then nothing is counted.
    """
    counted = await conn.fetchval(
        """
        INSERT INTO login_failures AS f (source_hash, user_id, failures, failed_at)
        VALUES ($1, $2, 1, $3)
        ON CONFLICT (source_hash) DO UPDATE SET user_id = excluded.user_id, failed_at = $3,
            failures = CASE WHEN f.failed_at > $3 - $5::interval THEN f.failures ELSE 0 END + 1,
            locked_until = CASE WHEN f.failed_at > $3 - $5::interval AND f.failures + 1 >= $4
                THEN $3 + least($6::interval * 2 ^ least(f.failures + 1 - $4, 20), $7::interval) END
        WHERE f.locked_until IS NULL OR f.locked_until <= $3
        RETURNING true
        """,
        counter.source,
        counter.user_id,
        now,
        counter.free,
        counter.forgets,
        FIRST_LOCK,
        LONGEST_LOCK,
    )
    if counted:
        return None
    until: datetime | None = await conn.fetchval(
        "SELECT locked_until FROM login_failures WHERE source_hash = $1", counter.source
    )
    return until or now


async def forgive_attempt(conn: Connection, counter: FailureCounter) -> None:
    """Take back the counting of one attempt."""
    await conn.execute(
        """
        UPDATE login_failures SET failures = greatest(failures - 1, 0),
            locked_until = CASE WHEN failures - 1 >= $2 THEN locked_until END
        WHERE source_hash = $1
        """,
        counter.source,
        counter.free,
    )


async def end_attempts(conn: Connection, user_id: UUID) -> None:
    """A login went well: what went wrong of it before is forgotten."""
    await conn.execute("DELETE FROM login_failures WHERE user_id = $1", user_id)


async def find_credentials(conn: Connection, login: str) -> Credentials | None:
    """What somebody logs in with, if there is such a login."""
    row = await conn.fetchrow("SELECT * FROM users WHERE login = $1", login)
    return _credentials(row) if row else None


async def get_credentials(conn: Connection, user_id: UUID) -> Credentials:
    """What a user logs in with; locked to the end of the transaction."""
    row = await conn.fetchrow("SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id)
    return _credentials(one(row))


async def set_password(
    conn: Connection, user_id: UUID, password_hash: str, *, temporary: bool
) -> None:
    """Store a password, and open the account again; one that was given and waits is gone."""
    await conn.execute(
        """
        UPDATE users SET password_hash = $2, password_temporary = $3, given_hash = NULL
        WHERE id = $1
        """,
        user_id,
        password_hash,
        temporary,
    )
    await end_attempts(conn, user_id)


async def give_password(
    conn: Connection, user_id: UUID, password_hash: str, by: UUID, now: datetime
) -> None:
    """Store a password that waits for a second person, in place of any other that does."""
    await conn.execute(
        """
        UPDATE users SET given_hash = $2, given_by = $3, given_at = $4, given_confirmed_by = NULL
        WHERE id = $1
        """,
        user_id,
        password_hash,
        by,
        now,
    )


async def confirm_password(conn: Connection, user_id: UUID, by: UUID, since: datetime) -> bool:
    """Let a password that was given since then count; False: none was. The database refuses
    whoever gave it.
    """
    confirmed = await conn.fetchval(
        """
        UPDATE users SET password_hash = given_hash, password_temporary = true, given_hash = NULL,
            given_confirmed_by = $2
        WHERE id = $1 AND given_hash IS NOT NULL AND given_at > $3 RETURNING true
        """,
        user_id,
        by,
        since,
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
        await conn.execute(
            "UPDATE given_passwords SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL",
            user_id,
            now,
        )
    if given_by is not None and given_by != user_id:
        await conn.execute(
            "INSERT INTO given_passwords (user_id, given_by, counted_at) VALUES ($1, $2, $3)",
            user_id,
            given_by,
            now,
        )


async def set_totp(conn: Connection, user_id: UUID, cipher: bytes | None) -> None:
    """Store a secret that is yet to be confirmed, or none; recovery codes go with the old one."""
    await conn.execute(
        """
        UPDATE users SET totp_cipher = $2, totp_confirmed_at = NULL, totp_step = 0 WHERE id = $1
        """,
        user_id,
        cipher,
    )
    await conn.execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)


async def confirm_totp(
    conn: Connection, user_id: UUID, step: int, codes: Sequence[bytes], now: datetime
) -> None:
    """From now on a code is asked for; `codes` are the hashes of those for recovery."""
    await conn.execute(
        "UPDATE users SET totp_confirmed_at = $2, totp_step = $3 WHERE id = $1", user_id, now, step
    )
    await conn.execute(
        "INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
        user_id,
        codes,
    )


async def take_step(conn: Connection, user_id: UUID, step: int) -> bool:
    """Use up a code; False: it, or a later one, was used meanwhile."""
    taken = await conn.fetchval(
        "UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step < $2 RETURNING true",
        user_id,
        step,
    )
    return bool(taken)


async def take_recovery_code(
    conn: Connection, user_id: UUID, code_hash: bytes, now: datetime
) -> bool:
    """Use up a recovery code; False: there is none like it, or it was used before."""
    taken = await conn.fetchval(
        """
        UPDATE recovery_codes SET used_at = $3
        WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL RETURNING true
        """,
        user_id,
        code_hash,
        now,
    )
    return bool(taken)


async def insert_session(
    conn: Connection, user_id: UUID, token_hash: bytes, *, address: str, agent: str, now: datetime
) -> UserSession:
    """Begin a session."""
    row = await conn.fetchrow(
        """
        INSERT INTO sessions (user_id, token_hash, address, agent, created_at, last_used_at,
                              expires_at)
        VALUES ($1, $2, $3, $4, $5, $5, $6) RETURNING *
        """,
        user_id,
        token_hash,
        address,
        agent,
        now,
        now + LIFETIME,
    )
    return _session(one(row))


async def find_session(
    conn: Connection, token_hash: bytes, now: datetime
) -> tuple[UUID, User, bool, int | None] | None:
    """A session that holds now: its id, its user, whether the password is good for nothing but to
    choose another, and the department's requests a minute. It is written down as used.
    """
    row = await conn.fetchrow(
        """
        SELECT s.id, s.user_id, s.last_used_at, u.password_temporary, d.requests_per_minute
        FROM sessions s JOIN users u ON u.id = s.user_id
        JOIN departments d ON d.id = u.department_id
        WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2
          AND s.last_used_at > $3 AND u.disabled_at IS NULL
        """,
        token_hash,
        now,
        now - IDLE,
    )
    if row is None:
        return None
    if row["last_used_at"] <= now - USED_EVERY:
        await conn.execute("UPDATE sessions SET last_used_at = $2 WHERE id = $1", row["id"], now)
    user = one(await conn.fetchrow(f"{USERS} WHERE u.id = $1", row["user_id"]))
    return row["id"], user_from(user), row["password_temporary"], row["requests_per_minute"]


async def list_sessions(
    conn: Connection, user_id: UUID, before: UUID | None, limit: int, now: datetime
) -> list[UserSession]:
    """A page of a user's sessions that hold, from new to old."""
    rows = await conn.fetch(
        """
        SELECT * FROM sessions
        WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) AND revoked_at IS NULL
          AND expires_at > $4 AND last_used_at > $5
        ORDER BY id DESC LIMIT $3
        """,
        user_id,
        before,
        limit,
        now,
        now - IDLE,
    )
    return [_session(row) for row in rows]


async def revoke_session(
    conn: Connection, session_id: UUID, users: UUID | None, scope: UUID | None, now: datetime
) -> None:
    """End a session, of one user or of any in the scope.

    Raises:
        NotFound: there is none of this id that may be ended.
    """
    found = await conn.fetchval(
        """
        UPDATE sessions s SET revoked_at = coalesce(s.revoked_at, $4)
        FROM users u WHERE s.id = $1 AND u.id = s.user_id
          AND ($2::uuid IS NULL OR u.id = $2) AND ($3::uuid IS NULL OR u.department_id = $3)
        RETURNING true
        """,
        session_id,
        users,
        scope,
        now,
    )
    if not found:
        raise NotFound(f"there is no session {session_id}")


async def revoke_sessions(
    conn: Connection, user_id: UUID, now: datetime, *, but: UUID | None = None
) -> None:
    """End all sessions of a user, but one."""
    await conn.execute(
        """
        UPDATE sessions SET revoked_at = $2
        WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $3
        """,
        user_id,
        now,
        but,
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
