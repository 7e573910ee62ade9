"""The words of a text elsewhere: on screens, from loudspeakers, on posters, in letters."""

from service.accounts.people.model import Right
from service.api.content import wordings
from service.api.content.templates import get_template
from service.api.content.wordings import (
    PosterQuery,
    WordingApproveBody,
    WordingBody,
    WordingDocumentQuery,
    WordingOut,
    WordingsOut,
)
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.console.texts.pages import TOLD
from service.errors import NotFound
from service.messages.wordings.wording import KIND_WORDS
from service.words.phrase import phrase


async def show_wordings(desk: Desk) -> Shown:
    """The wordings of a version: those that were made, and those that could be."""
    text = await desk.get(get_template, template_id=desk.uuid("template_id"))
    found = await _found(desk)
    told = {
        "text": text,
        "found": found,
        "address": _address(desk),
        "kinds": KIND_WORDS,
        "writes": desk.may(Right.WRITE),
        "approves": desk.may(Right.APPROVE),
        **TOLD,
    }
    return Shown("texts/wordings.html", told)


async def make_wording(desk: Desk) -> Gone:
    """Make a wording, as the program makes it."""
    await desk.act(
        wordings.add_wording,
        template_id=desk.uuid("template_id"),
        version=_version(desk),
        body=body_of(WordingBody, desk.form),
    )
    return Gone(_address(desk), phrase("The wording is made."))


async def show_edit(desk: Desk) -> Shown:
    """The form for a wording in other words."""
    text = await desk.get(get_template, template_id=desk.uuid("template_id"))
    found = _of_kind(await _found(desk), desk.path("kind"))
    told = {"text": text, "found": found, "address": _address(desk), "kinds": KIND_WORDS}
    return Shown("texts/wording_edit.html", told)


async def edit_wording(desk: Desk) -> Gone:
    """Take a wording as a person has edited it."""
    made = await desk.act(
        wordings.add_wording,
        template_id=desk.uuid("template_id"),
        version=_version(desk),
        body=body_of(WordingBody, desk.form, given={"kind": desk.path("kind")}),
    )
    if made.same_words:
        return Gone(_address(desk), phrase("Saved; its words are still those of the text."))
    return Gone(_address(desk), phrase("Saved; a second person must approve its words."))


async def approve_wording(desk: Desk) -> Gone:
    """Approve other words, as a second person."""
    await desk.act(
        wordings.approve_wording,
        template_id=desk.uuid("template_id"),
        version=_version(desk),
        wording_id=desk.uuid("wording_id"),
        body=body_of(WordingApproveBody, desk.form),
    )
    return Gone(_address(desk), phrase("The wording is approved."))


async def export(desk: Desk) -> MadeFile:
    """All wordings that may be put up, as one document."""
    query = body_of(WordingDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(
        wordings.get_wordings_document,
        template_id=desk.uuid("template_id"),
        version=_version(desk),
        query=query,
    )


async def take_poster(desk: Desk) -> MadeFile:
    """The poster, to print."""
    return await desk.take(
        wordings.get_poster,
        template_id=desk.uuid("template_id"),
        version=_version(desk),
        query=body_of(PosterQuery, desk.form),
    )


async def _found(desk: Desk) -> WordingsOut:
    return await desk.get(
        wordings.list_wordings, template_id=desk.uuid("template_id"), version=_version(desk)
    )


def _of_kind(found: WordingsOut, kind: str) -> WordingOut:
    for one in found.items:
        if one.kind == kind:
            return one
    raise _nothing()


def _version(desk: Desk) -> int:
    given = desk.path("version")
    if not (given.isascii() and given.isdecimal() and len(given) < 9):
        raise _nothing()
    return int(given)


def _nothing() -> NotFound:
    return NotFound(phrase("there is nothing at this address"))


def _address(desk: Desk) -> str:
    return f"/texts/{desk.uuid('template_id')}/wordings/{_version(desk)}"
