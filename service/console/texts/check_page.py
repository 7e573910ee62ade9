"""The page for everybody on which a citizen asks whether a text is one of ours."""

from aiohttp import web
from multidict import MultiDictProxy

from service.api.content import public_check
from service.api.content.public_check import CheckBody, CheckOut
from service.api.http.problems import status_of
from service.api.http.server import VisitLimit, take_visit
from service.console.forms import body_of
from service.console.language import Language
from service.console.render import Shown
from service.console.serving import show_open
from service.errors import Invalid

_CHECKS = VisitLimit(public_check.VISITS, public_check.A_MINUTE)


async def show_check(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """The empty form."""
    return show_open(request, Shown("texts/check.html", {"found": None}), form)


async def show_answer(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """The answer, and the form for the next question."""
    visit = await take_visit(request, _CHECKS)
    found: CheckOut | None = None
    refusal: Invalid | None = None
    try:
        found = await public_check.check_text(visit, body_of(CheckBody, form))
    except Invalid as error:
        refusal = error
    status = status_of(refusal) if refusal else 200
    return show_open(request, Shown("texts/check.html", {"found": found}, status), form, refusal)
