"""The bulletin of a week: its draft, issued, corrected; and the page for everybody."""

from aiohttp import web
from multidict import MultiDictProxy

from service.accounts.people.model import Right
from service.api.cases import bulletin_notices, bulletins, documents
from service.api.cases.bulletin_notices import BulletinNoticeBody
from service.api.cases.bulletins import BulletinCorrectionBody, PublicBulletinOut
from service.api.cases.documents import BulletinDocumentQuery
from service.api.http.downloads import MadeFile
from service.api.http.problems import status_of
from service.api.http.server import PUBLIC, take_visit
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.language import Language
from service.console.plans.words import STATES
from service.console.render import Gone, Shown
from service.console.serving import show_open
from service.errors import TocsinError
from service.words.phrase import phrase

BULLETINS = "/reports/bulletins"


async def show_bulletin(desk: Desk) -> Shown:
    """The figures of a week, as far as the reader may see them."""
    found = await desk.get(bulletins.get_bulletin, week=desk.path("week"))
    return Shown("cases/bulletin.html", {
        "bulletin": found,
        "enters": desk.may(Right.CASES),
        "reads": desk.may(Right.READ),
    })  # fmt: skip


async def show_issue(desk: Desk) -> Shown:
    """Ask before a bulletin is issued, which everybody sees."""
    found = await desk.get(bulletins.get_bulletin, week=desk.path("week"))
    return Shown("cases/bulletin_issue.html", {"bulletin": found})


async def issue(desk: Desk) -> Gone:
    """Issue the bulletin of a week."""
    week = desk.path("week")
    made = await desk.act(bulletins.issue_bulletin, week=week)
    return Gone(
        f"{BULLETINS}/{week}",
        phrase("Bulletin {number} is issued; the public page shows it.", number=made.number),
    )


async def correct(desk: Desk) -> Gone:
    """Issue its next version."""
    week = desk.path("week")
    await desk.act(
        bulletins.correct_bulletin, week=week, body=body_of(BulletinCorrectionBody, desk.form)
    )
    return Gone(f"{BULLETINS}/{week}", phrase("The corrected bulletin is issued."))


async def show_notice(desk: Desk) -> Shown:
    """The texts and people of which a notice to staff could be made, and what was made already."""
    found = await desk.get(bulletin_notices.get_bulletin_notice, week=desk.path("week"))
    return Shown("cases/bulletin_notice.html", {
        "found": found,
        "may": desk.may(Right.PLAN) and desk.may(Right.WRITE),
        "state_word": lambda state: desk.language.say(STATES[state]),
    })  # fmt: skip


async def draft_notice(desk: Desk) -> Gone:
    """Make a campaign's draft of a notice to staff."""
    body = body_of(BulletinNoticeBody, desk.form)
    made = await desk.act(bulletin_notices.draft_bulletin_notice, week=desk.path("week"), body=body)
    return Gone(
        f"/plans/{made.id}",
        phrase("The draft is made. Nothing is sent before it is submitted and approved."),
    )


async def export(desk: Desk) -> MadeFile:
    """The bulletin as a document: as the reader may see it, or the sheet for the public."""
    query = body_of(BulletinDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(documents.get_bulletin_document, week=desk.path("week"), query=query)


async def show_public(
    request: web.Request, _language: Language, form: MultiDictProxy[str]
) -> web.StreamResponse:
    """What everybody may see of a week, without logging in."""
    visit = await take_visit(request, PUBLIC)
    found: PublicBulletinOut | None = None
    status = 200
    try:
        found = await bulletins.get_public_bulletin(visit, request.match_info["week"])
    except TocsinError as error:
        status = status_of(error)
    return show_open(request, Shown("cases/public.html", {"bulletin": found}, status), form)
