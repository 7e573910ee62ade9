"""One's own account: password, authenticator, sessions."""

import segno

from service.accounts.people.model import Right
from service.api.accounts import me
from service.api.accounts.me import PasswordBody, SecretBody, SessionQuery, TotpCodeBody
from service.api.accounts.notices import is_told
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase

ACCOUNT = "/account"


async def show_account(desk: Desk) -> Shown:
    """Who you are, what you may do, and where you are logged in."""
    return Shown(
        "account/account.html",
        {
            "who": await desk.get(me.get_me),
            "has_phone": desk.may(Right.CONTROL) or desk.may(Right.APPROVE),
            "sessions": (await desk.get(me.list_sessions, query=SessionQuery())).items,
            "has_notices": is_told(desk.user),
        },
    )


async def show_password(desk: Desk) -> Shown:
    """The form for another password."""
    return Shown("account/password.html", {"given": desk.has_given_password})


async def change_password(desk: Desk) -> Gone:
    """Choose another password."""
    await desk.act(me.change_password, body=body_of(PasswordBody, desk.form))
    done = phrase("Your password is changed. Your other sessions have ended.")
    return Gone(ACCOUNT, done)


async def show_authenticator(_: Desk) -> Shown:
    """The form that begins with an authenticator."""
    return Shown("account/authenticator.html", {"secret": None})


async def begin_authenticator(desk: Desk) -> Shown:
    """A secret for the authenticator, as a code to be photographed and as text."""
    found = await desk.act(me.begin_totp, body=body_of(SecretBody, desk.form))
    matrix = segno.make(found.uri, error="m").matrix
    return Shown(
        "account/authenticator.html",
        {"secret": found.secret, "matrix": _squares(matrix)},
    )


def _squares(matrix: tuple[bytearray, ...]) -> tuple[int, str]:
    """A QR code as the side of its square and the path of an SVG, with the quiet zone around it."""
    quiet = 4
    runs = [
        f"M{x + quiet} {y + quiet}h1v1h-1z"
        for y, row in enumerate(matrix)
        for x, dark in enumerate(row)
        if dark
    ]
    return len(matrix) + 2 * quiet, "".join(runs)


async def confirm_authenticator(desk: Desk) -> Shown:
    """The codes for recovery, which are shown this once."""
    found = await desk.act(me.confirm_totp, body=body_of(TotpCodeBody, desk.form))
    return Shown("account/recovery.html", {"codes": found.recovery_codes})


async def end_session(desk: Desk) -> Gone:
    """End a session of one's own."""
    await desk.act(me.end_session, session_id=desk.uuid("session_id"))
    return Gone(ACCOUNT, phrase("The session has ended."))
