"""Signing in by the provider: away with the browser, and back with whose account it is.

What has to be known when the browser comes back (state, nonce, verifier) is sealed in a cookie of
this browser alone: a code that another browser brings is refused, and so is one that comes twice.
The session is then one like any other. Whoever has an authenticator here gives its code, too.
"""

import hmac
import json
import logging
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.keys.keys import new_token, token_hash
from service.accounts.login import attempt_store as attempts
from service.accounts.login import session_store as sessions
from service.accounts.login.login import (
    PREFIX,
    Locked,
    LoginFailed,
    Opened,
    by_address,
    by_name,
    note_wrong,
    take_code,
)
from service.accounts.login.session_store import Credentials
from service.accounts.people import store as people
from service.accounts.sign_in import link_store
from service.accounts.sign_in.id_token import BadToken
from service.accounts.sign_in.links import subject_hash
from service.accounts.sign_in.provider import CodeRefused, Provider, ProviderFailed
from service.crypto import Keyring, Undecipherable
from service.errors import Unavailable
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import phrase

log = logging.getLogger(__name__)

SECONDS = 600
"""How long somebody may take at the provider, and for the code of the authenticator."""
_AWAY, _BACK, _STATE = "sign_in", "sign_in_code", "sign_in_state"


@dataclass(frozen=True, slots=True)
class Returned:
    """What the browser brings back: the sealed cookie, and the provider's answer in the address."""

    sealed: str
    state: str
    code: str
    issuer: str | None
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The account has an authenticator: its code is asked for. sealed: takes the cookie's place."""

    sealed: str


async def begin(keyring: Keyring, provider: Provider, then: str) -> tuple[str, str]:
    """Where the browser goes to sign in, and the sealed cookie. then: where it is to go after that.

    Raises:
        Unavailable: the provider does not answer.
    """
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    try:
        address = await provider.authorization_url(state, nonce, verifier)
    except ProviderFailed as error:
        raise _unavailable(error) from error
    told = {"state": state, "nonce": nonce, "verifier": verifier, "then": then}
    return address, _sealed(keyring, _AWAY, told)


def where_next(keyring: Keyring, sealed: str) -> str:
    """Where somebody wanted to go when they began; "" if the cookie is none of ours."""
    told = _unsealed(keyring, _AWAY, sealed) or _unsealed(keyring, _BACK, sealed) or {}
    return str(told.get("then", ""))


async def finish(
    pool: Pool, keyring: Keyring, provider: Provider, returned: Returned, now: datetime
) -> Opened | CodeNeeded:
    """Begin a session for whom the provider has signed in, or ask for the authenticator's code.

    Raises:
        LoginFailed: the answer is not for this browser, came before, or is not believed; or no
            account is linked to the person.
        Locked: too many sign-ins from this address went wrong.
        Unavailable: the provider does not answer.
    """
    address = by_address(keyring, returned.address)
    told = _unsealed(keyring, _AWAY, returned.sealed)
    async with transaction(pool) as conn:
        until = await attempts.begin_attempt(conn, address, now)
    if until is not None:
        raise Locked(until, now)
    if told is None or not hmac.compare_digest(told["state"].encode(), returned.state.encode()):
        raise _failed("it did not begin in this browser")
    try:
        subject = await _subject(pool, keyring, provider, returned, told, now)
    except ProviderFailed as error:
        raise _unavailable(error) from error
    except (CodeRefused, BadToken) as error:
        raise _failed(str(error)) from error
    async with transaction(pool) as conn:
        known = await _known(conn, keyring, provider, subject, now)
        if known is not None:
            await attempts.forgive_attempt(conn, address)
            if not known.totp_confirmed:
                return await _open(conn, keyring, known, returned, now)
    if known is None:
        raise LoginFailed(
            phrase("no account here is linked to you; ask an administrator to link yours")
        )
    then = {"user": str(known.user_id), "subject": subject, "then": told["then"]}
    return CodeNeeded(_sealed(keyring, _BACK, then))


