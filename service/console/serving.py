"""A page over HTTP: who asks, may they, with what form; then the page's function, and its answer.

A GET changes nothing. A form that is refused is shown again with what was typed, and what is wrong
beside its field. Whoever has no session any more is asked to log in: in a box over the page, after
which the script sends the same form once more; without script on a page that keeps the form.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from string import Formatter
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import TemplateError
from multidict import MultiDict, MultiDictProxy

from service.api.http.admission import ADMISSION
from service.api.http.auth import caller_by
from service.api.http.downloads import MadeFile
from service.api.http.problems import Unauthorized, status_of
from service.api.http.reading import form_and_file, in_time
from service.api.http.server import LIMITER
from service.api.http.upload import Upload
from service.api.routes import PREFIX as API
from service.console import frame, held
from service.console.asking import Desk
from service.console.forms import with_what_is_now
from service.console.language import CHINESE, Language, language_code
from service.console.page import OpenPage, WebPage
from service.console.render import STATIC, Gone, Shown, html_of, response_of, show_asset
from service.console.session import (
    CSRF,
    CSRF_HEADER,
    HTMX,
    LANGUAGE_COOKIE,
    NOTICE_COOKIE,
    OpenSession,
    forget_session,
    need_own_origin,
    need_private_way,
    notice_of,
    session_of,
    set_notice,
)
from service.errors import Invalid, NotFound, TocsinError, TooMany, Unavailable
from service.storage.postgres import UNREACHABLE
from service.web import RUNTIME
from service.words.phrase import phrase

log = logging.getLogger(__name__)

LOGIN = "/login"
FIRST = "/today"
NEW_PASSWORD = "/account/password"  # noqa: S105  # an address
WITHOUT_RIGHTS = frozenset({NEW_PASSWORD, "/logout"})
"""Where one may be with a password that somebody else has given."""
SESSION = "HX-Session"
UNCHANGED = 204
"""The status of a part that is as the page has it already."""

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve_page(page: WebPage) -> Answering:
    """What aiohttp calls for a page."""

    async def answer(request: web.Request) -> web.StreamResponse:
        runtime = request.config_dict[RUNTIME]
        if page.method == "POST":
            need_own_origin(request)
        session = session_of(request, runtime.keyring)
        if session is None:
            return await _to_login(page, request)
        try:
            caller = await caller_by(request, session.token, runtime, used=not page.is_polled)
        except Unauthorized:
            return await _to_login(page, request)
        limiter = request.config_dict[LIMITER]
        await limiter.take(limiter.limits_of(caller))
        return await _answered(page, Desk(request, caller, session, language_of(request)))

    return _refusing(answer)


def serve_open(page: OpenPage) -> Answering:
    """What aiohttp calls for a page for whoever has not logged in."""

    async def answer(request: web.Request) -> web.StreamResponse:
        need_private_way(request)
        form: MultiDictProxy[str] = MultiDictProxy(MultiDict())
        if page.method == "POST":
            if not page.reads:
                need_own_origin(request)
            form = await _typed(request)
        return await page.function(request, language_of(request), form)

    return _refusing(answer)


def _refusing(answer: Answering) -> Answering:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except TocsinError as error:
            return _refused(request, error)
        except TemplateError as error:  # one that is missing is an OSError to Jinja
            return _failed(request, error)
        except UNREACHABLE as error:
            log.warning("the database did not answer a page", extra={"why": repr(error)})
            sentence = phrase("the database cannot be reached; try again soon")
            return _refused(request, Unavailable(sentence))
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001  # the reader is told, and it is logged
            return _failed(request, error)

    return guarded


def _failed(request: web.Request, error: Exception) -> web.Response:
    """The page of an error of ours, which is logged."""
    log.error("unexpected error of a page", exc_info=error)
    sentence = phrase("an unexpected error, which has been logged; nothing was half done")
    return _refused(request, TocsinError(sentence))


def language_of(request: web.Request) -> Language:
    """The language in which a request is answered."""
    runtime = request.config_dict[RUNTIME]
    code = language_code(
        request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", CHINESE)
    )
    return Language(code, runtime.settings.zone, runtime.clock.now())


async def _answered(page: WebPage, desk: Desk) -> web.StreamResponse:
    """The answer to somebody who has logged in."""
    if desk.has_given_password and desk.request.path not in WITHOUT_RIGHTS:
        return gone(NEW_PASSWORD)
    if page.right is not None:
        desk.user.need(page.right)
    if page.is_noted:
        return await _response(desk, await page.function(desk))
    if page.method == "GET":
        return await _shown(page, page.function, desk)
    async with _form(page, desk) as (desk.form, desk.upload):
        given = desk.form.get(CSRF, "") or desk.request.headers.get(CSRF_HEADER, "")
        desk.session.need_csrf(given)
        if page.reads:
            return await _shown(page, page.function, desk)
        return await _done(page, desk)


async def _done(page: WebPage, desk: Desk) -> web.StreamResponse:
    """The answer to a form: what it has done, or the form again."""
    if held.SHOW in desk.form:
        if page.again is None:
            return gone(FIRST)
        desk.refusal = Invalid(phrase("this was not done yet: look at it once more, and send it"))
        return await _shown(page, page.again, desk)
    try:
        result = await page.function(desk)
    except TocsinError as error:
        if page.again is None or status_of(error) in {401, 429, 503}:
            raise
        desk.refusal = error
        return await _shown(page, page.again, desk, status_of(error))
    if not isinstance(result, Shown) or page.is_part:
        return await _response(desk, result)
    async with desk.reading():
        around = await frame.around(desk)
    return await _response(desk, result, around)


async def _shown(
    page: WebPage,
    function: Callable[[Desk], Awaitable[Shown | Gone | MadeFile | None]],
    desk: Desk,
    status: int = 200,
) -> web.StreamResponse:
    """What a page reads, in one transaction with what is around it; where it is read on a standby,
    what is around it is of the primary all the same.
    """
    around: Mapping[str, Any] | None = None
    if page.replica and (old := await desk.from_replica(function, heavy=page.heavy)) is not None:
        if not page.is_part:
            async with desk.reading():
                around = await frame.around(desk)
        return await _response(desk, old, around, status)
    async with desk.reading(heavy=page.heavy):
        if not page.is_part:
            around = await frame.around(desk)
        result = await function(desk)
    return await _response(desk, result, around, status)


async def _response(
    desk: Desk,
    result: Shown | Gone | MadeFile | None,
    around: Mapping[str, Any] | None = None,
    status: int = 200,
) -> web.StreamResponse:
    request, keyring = desk.request, desk.runtime.keyring
    if result is None:
        return web.Response(status=UNCHANGED)
    if isinstance(result, MadeFile):
        with result as file:
            return await file.send(request)
    if isinstance(result, Gone):
        response = gone(result.address)
        if result.ends_session:
            forget_session(request, response)
        if result.notice:
            set_notice(request, response, keyring, desk.language.say(result.notice))
        return response
    notice = notice_of(request, keyring) if around is not None else ""
    told = {**frame.outside(request), **(around or {})}
    told |= {"desk": desk, "refusal": desk.refusal, "notice": notice}
    html = html_of(result, desk.language, desk.session, told)
    shown = response_of(request, html, status if status != 200 else result.status)
    if notice:
        shown.del_cookie(NOTICE_COOKIE, path="/")
    return shown


def gone(address: str) -> web.Response:
    """The way to another page."""
    return web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has not logged in, and what they typed."""

    request: web.Request
    form: MultiDictProxy[str]


