"""Logging in and out, and what a browser remembers of its reader: language and colours."""

from dataclasses import replace
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiDictProxy

from service.api.accounts import login as logins
from service.api.accounts.login import LoginBody, LoginOut
from service.api.http.problems import status_of
from service.api.http.server import take_visit
from service.console import held
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.frame import SCHEMES
from service.console.language import Language
from service.console.render import Gone, Shown
from service.console.serving import FIRST, NEW_PASSWORD, SESSION, gone, show_open
from service.console.session import (
    CHOICE_SECONDS,
    HTMX,
    LANGUAGE_COOKIE,
    SCHEME_COOKIE,
    is_secure,
    open_session,
    set_session,
)
from service.errors import TocsinError
from service.web import RUNTIME
from service.words.catalogues import LANGUAGES

_BOX = "account/_login_box.html"
_PAGE = "account/login.html"


async def show_login(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """The form that asks who you are."""
    return ask_who(request, form, request.query.get("next", ""), None)


async def log_in(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """Begin a session. A new one each time: what the browser had before opens nothing."""
    visit = replace(await take_visit(request), via="console")
    try:
        opened = await logins.login(visit, body_of(LoginBody, form, but=("next", "held")))
    except TocsinError as error:
        return ask_who(request, form, form.get("next", ""), error)
    return await logged_in(request, form, opened)


def ask_who(
    request: web.Request, form: MultiDictProxy[str], then: str, refusal: TocsinError | None
) -> web.Response:
    """The form, with what was wrong; it asks for a code once the account is known to have one."""
    needs_code = (refusal is not None and refusal.code == "totp_needed") or bool(form.get("code"))
    told = {"next": then, "held": form.get("held", ""), "needs_code": needs_code}
    in_box = HTMX in request.headers
    status = 200 if refusal is None else status_of(refusal)
    shown = Shown(_BOX if in_box else _PAGE, told, status)
    response = show_open(request, shown, form, refusal)
    if in_box:
        response.headers[SESSION] = "over"
    return response


async def logged_in(
    request: web.Request, form: MultiDictProxy[str], opened: LoginOut
) -> web.StreamResponse:
    """Where one goes who has logged in; a form that came too late is shown to the same person."""
    session = open_session(opened.token, request.config_dict[RUNTIME].keyring)
    if HTMX in request.headers:
        same = await held.former_user(request) == opened.user_id
        response = web.Response(status=200 if same else 204)
        if same:
            response.headers.update({SESSION: "renewed", "HX-CSRF": session.csrf()})
        else:
            response.headers["HX-Redirect"] = FIRST
    else:
        kept = held.unseal(request, form["held"]) if form.get("held") else None
        if opened.must_change_password:
            response = gone(NEW_PASSWORD)
        elif kept is not None and kept.user_id == opened.user_id:
            response = show_open(
                request, Shown("account/held.html", {"kept": kept}), session=session
            )
        else:
            response = gone(own_address(form.get("next", "")))
    set_session(request, response, opened.token)
    return response


def own_address(given: str) -> str:
    """An address of this console; the first page for any other."""
    parts = urlsplit(given)
    own = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable()
    return given if own and not parts.scheme and not parts.netloc else FIRST


async def log_out(desk: Desk) -> Gone:
    """End this session."""
    await desk.act(logins.logout)
    return Gone("/login", ends_session=True)


async def choose_language(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """Remember the language of this browser's reader."""
    return _remembered(request, form, LANGUAGE_COOKIE, form.get("language", ""), LANGUAGES)


async def choose_scheme(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """Remember light or dark colours; "": as the computer has them."""
    return _remembered(request, form, SCHEME_COOKIE, form.get("scheme", ""), SCHEMES)


def _remembered(
    request: web.Request,
    form: MultiDictProxy[str],
    cookie: str,
    value: str,
    known: tuple[str, ...],
) -> web.Response:
    response = gone(own_address(form.get("next", "")))
    if value in known:
        response.set_cookie(
            cookie,
            value,
            path="/",
            max_age=CHOICE_SECONDS,
            secure=is_secure(request),
            httponly=True,
            samesite="Lax",
        )
    else:
        response.del_cookie(cookie, path="/")
    return response
