"""Texts of the department: the list, one text, writing it, and its versions side by side."""

from collections.abc import Sequence

from multidict import MultiDictProxy
from pydantic import ValidationError

from service.accounts.people.model import Right
from service.api.content import library, previews, templates, versions
from service.api.content.library import StarterOut
from service.api.content.previews import PreviewQuery
from service.api.content.templates import (
    ApproveBody,
    FindingOut,
    LintBody,
    LintedOut,
    NextVersionBody,
    TemplateBody,
    TemplatesQuery,
)
from service.api.content.versions import TextVersionOut
from service.api.http.paging import PageQuery
from service.api.sending import filings
from service.console.asking import Desk
from service.console.differences import pieces
from service.console.forms import body_of
from service.console.language import ENGLISH, Language
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.texts.words import FILING_MARKS, FILING_STATES, NEWS
from service.console.words import CLASSES
from service.errors import NotFound
from service.words.phrase import phrase

BLOCKING, REVIEW = "block", "review"
UNITS = {"UCS2": (70, 67), "GSM7": (160, 153)}
"""Characters of a text of one part, and of each part of a longer one (3GPP TS 23.040 §9.2.3.24)."""
MOST_LISTED = 200


async def show_texts(desk: Desk) -> Shown:
    """The texts of the department."""
    query = body_of(TemplatesQuery, desk.request.query)
    found = await desk.get(templates.list_templates, query=query)
    return Shown(
        "texts/texts.html",
        {
            "texts": found.items,
            "next": found.next_cursor,
            "writes": desk.may(Right.WRITE),
            **TOLD,
        },
    )


async def show_library(desk: Desk) -> Shown:
    """The texts that come with the program, by whom they are for."""
    found = await desk.get(library.list_library)
    groups: dict[str, list[StarterOut]] = {}
    for starter in found.items:
        label = desk.language.plain(starter.audience_label)
        groups.setdefault(label, []).append(starter)
    return Shown("texts/library.html", {"groups": groups, "writes": desk.may(Right.WRITE), **TOLD})


async def show_text(desk: Desk) -> Shown:
    """A text as people would read it, how it stands, and what may be done with it."""
    template_id = desk.uuid("template_id")
    text = await desk.get(templates.get_template, template_id=template_id)
    query = PageQuery(limit=MOST_LISTED)
    history = await desk.get(versions.list_template_versions, template_id=template_id, query=query)
    acts = {act.act: act for act in text.acts}
    return Shown(
        "texts/text.html",
        {
            "text": text,
            "history": history.items,
            "writes": desk.may(Right.WRITE),
            "acts": acts,
            "approves": acts["approve"].allowed,
            "found": await desk.get(filings.list_filings, template_id=template_id),
            "states": FILING_STATES,
            "marks": FILING_MARKS,
            "news": NEWS,
            "names": await names_of(desk, (version.edited_by for version in history.items)),
            **TOLD,
        },
    )


async def show_readers(desk: Desk) -> Shown:
    """The text as some people of the department would read it, on each channel."""
    found = await desk.get(
        previews.preview_template, template_id=desk.uuid("template_id"), query=PreviewQuery()
    )
    return Shown("texts/_readers.html", {"found": found})


async def show_new(desk: Desk) -> Shown:
    """The form for a new text, empty, with the words of a starter, or with a topic."""
    wanted = desk.request.query.get("starter", "")
    starter = None
    if wanted:
        found = await desk.get(library.list_library)
        starter = next((one for one in found.items if one.id == wanted), None)
    words = starter.text if starter else ""
    checked = await _check(desk, desk.form.get("text", words), desk.form.get("class", ""))
    kinds = [(code, desk.language.say(word)) for code, word in CLASSES.items()]
    topic = desk.request.query.get("topic", "")
    told = {"starter": starter, "checked": checked, "kinds": kinds, "topic": topic, **TOLD}
    return Shown("texts/new.html", told)


async def create_text(desk: Desk) -> Gone:
    """Make a text."""
    made = await desk.act(templates.create_template, body=body_of(TemplateBody, desk.form))
    return Gone(f"/texts/{made.id}", phrase("The text is saved."))