def show_open(
    request: web.Request,
    shown: Shown,
    form: MultiDictProxy[str] | None = None,
    refusal: TocsinError | None = None,
    session: OpenSession | None = None,
) -> web.Response:
    """A page for whoever has not logged in."""
    visitor = Visitor(request, form if form is not None else MultiDictProxy(MultiDict()))
    told = frame.outside(request) | {"desk": visitor, "refusal": refusal}
    html = html_of(shown, language_of(request), session, told)
    return response_of(request, html, shown.status)


async def _to_login(page: WebPage, request: web.Request) -> web.StreamResponse:
    """Where one without a session is sent: to log in, and then back. A form is kept; of one with a
    file nothing is read, since anybody may send it.
    """
    if HTMX in request.headers:
        box = show_open(request, Shown("account/_login_box.html", {"needs_code": False}, 401))
        box.headers[SESSION] = "over"
        return box
    if request.method != "POST":
        return gone(f"{LOGIN}?next={quote(request.path_qs, safe='')}")
    if page.takes_file:
        return gone(LOGIN)
    told = {
        "next": "",
        "held": await held.seal(request, await _typed(request)),
        "needs_code": False,
    }
    return show_open(request, Shown("account/login.html", told, 401))


def _refused(request: web.Request, error: TocsinError) -> web.Response:
    """A refusal as a page of its own, for whoever has no form to be shown again."""
    status = status_of(error)
    response = show_open(request, Shown("refused.html", {"error": error, "status": status}, status))
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.seconds)
    return response


