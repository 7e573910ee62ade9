"""Signing in by the provider of single sign-on: away with the browser, and back with a session.

The way back is a GET that begins a session, as OpenID Connect has it: the provider sends the
browser there. What keeps other sites from it is the sealed cookie (`service.accounts.sign_in`).
"""

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from service.accounts.login.login import LoginFailed, Opened
from service.accounts.sign_in import sign_in
from service.accounts.sign_in.provider import Provider
from service.accounts.sign_in.sign_in import SECONDS, CodeNeeded, Returned
from service.api.accounts.login import opened_out
from service.api.http.call import Visit
from service.api.http.problems import status_of
from service.api.http.server import take_visit
from service.console.account.entrance import ask_who, logged_in, own_address
from service.console.language import Language
from service.console.render import Shown
from service.console.serving import gone, show_open
from service.console.session import is_secure
from service.errors import TocsinError
from service.web import PROVIDER
from service.words.phrase import phrase

SECURE, PLAIN = "__Host-tocsin_sign_in", "tocsin_sign_in"
_CODE_PAGE = "account/sign_in_code.html"
Typed = MultiDictProxy[str]


async def go(request: web.Request, _language: Language, _form: Typed) -> web.StreamResponse:
    """Send the browser to the provider."""
    provider = _provider(request)
    visit = await take_visit(request)
    then = own_address(request.query.get("next", ""))
    try:
        address, sealed = await sign_in.begin(visit.runtime.keyring, provider, then)
    except TocsinError as error:
        return ask_who(request, _next(then), then, error)
    response = gone(address)
    _keep(request, response, sealed)
    return response


async def come_back(request: web.Request, _language: Language, _form: Typed) -> web.StreamResponse:
    """Begin the session of whom the provider has signed in; or ask for the authenticator's code."""
    provider = _provider(request)
    visit = await take_visit(request)
    returned = _returned(request, visit, request.query.get("code", ""))
    then = sign_in.where_next(visit.runtime.keyring, returned.sealed)
    try:
        if not returned.code:
            raise LoginFailed(phrase("the provider has not signed you in; begin once more"))
        found = await sign_in.finish(
            visit.pool, visit.runtime.keyring, provider, returned, visit.now
        )
    except TocsinError as error:
        response: web.StreamResponse = ask_who(request, _next(then), then, error)
        _forget(request, response)
        return response
    if isinstance(found, CodeNeeded):
        response = gone("/login/provider/code")
        _keep(request, response, found.sealed)
        return response
    return await _begun(request, found, then)


async def show_code(request: web.Request, _language: Language, form: Typed) -> web.StreamResponse:
    """The form that asks for the authenticator's code."""
    _provider(request)
    return show_open(request, Shown(_CODE_PAGE, {}), form)


async def give_code(request: web.Request, _language: Language, form: Typed) -> web.StreamResponse:
    """Take the authenticator's code, and begin the session."""
    provider = _provider(request)
    visit = await take_visit(request)
    keyring = visit.runtime.keyring
    returned = _returned(request, visit, form.get("code", ""))
    then = sign_in.where_next(keyring, returned.sealed)
    try:
        opened = await sign_in.finish_with_code(visit.pool, keyring, provider, returned, visit.now)
    except LoginFailed as error:
        if error.code == "totp_needed":
            return show_open(request, Shown(_CODE_PAGE, {}, status_of(error)), form, error)
        return ask_who(request, _next(then), then, error)
    return await _begun(request, opened, then)


async def _begun(request: web.Request, opened: Opened, then: str) -> web.StreamResponse:
    response = await logged_in(request, _next(then), opened_out(opened))
    _forget(request, response)
    return response


def _returned(request: web.Request, visit: Visit, code: str) -> Returned:
    return Returned(
        request.cookies.get(SECURE if is_secure(request) else PLAIN, ""),
        request.query.get("state", ""),
        code,
        request.query.get("iss"),
        visit.address,
        visit.agent,
    )


def _provider(request: web.Request) -> Provider:
    """The provider of this deployment.

    Raises:
        HTTPNotFound: there is none, and so no such page.
    """
    provider = request.config_dict.get(PROVIDER)
    if provider is None:
        raise web.HTTPNotFound
    return provider


def _next(then: str) -> Typed:
    return MultiDictProxy(MultiDict({"next": then}))


def _keep(request: web.Request, response: web.StreamResponse, sealed: str) -> None:
    secure = is_secure(request)
    response.set_cookie(
        SECURE if secure else PLAIN,
        sealed,
        path="/",
        max_age=SECONDS,
        secure=secure,
        httponly=True,
        samesite="Lax",  # the provider's page leads back here
    )


def _forget(request: web.Request, response: web.StreamResponse) -> None:
    secure = is_secure(request)
    response.del_cookie(
        SECURE if secure else PLAIN, path="/", secure=secure, httponly=True, samesite="Lax"
    )
