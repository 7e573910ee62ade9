"""Logging in and out, and what an administrator does for whoever cannot."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.login import passwords, session_store
from service.accounts.login.login import (
    LoginAttempt,
    Opened,
    log_in,
)
from service.accounts.people import store
from service.api.http.call import Call, Visit
from service.api.http.schema import Body, Instant, Line, Out, Text

Password = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
TotpCode = Annotated[Line, StringConstraints(max_length=40)]


class LoginBody(Body):
    """Who you are, and how you show it."""

    login: Line
    password: Password
    code: TotpCode | None = Field(
        default=None, description="Of your authenticator; or one of the codes for recovery."
    )


class LoginOut(Out):
    """A session; its token, shown this once, goes where a key goes."""

    id: UUID
    token: str
    user_id: UUID
    expires_at: Instant
    must_change_password: bool


class GivenPasswordOut(Out):
    """A password for once, shown this once: whoever uses it must choose another."""

    password: str
    state: Literal["pending", "active"] = Field(
        description="pending: it counts once a second person has confirmed it."
    )


async def login(visit: Visit, body: LoginBody) -> LoginOut:
    """Begin a session; its token is used like a key."""
    attempt = LoginAttempt(
        body.login, body.password, body.code, visit.address, visit.agent, visit.via
    )
    return opened_out(await log_in(visit.pool, visit.runtime.keyring, attempt, visit.now))


def opened_out(opened: Opened) -> LoginOut:
    """A session that has begun, as it is answered."""
    return LoginOut(
        id=opened.session.id,
        token=opened.token,
        user_id=opened.session.user_id,
        expires_at=opened.session.expires_at,
        must_change_password=opened.temporary,
    )


async def logout(call: Call) -> None:
    """End this session."""
    if call.session_id is not None:
        await session_store.revoke_session(call.conn, call.session_id, call.user.id, None, call.now)


async def give_password(call: Call, user_id: UUID) -> GivenPasswordOut:
    """Give a user a password for once; it counts when a second person has confirmed it."""
    password, at_once = await passwords.give(call.conn, call.user, call.key, user_id, call.now)
    return GivenPasswordOut(password=password, state="active" if at_once else "pending")


async def confirm_password(call: Call, user_id: UUID) -> None:
    """Let a given password count, as the second person; sessions end, a shut account opens."""
    await passwords.confirm(call.conn, call.user, user_id, call.now)


async def reset_totp(call: Call, user_id: UUID) -> None:
    """Take a lost authenticator away; the user's sessions end."""
    user = await store.get_user(call.conn, user_id, call.user.scope, lock=True)
    call.user.may_grant(user.roles, user.rights)
    await session_store.set_totp(call.conn, user_id, None)
    await session_store.revoke_sessions(call.conn, user_id, call.now)
