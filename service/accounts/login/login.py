"""Logging in: a password, then a code where the user has an authenticator, then a session.

An attempt is counted as gone wrong before it is looked at, and taken back when it went well: so a
thousand at once are no more than the first few. It is counted by the login, whether there is such a
user or not, and by the address: a stranger learns the same in both cases, and does not get far by
trying one password with many logins.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from service.accounts.audit.audit import AuditAct, Via
from service.accounts.audit.audit_store import insert_entry
from service.accounts.keys.keys import Caller, new_token, token_hash
from service.accounts.login import attempt_store as attempts
from service.accounts.login import session_store as sessions
from service.accounts.login.attempt_store import FailureCounter
from service.accounts.login.credentials import is_password, step_of_code
from service.accounts.login.session_store import Credentials, UserSession
from service.accounts.people.model import User
from service.crypto import Keyring
from service.errors import TooMany, Unauthenticated
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import phrase

PREFIX = "ts_"
FREE_BY_ADDRESS = 50
"""So many logins from one address may go wrong in a row, by people behind one router, too."""
_NAME_FORGETS, _ADDRESS_FORGETS = timedelta(days=1), timedelta(minutes=15)
_SITE_BITS = 64
"""Of an address of IPv6: what belongs to one customer, who may take any address in it."""
SECRET = "totp"  # noqa: S105  # the kind of field
RECOVERY = "recovery_code"


class LoginFailed(Unauthenticated):
    """Login, password or code are wrong; not which of them."""

    code = "login_failed"


class Locked(TooMany):
    """Too many attempts went wrong; `until` says when another is looked at."""

    code = "locked"

    def __init__(self, until: datetime, now: datetime) -> None:
        seconds = max(1, round((until - now).total_seconds()))
        super().__init__(
            phrase("too many logins went wrong; try again in {seconds} seconds", seconds=seconds),
            seconds,
        )


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What somebody types in. code: of the authenticator, or for recovery. via: where."""

    login: str
    password: str
    code: str | None
    address: str
    agent: str
    via: Via = "api"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has begun, and its token, which is shown this once."""

    session: UserSession
    token: str
    temporary: bool


async def log_in(pool: Pool, keyring: Keyring, attempt: LoginAttempt, now: datetime) -> Opened:
    """Begin a session.

    Raises:
        LoginFailed: with the code `totp_needed` if only the code of the authenticator is missing.
        Locked: too many attempts went wrong.
    """
    address = by_address(keyring, attempt.address)
    async with transaction(pool) as conn:
        until = await attempts.begin_attempt(conn, address, now)
        known = await sessions.find_credentials(conn, attempt.login)
        name = by_name(keyring, attempt.login, known.user_id if known else None)
        until = until or await attempts.begin_attempt(conn, name, now)
    if until is not None:
        raise Locked(until, now)
    stored = known.password_hash if known else None
    right = await asyncio.to_thread(is_password, attempt.password, stored)
    if known is None or not right or known.disabled:
        await _note_failure(pool, keyring, known, attempt, now)
        raise LoginFailed(phrase("the login, the password or the code is wrong"))
    if known.totp_confirmed and attempt.code is None:
        async with transaction(pool) as conn:
            await attempts.forgive_attempt(conn, address)
            await attempts.forgive_attempt(conn, name)
        raise LoginFailed(phrase("give the code of your authenticator, too"), code="totp_needed")
    opened = await _open(pool, keyring, known, attempt, now)
    async with transaction(pool) as conn:
        await attempts.forgive_attempt(conn, address)
    return opened


def by_name(keyring: Keyring, login: str, user_id: UUID | None) -> FailureCounter:
    """How attempts with one login are counted."""
    source = keyring.index("login", login)
    return FailureCounter(source, attempts.FREE_ATTEMPTS, _NAME_FORGETS, user_id)


def by_address(keyring: Keyring, address: str) -> FailureCounter:
    """How attempts from one address are counted."""
    site = address
    with suppress(ValueError):
        found = ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        bits = _SITE_BITS if found.version == 6 else found.max_prefixlen
        site = str(ip_network((found, bits), strict=False))
    return FailureCounter(keyring.index("address", site), FREE_BY_ADDRESS, _ADDRESS_FORGETS)


async def begin_guess(conn: Connection, keyring: Keyring, user: User, now: datetime) -> Credentials:
    """Count an attempt of somebody who has logged in to show once more who they are; as at a login,
    it is counted as gone wrong until `attempt_store.end_attempts`.

    Raises:
        Locked: too many attempts went wrong.
    """
    until = await attempts.begin_attempt(conn, by_name(keyring, user.login, user.id), now)
    if until is not None:
        raise Locked(until, now)
    return await sessions.get_credentials(conn, user.id)


async def note_wrong(
    conn: Connection, keyring: Keyring, known: Credentials, now: datetime, via: Via = "api"
) -> None:
    """Write down an attempt that went wrong."""
    await insert_entry(conn, keyring, _act("login_failed", known, None, now, via))


async def session_caller(
    conn: Connection, keyring: Keyring, token: str, now: datetime, *, used: bool = True
) -> Caller | None:
    """For whom a session's token acts now, or None if for nobody (any more).

    used: whether the session is thereby used, so that it does not end by being idle.

    With a password that somebody else has given, there is no right but to choose another.
    """
    found = await sessions.find_session(conn, token_hash(keyring, token), now, used=used)
    if found is None:
        return None
    session_id, user, temporary, requests = found
    user = replace(user, logged_in=True)
    return Caller(user.limited(frozenset()) if temporary else user, None, session_id, requests)


async def _open(
    pool: Pool, keyring: Keyring, known: Credentials, attempt: LoginAttempt, now: datetime
) -> Opened:
    token = new_token(PREFIX)
    async with transaction(pool) as conn:
        taken = await take_code(conn, keyring, known, attempt.code or "", now)
        if taken:
            await attempts.end_attempts(conn, known.user_id)
            session = await sessions.insert_session(
                conn,
                known.user_id,
                token_hash(keyring, token),
                address=attempt.address,
                agent=attempt.agent[:200],
                now=now,
            )
            await insert_entry(conn, keyring, _act("login", known, session.id, now, attempt.via))
    if not taken:
        await _note_failure(pool, keyring, known, attempt, now)
        raise LoginFailed(phrase("the login, the password or the code is wrong"))
    return Opened(session, token, known.temporary)


async def take_code(
    conn: Connection, keyring: Keyring, known: Credentials, code: str, now: datetime
) -> bool:
    """Whether the code opens the door; it does so once."""
    if not known.totp_confirmed or known.totp_cipher is None:
        return True
    secret = keyring.decrypt_bytes(SECRET, known.totp_cipher)
    step = step_of_code(secret, code, now, known.totp_step)
    if step is not None:
        return await sessions.take_step(conn, known.user_id, step)
    code_hash = recovery_hash(keyring, known.user_id, code)
    return await sessions.take_recovery_code(conn, known.user_id, code_hash, now)


def recovery_hash(keyring: Keyring, user_id: UUID, code: str) -> bytes:
    """What is stored of a recovery code."""
    return keyring.index(RECOVERY, f"{user_id} {code.strip().lower()}")


async def _note_failure(
    pool: Pool, keyring: Keyring, known: Credentials | None, attempt: LoginAttempt, now: datetime
) -> None:
    if known is not None:
        async with transaction(pool) as conn:
            await note_wrong(conn, keyring, known, now, attempt.via)


def _act(
    action: str, known: Credentials, session_id: UUID | None, now: datetime, via: Via
) -> AuditAct:
    return AuditAct(
        action,
        now,
        via,
        actor_id=known.user_id,
        department_id=known.department_id,
        object_kind="sessions" if session_id else "users",
        object_id=str(session_id or known.user_id),
    )
