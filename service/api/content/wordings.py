"""The words of an approved text elsewhere: LED lines, loudspeaker scripts, posters and others."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.content.templates import Acknowledged, FindingOut, findings_out
from service.api.http.call import Call, Download
from service.api.http.schema import Body, Instant, Int, Out, QueryString, Text, TranslatedText
from service.documents.document import MEDIA_TYPES, Document, DocumentBlock, Heading, Paragraph
from service.documents.making import make as make_document
from service.documents.plain_text import txt_of
from service.documents.poster import Poster, poster_page_of, svg_of
from service.errors import NotFound
from service.messages.wordings import store, wordings
from service.messages.wordings.store import StoredWording, WordedText
from service.messages.wordings.wording import (
    KIND_WORDS,
    KINDS,
    LED_WIDTH,
    NARROWEST,
    WIDEST,
    WordingKind,
    WordingRefused,
    make,
)
from service.words.phrase import phrase, translated

WordingLanguage = Literal["zh", "en"]


class WordingBody(Body):
    """A wording to be made, or one that was edited."""

    kind: WordingKind
    width: Annotated[Int, Field(ge=NARROWEST, le=WIDEST)] = Field(
        default=LED_WIDTH, description="Of a screen: the most characters of a line."
    )
    text: Text | None = Field(
        default=None,
        description="As you have edited it. If its words are no longer those of the text, a second"
        " person approves it before it is put up. Null: as the program makes it.",
    )


class WordingApproveBody(Body):
    """Which findings of lint were read."""

    acknowledged: Acknowledged = Field(default=[])


class WordingOut(Out):
    """A wording of one kind: as it was made last, or else as it would be made."""

    id: UUID | None = Field(description="Null: nobody has made it yet.")
    kind: WordingKind
    text: str = Field(description='"" if the text has none of this kind.')
    lines: list[str]
    seconds: int | None = Field(description="How long a loudspeaker reads it; null: none does.")
    same_words: bool = Field(
        description="It has the letters and digits of whole sentences of the text, in a frame."
    )
    may_be_shown: bool = Field(
        description="It was made, and has its text's words or a second person's approval."
    )
    refused: TranslatedText | None = Field(description="Why the text has none of this kind.")
    mark: str = Field(description="Of template and version, as T7-3; put it below.")
    lint: list[FindingOut] = Field(description="What lint says of other words.")
    made_by: UUID | None
    made_at: Instant | None
    approved_by: UUID | None
    approved_at: Instant | None


class WordingsOut(Out):
    """The wordings of a version, one of each kind."""

    template_id: UUID
    version: int
    approved: bool = Field(description="The version is approved: its wordings may be made.")
    text: str
    items: list[WordingOut]


class WordingDocumentQuery(QueryString):
    """In which form."""

    format: Literal["docx", "txt", "html"] = Field(default="docx")
    language: WordingLanguage = Field(default="zh", description="Of the headings.")


class PosterQuery(QueryString):
    """In which form."""

    format: Literal["svg", "html"] = Field(
        default="svg", description="svg: a drawing of size A3; html: a page to print it from."
    )


async def list_wordings(call: Call, template_id: UUID, version: int) -> WordingsOut:
    """List the wordings of a version of a text: those made last, and those that could be made."""
    text = await wordings.get_text(call.conn, call.user, template_id, version)
    mark = await _mark(call, template_id, version)
    made = {one.kind: one for one in await store.newest_wordings(call.conn, text.version_id)}
    return WordingsOut(
        template_id=template_id,
        version=version,
        approved=text.approved_at is not None,
        text=text.text,
        items=[
            _shown(made[kind], mark) if kind in made else _possible(call, text, kind, mark)
            for kind in KINDS
        ],
    )


async def add_wording(call: Call, template_id: UUID, version: int, body: WordingBody) -> WordingOut:
    """Make a wording of an approved version, or take one that you have edited."""
    made = await wordings.add(
        call.conn,
        call.user,
        template_id,
        version,
        body.kind,
        call.now,
        edited=body.text,
        width=body.width,
    )
    call.note("templates", template_id, version=version, kind=made.kind, same=made.same_words)
    return _shown(made, await _mark(call, template_id, version))


async def approve_wording(
    call: Call, template_id: UUID, version: int, wording_id: UUID, body: WordingApproveBody
) -> WordingOut:
    """Approve a wording whose words are not those of its text, as a second person."""
    approved = await wordings.approve(
        call.conn, call.user, template_id, version, wording_id, body.acknowledged, call.now
    )
    call.note("templates", template_id, version=version, kind=approved.kind)
    return _shown(approved, await _mark(call, template_id, version))


async def get_wordings_document(
    call: Call, template_id: UUID, version: int, query: WordingDocumentQuery
) -> Download:
    """Download the wordings that may be put up as one document, a section a kind."""
    text = await wordings.get_text(call.conn, call.user, template_id, version)
    mark = await _mark(call, template_id, version)
    made = [
        one for one in await store.newest_wordings(call.conn, text.version_id) if one.may_be_shown
    ]
    if not made:
        raise _none()
    document = _document(text, made, mark, query.language)
    if query.format == "txt":
        octets = txt_of(document)
    else:
        folder = call.runtime.settings.document_folder
        octets = await make_document(document, query.format, folder)
    return _file(octets, query.format, f"wordings-{mark}")


async def get_poster(call: Call, template_id: UUID, version: int, query: PosterQuery) -> Download:
    """Download the poster of a version, of size A3, with the county's name."""
    text = await wordings.get_text(call.conn, call.user, template_id, version)
    mark = await _mark(call, template_id, version)
    found = await store.newest_wordings(call.conn, text.version_id)
    made = next((one for one in found if one.kind == "poster" and one.may_be_shown), None)
    if made is None:
        raise _none()
    head, *lines = made.text.split("\n")
    poster = Poster(
        text.template, text.county, head, lines, (f"{text.department}　{mark}",), text.language
    )
    octets = svg_of(poster) if query.format == "svg" else poster_page_of(poster)
    return _file(octets, query.format, f"poster-{mark}")