def add_routes(
    router: web.UrlDispatcher, pages: Sequence[WebPage], open_pages: Sequence[OpenPage]
) -> None:
    """Serve every page, and the files that they need."""
    router.add_get(f"{STATIC}/{{hash}}/{{name:.+}}", show_asset)
    router.add_get("/", _to_first)
    for open_page in open_pages:
        router.add_route(open_page.method, open_page.path, serve_open(open_page))
    shown = {page.path for page in pages if page.method == "GET"}
    for page in pages:
        router.add_route(page.method, page.path, serve_page(page))
        if page.path not in shown:
            router.add_get(page.path, _to_form(page, pages))


async def _to_first(_: web.Request) -> web.Response:
    return gone(FIRST)


def _to_form(page: WebPage, pages: Sequence[WebPage]) -> Answering:
    """Where the address of a form leads that was refused, and is asked for again: to its page."""
    own = (one.path for one in pages if one.method == "GET" and one.function is page.again)
    path = next(own, FIRST)

    async def answer(request: web.Request) -> web.StreamResponse:
        given = request.match_info
        known = all(name in given for _, name, _, _ in Formatter().parse(path) if name)
        return gone(
            path.format_map({n: quote(v, safe="") for n, v in given.items()}) if known else FIRST
        )

    return answer


@web.middleware
async def as_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a browser that asks for what is not there with a page; programs get a problem."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        asks = "text/html" in request.headers.get("Accept", "")
        if not asks or request.path.startswith(API):
            raise
        return _refused(request, NotFound(phrase("there is nothing at this address")))


async def _typed(request: web.Request) -> MultiDictProxy[str]:
    """The fields of a form without a file.

    Raises:
        Invalid: it is no form.
    """
    if request.content_type not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise Invalid(phrase("this is no form of a page; open the page again and repeat it"))
    given = await in_time(request.post())
    return MultiDictProxy(MultiDict((n, v) for n, v in given.items() if isinstance(v, str)))


@asynccontextmanager
async def _form(
    page: WebPage, desk: Desk
) -> AsyncIterator[tuple[MultiDictProxy[str], Upload | None]]:
    """What was typed, and the file that came with it, which is deleted at the end. Of one person
    few files are taken at once.
    """
    request = desk.request
    if page.takes_file:
        async with (
            request.config_dict[ADMISSION].large_body(desk.user),
            form_and_file(request, desk.runtime) as (fields, upload),
        ):
            yield with_what_is_now(MultiDictProxy(MultiDict(fields))), upload
    else:
        yield with_what_is_now(await _typed(request)), None