async def show_edit(desk: Desk) -> Shown:
    """The form for a new version of a text."""
    text = await desk.get(templates.get_template, template_id=desk.uuid("template_id"))
    checked = await _check(desk, desk.form.get("text", text.text), text.message_class)
    told: dict[str, object] = {"text": text, "checked": checked, "newer": None, "who": "", **TOLD}
    if desk.typed("follows") not in {"", str(text.version)}:  # somebody else was quicker
        told["newer"] = pieces(_words(desk.form), text.text)
        told["who"] = (await names_of(desk, [text.edited_by])).get(text.edited_by, "–")
    return Shown("texts/edit.html", told)


async def edit_text(desk: Desk) -> Gone:
    """Give a text new words."""
    template_id = desk.uuid("template_id")
    body = body_of(NextVersionBody, desk.form, but=("class",))
    made = await desk.act(templates.add_version, template_id=template_id, body=body)
    done = phrase("Version {version} is saved.", version=made.version)
    return Gone(f"/texts/{template_id}", done)


async def show_check(desk: Desk) -> Shown:
    """What is to be said of words that are being typed: their length, and what lint finds."""
    checked = await _check(desk, _words(desk.form), desk.form.get("class", ""))
    return Shown("texts/_check.html", {"checked": checked, "jumps": True, **TOLD})


async def show_comparison(desk: Desk) -> Shown:
    """Two versions of a text side by side: who wrote each, and what differs."""
    template_id = desk.uuid("template_id")
    text = await desk.get(templates.get_template, template_id=template_id)
    query = PageQuery(limit=MOST_LISTED)
    history = await desk.get(versions.list_template_versions, template_id=template_id, query=query)
    new = _version(history.items, desk.path("new"))
    old = _version(history.items, desk.path("old"))
    told = {
        "text": text,
        "old": old,
        "new": new,
        "pieces": pieces(old.text, new.text),
        "names": await names_of(desk, (version.edited_by for version in history.items)),
    }
    return Shown("texts/comparison.html", told)


async def approve_text(desk: Desk) -> Gone:
    """Approve a text that somebody else wrote, for direct sends."""
    template_id = desk.uuid("template_id")
    body = body_of(ApproveBody, desk.form)
    await desk.act(templates.approve_template, template_id=template_id, body=body)
    return Gone(f"/texts/{template_id}", phrase("The text is approved."))


async def _check(desk: Desk, words: str, message_class: str) -> LintedOut | None:
    """What lint says of words; None: there are none yet, or they are no text."""
    if not words.strip():
        return None
    given: dict[str, object] = {"text": words}
    if message_class:
        given["class"] = message_class
    try:
        body = LintBody.model_validate(given)
    except ValidationError:  # the text is too long, or the class none: its form says so
        return None
    return await desk.get(templates.lint_text, body=body)


def _words(form: MultiDictProxy[str]) -> str:
    return form.get("text", "").replace("\r\n", "\n").strip()


def _version(history: Sequence[TextVersionOut], no: str) -> TextVersionOut:
    for version in history:
        if str(version.version) == no:
            return version
    raise NotFound(phrase("there is nothing at this address"))


def room(checked: LintedOut) -> int | None:
    """How many characters more leave the number of parts as it is; None: nobody can say."""
    if checked.encoding not in UNITS:
        return None
    alone, joined = UNITS[checked.encoding]
    most = alone if checked.parts == 1 else joined * checked.parts
    return max(0, most - checked.characters)


def worst_first(findings: Sequence[FindingOut]) -> list[FindingOut]:
    """Findings as they are shown: what blocks first."""
    order = {BLOCKING: 0, REVIEW: 1}
    return sorted(findings, key=lambda found: (order.get(found.level, 2), found.at))


def in_language(message: str, language: Language) -> str:
    """What lint says, which it writes in both languages with a stroke between."""
    chinese, _, english = message.partition(" / ")
    return english or chinese if language.code == ENGLISH else chinese


TOLD = {
    "room": room,
    "worst_first": worst_first,
    "in_language": in_language,
    "classes": CLASSES,
}
"""What the templates of texts work out from what lint says."""
