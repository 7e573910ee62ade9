"""What people do with their own account: who they are, their sessions, password, authenticator."""

import asyncio
from uuid import UUID

from pydantic import Field

from service.accounts.login import attempt_store, credentials, session_store
from service.accounts.login.login import (
    SECRET,
    begin_guess,
    note_wrong,
    recovery_hash,
)
from service.accounts.people import phone_store, store
from service.accounts.people.model import Right
from service.api.accounts.login import Password, TotpCode
from service.api.accounts.users import UserOut
from service.api.http.call import Call, Counted
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Out, Page
from service.audience.numbers.number import mask
from service.errors import Conflict, Invalid
from service.words.phrase import phrase


class SessionOut(Out):
    """A session; `current`: this request's own."""

    id: UUID
    user_id: UUID
    address: str
    agent: str
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
    current: bool = False


class SessionQuery(PageQuery):
    """Whose sessions: your own, or those of a user whom you manage."""

    user_id: UUID | None = None


class MeOut(UserOut):
    """Who asks, and what this key or session leaves of the rights (`may`)."""

    phone: str | None = Field(
        default=None, description="Your own phone, masked: tests of campaigns go there."
    )
    phone_proved_at: Instant | None = Field(
        default=None, description="Since when a code has proved it; null: no test goes there."
    )


class PasswordBody(Body):
    """Your password, and the one that takes its place."""

    current: Password
    new: Password


class SecretBody(Body):
    """Your password, once more."""

    password: Password


class TotpSecretOut(Out):
    """A secret for your authenticator, as text and as a QR code carries it."""

    secret: str
    uri: str


class TotpCodeBody(Body):
    """The code that your authenticator shows."""

    code: TotpCode


class RecoveryOut(Out):
    """Codes that each open the door once, when the authenticator is lost; shown this once."""

    recovery_codes: list[str]


async def get_me(call: Call) -> MeOut:
    """Say who you are and what you may do."""
    said = await MeOut.of(call, call.user)
    own = await phone_store.get_phone(call.conn, call.user.id)
    if own.cipher is not None:
        said.phone = mask(call.runtime.keyring.decrypt("phone", own.cipher))
        said.phone_proved_at = own.proved_at
    return said


async def list_sessions(call: Call, query: SessionQuery) -> Page[SessionOut]:
    """List the sessions that hold: your own, or those of a user whom you manage."""
    user_id = call.user.id
    if query.user_id not in {None, user_id}:
        call.user.need(Right.ACCOUNTS)
        user_id = (await store.get_user(call.conn, query.user_id, call.user.scope)).id
    found = await session_store.list_sessions(
        call.conn, user_id, query.before, query.wanted, call.now
    )
    items = [SessionOut.model_validate(item) for item in found]
    for item in items:
        item.current = item.id == call.session_id
    return cut(Page[SessionOut], items, query)


async def end_session(call: Call, session_id: UUID) -> None:
    """End a session: one of your own, or of a user whom you manage."""
    manages = call.user.may(Right.ACCOUNTS)
    await session_store.revoke_session(
        call.conn,
        session_id,
        None if manages else call.user.id,
        call.user.scope if manages else None,
        call.now,
    )


async def change_password(call: Call, body: PasswordBody) -> None:
    """Choose another password; your other sessions end."""
    await _check_password(call, "current", body.current)
    credentials.check_password(body.new, call.user.login)
    if body.new == body.current:
        raise Invalid(
            phrase("choose another password"), fields={"new": phrase("it is the one you have")}
        )
    stored = await asyncio.to_thread(credentials.hash_password, body.new)
    await session_store.set_password(call.conn, call.user.id, stored, temporary=False)
    await session_store.revoke_sessions(call.conn, call.user.id, call.now, but=call.session_id)


async def begin_totp(call: Call, body: SecretBody) -> TotpSecretOut:
    """Get a secret for your authenticator; it counts once you confirm it with a code."""
    known = await _check_password(call, "password", body.password)
    if known.totp_confirmed:
        raise Conflict(
            phrase("you have an authenticator; an administrator can take it away"),
            code="totp_exists",
        )
    secret = credentials.new_secret()
    cipher = call.runtime.keyring.encrypt_bytes(SECRET, secret)
    await session_store.set_totp(call.conn, call.user.id, cipher)
    return TotpSecretOut(
        secret=credentials.secret_text(secret), uri=credentials.secret_uri(secret, call.user.login)
    )


async def confirm_totp(call: Call, body: TotpCodeBody) -> RecoveryOut:
    """Show that your authenticator has the secret; from now on its code is asked for."""
    keyring = call.runtime.keyring
    known = await session_store.get_credentials(call.conn, call.user.id)
    if known.totp_cipher is None or known.totp_confirmed:
        raise Conflict(
            phrase("there is no secret to be confirmed: POST /me/totp"), code="wrong_state"
        )
    secret = keyring.decrypt_bytes(SECRET, known.totp_cipher)
    await begin_guess(call.conn, call.runtime.keyring, call.user, call.now)
    step = credentials.step_of_code(secret, body.code, call.now, known.totp_step)
    if step is None:
        problem = phrase("it is not the code of now; look at the clock of your authenticator")
        await note_wrong(call.conn, call.runtime.keyring, known, call.now)
        raise Counted(
            Invalid(
                phrase("the code is wrong: {problem}", problem=problem), fields={"code": problem}
            )
        )
    await attempt_store.end_attempts(call.conn, call.user.id)
    codes = credentials.new_recovery_codes()
    hashes = [recovery_hash(keyring, call.user.id, code) for code in codes]
    await session_store.confirm_totp(call.conn, call.user.id, step, hashes, call.now)
    return RecoveryOut(recovery_codes=codes)


async def _check_password(call: Call, field: str, password: str) -> session_store.Credentials:
    """What the caller logs in with, once the password is theirs; attempts count as logins do."""
    known = await begin_guess(call.conn, call.runtime.keyring, call.user, call.now)
    if not await asyncio.to_thread(credentials.is_password, password, known.password_hash):
        await note_wrong(call.conn, call.runtime.keyring, known, call.now)
        problem = phrase("it is not your password")
        raise Counted(Invalid(phrase("the password is wrong"), fields={field: problem}))
    await attempt_store.end_attempts(call.conn, call.user.id)
    return known