async def finish_with_code(
    pool: Pool, keyring: Keyring, provider: Provider, returned: Returned, now: datetime
) -> Opened:
    """Begin the session of somebody who was asked for the authenticator's code (`returned.code`).

    Raises:
        LoginFailed: it took too long, the code is wrong, or the account is no more linked.
        Locked: too many codes went wrong.
    """
    told = _unsealed(keyring, _BACK, returned.sealed)
    if told is None:
        raise _failed("it did not begin in this browser")
    async with transaction(pool) as conn:
        user = await people.get_user(conn, UUID(told["user"]), None)
        until = await attempts.begin_attempt(conn, by_name(keyring, user.login, user.id), now)
    if until is not None:
        raise Locked(until, now)
    async with transaction(pool) as conn:
        known = await _known(conn, keyring, provider, told["subject"], now)
        right = (
            known is not None
            and known.user_id == user.id
            and await take_code(conn, keyring, known, returned.code, now)
        )
        if known is not None and right:
            await attempts.end_attempts(conn, known.user_id)
            return await _open(conn, keyring, known, returned, now)
        if known is not None:
            await note_wrong(conn, keyring, known, now, "console")
    raise LoginFailed(phrase("the code is wrong"), code="totp_needed")


async def _subject(
    pool: Pool,
    keyring: Keyring,
    provider: Provider,
    returned: Returned,
    told: dict[str, Any],
    now: datetime,
) -> str:
    """Whom the provider names; a sign-in that came back before is refused before it is asked."""
    if not await provider.names_itself(returned.issuer):
        raise BadToken("an answer of another provider")
    async with transaction(pool) as conn:
        state_hash = keyring.index(_STATE, told["state"])
        if not await link_store.use_sign_in(conn, state_hash, now):
            raise CodeRefused("it came back before")
    return await provider.subject_of(returned.code, told["verifier"], told["nonce"])


async def _known(
    conn: Connection, keyring: Keyring, provider: Provider, subject: str, now: datetime
) -> Credentials | None:
    """The account of a subject, locked; None: there is none in service. Then it is noted."""
    link = await link_store.find_link(conn, subject_hash(keyring, provider.issuer, subject))
    known = await sessions.get_credentials(conn, link.user_id) if link is not None else None
    if known is None:
        await insert_entry(conn, keyring, AuditAct("sign_in_unknown", now, "console"))
        return None
    if known.disabled:
        await note_wrong(conn, keyring, known, now, "console")
        return None
    return known


async def _open(
    conn: Connection, keyring: Keyring, known: Credentials, returned: Returned, now: datetime
) -> Opened:
    token = new_token(PREFIX)
    session = await sessions.insert_session(
        conn,
        known.user_id,
        token_hash(keyring, token),
        address=returned.address,
        agent=returned.agent[:200],
        now=now,
    )
    act = AuditAct(
        "login",
        now,
        "console",
        actor_id=known.user_id,
        department_id=known.department_id,
        object_kind="sessions",
        object_id=str(session.id),
        details={"by": "provider"},
    )
    await insert_entry(conn, keyring, act)
    return Opened(session, token, known.temporary)


def _failed(why: str) -> LoginFailed:
    log.warning("a sign-in by the provider was refused", extra={"why": why})
    return LoginFailed(phrase("this sign-in cannot be completed; begin once more"))


def _unavailable(error: ProviderFailed) -> Unavailable:
    log.error("the provider of single sign-on does not answer", extra={"why": str(error)})
    return Unavailable(
        phrase("the single sign-on does not answer now; log in with your password, or try again")
    )


def _sealed(keyring: Keyring, kind: str, told: dict[str, Any]) -> str:
    text = json.dumps(told | {"at": time.time()})
    return keyring.encrypt_bytes(kind, text.encode()).hex()


def _unsealed(keyring: Keyring, kind: str, sealed: str) -> dict[str, Any] | None:
    """What a cookie of ours says; None: it is none, or too old."""
    try:
        told = json.loads(keyring.decrypt_bytes(kind, bytes.fromhex(sealed)))
    except (Undecipherable, ValueError):
        return None
    return told if isinstance(told, dict) and 0 <= time.time() - told["at"] < SECONDS else None