def _none() -> NotFound:
    return NotFound(
        phrase("there is no wording yet that may be put up; make it, or have it approved"),
        code="no_wording",
    )


async def _mark(call: Call, template_id: UUID, version: int) -> str:
    no = await store.number_of(call.conn, template_id)
    return "" if no is None else f"T{no}-{version}"


def _shown(made: StoredWording, mark: str) -> WordingOut:
    return WordingOut(
        **made._asdict() | {"lint": findings_out(made.lint)},
        lines=made.text.split("\n"),
        may_be_shown=made.may_be_shown,
        refused=None,
        mark=mark,
    )


def _possible(call: Call, text: WordedText, kind: WordingKind, mark: str) -> WordingOut:
    """What would be made, or why nothing would."""
    said, lines, seconds, refused = "", list[str](), None, None
    try:
        made = make(kind, text.text, wordings.frame_of(text, call.now))
    except WordingRefused as error:
        refused = error.message
    else:
        said, lines, seconds = made.text, list(made.lines), made.seconds
    return WordingOut(
        id=None,
        kind=kind,
        text=said,
        lines=lines,
        seconds=seconds,
        same_words=refused is None,
        may_be_shown=False,
        refused=refused,
        mark=mark,
        lint=[],
        made_by=None,
        made_at=None,
        approved_by=None,
        approved_at=None,
    )


def _document(
    text: WordedText, made: list[StoredWording], mark: str, language: WordingLanguage
) -> Document:
    blocks: list[DocumentBlock] = []
    for one in sorted(made, key=lambda one: KINDS.index(one.kind)):
        blocks.append(Heading(translated(KIND_WORDS[one.kind], language)))
        blocks += [Paragraph(line) for line in one.text.split("\n") if line]
        told = [mark]
        if one.seconds is not None:
            read = phrase("read twice in about {seconds} seconds", seconds=one.seconds)
            told.append(translated(read, language))
        if not one.same_words:
            told.append(translated(phrase("edited, and approved by a second person"), language))
        blocks.append(Paragraph(" · ".join(told), quiet=True))
    return Document(
        "wordings",
        text.template,
        f"{text.department}　{mark}",
        language,
        blocks,
        max(one.made_at for one in made),
    )


def _file(octets: bytes, form: str, name: str) -> Download:
    return Download(MEDIA_TYPES[form], f"{name}.{form}", _whole(octets))


async def _whole(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
