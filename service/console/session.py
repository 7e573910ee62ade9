"""The cookie of a session, the token that a form must carry, and what is told on the next page.

The cookie has the same token that a program would send as its key. Over TLS it is `__Host-tocsin`:
for this host alone, and never sent in the clear. Without TLS a session begins on this machine only.
What changes anything comes from a page of ours: the browser names our own origin, and the form has
the session's token (docs/security.md).
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aiohttp import web

from service.accounts.keys.key import is_within
from service.crypto import Keyring, Undecipherable
from service.errors import Forbidden
from service.web import RUNTIME
from service.words.phrase import phrase

SECURE_COOKIE: Final = "__Host-tocsin"
PLAIN_COOKIE: Final = "tocsin"
LANGUAGE_COOKIE: Final = "tocsin_language"
SCHEME_COOKIE: Final = "tocsin_scheme"
NOTICE_COOKIE: Final = "tocsin_notice"
CSRF: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
HTMX: Final = "HX-Request"
"""The header of what a script asks for: a part of a page, or an answer to it."""
CHOICE_SECONDS: Final = 365 * 24 * 3600
"""How long a browser remembers its language and its colours."""
_NOTICE = "console_notice"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session's token, and what its forms are known by."""

    token: str
    secret: bytes

    def csrf(self) -> str:
        """The token of a form: the session's secret under a mask that is new each time, so that
        what is compressed beside it tells nothing of it.
        """
        mask = secrets.token_bytes(len(self.secret))
        return (mask + _xor(mask, self.secret)).hex()

    def need_csrf(self, given: str) -> None:
        """Refuse a form that no page of this session has made.

        Raises:
            Forbidden: code `foreign_form`.
        """
        size = len(self.secret)
        try:
            octets = bytes.fromhex(given)
        except ValueError:
            octets = b""
        mask, masked = octets[:size], octets[size:]
        if len(octets) != 2 * size or not hmac.compare_digest(_xor(mask, masked), self.secret):
            raise foreign_form()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def foreign_form() -> Forbidden:
    """The refusal of a form that no page of this session has made."""
    return Forbidden(
        phrase(
            "this form was not made by a page of your session; open the page again and repeat it"
        ),
        code="foreign_form",
    )


def need_own_origin(request: web.Request) -> None:
    """Refuse a form that another site has sent.

    Raises:
        Forbidden: code `foreign_form`: the browser names another origin than ours, or none.
    """
    scheme = "https" if is_secure(request) else "http"
    if request.headers.get("Origin") != f"{scheme}://{request.host}":
        raise foreign_form()


def is_secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS: with us, or with a proxy of ours that says so."""
    if request.secure:
        return True
    proxies = request.config_dict[RUNTIME].settings.proxies
    named = request.headers.get("X-Forwarded-Proto", "")
    return named == "https" and is_within(request.remote or "", proxies)


def is_here(request: web.Request) -> bool:
    """Whether the browser is on this machine: it asked for it by that name."""
    host = (
        request.host.rpartition(":")[0] if ":" in request.host.rpartition("]")[2] else request.host
    )
    return host in _HERE


def session_of(request: web.Request, keyring: Keyring) -> OpenSession | None:
    """The session of the request's cookie, whether it holds or not; None: it has none."""
    token = request.cookies.get(SECURE_COOKIE if is_secure(request) else PLAIN_COOKIE, "")
    return open_session(token, keyring) if token and token.isascii() else None


def open_session(token: str, keyring: Keyring) -> OpenSession:
    """A session by its token."""
    return OpenSession(token, sha256(keyring.index("console form", token)).digest()[:16])


def set_session(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Give the browser a session; one that it had before is forgotten.

    Raises:
        Forbidden: code `needs_tls`: what is sent could be read on the way.
    """
    secure = is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE,
        token,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def need_private_way(request: web.Request) -> None:
    """Refuse to take a password that could be read on the way.

    Raises:
        Forbidden: code `needs_tls`.
    """
    if not (is_secure(request) or is_here(request)):
        raise Forbidden(
            phrase(
                "this page was opened without encryption, and a password could be read on the way;"
                " open it with https, or on the machine itself as http://127.0.0.1"
            ),
            code="needs_tls",
        )


def forget_session(request: web.Request, response: web.StreamResponse) -> None:
    """Take the session, and all that the browser has kept of it."""
    secure = is_secure(request)
    response.del_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def set_notice(
    request: web.Request, response: web.StreamResponse, keyring: Keyring, text: str
) -> None:
    """Have the next page say what was done."""
    cipher = keyring.encrypt_bytes(_NOTICE, text.encode())
    response.set_cookie(
        NOTICE_COOKIE,
        cipher.hex(),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="Lax",
        max_age=60,
    )


def notice_of(request: web.Request, keyring: Keyring) -> str:
    """What the last act has left to be said; "" if nothing."""
    given = request.cookies.get(NOTICE_COOKIE, "")
    if not given:
        return ""
    try:
        return keyring.decrypt_bytes(_NOTICE, bytes.fromhex(given)).decode()
    except (Undecipherable, UnicodeDecodeError, ValueError):  # it was not written by us
        return ""
