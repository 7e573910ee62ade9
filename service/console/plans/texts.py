"""The texts of a plan: which may be chosen, narrowed by words, and what each says with its values.

A text is one of the department, by its id, or one that comes with the program (`LIBRARY` and its
id), which becomes one of the department when the plan is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from multidict import MultiDict
from pydantic import ValidationError

from service.accounts.people.model import Right
from service.api.campaigns.details import CampaignDetail
from service.api.content import library, templates
from service.api.content.library import StarterOut
from service.api.content.templates import (
    LintBody,
    LintedOut,
    TemplateBody,
    TemplateOut,
    TemplatesQuery,
)
from service.api.http.paging import MAX_LIMIT
from service.console.asking import Desk
from service.console.plans import form as forms
from service.console.plans.figures import WeekFigures, field_of
from service.errors import Conflict, Invalid, NotFound, TocsinError
from service.messages.template import fill
from service.words.phrase import phrase

PLACES: Final[Mapping[str, str]] = {
    "template_id": "values.",
    **{
        f"more_texts.{number}": f"{forms.MORE_VALUES}{number}."
        for number in range(1, forms.MORE_TEXTS + 1)
    },
}
"""The fields that choose a text, each with what the fields of its values begin with."""
FIND, FOUND = "_find", "_found"
"""The fields with the words that narrow the lists, and with those by which the page's lists are."""
MOST_LISTED = 100

ChosenText = TemplateOut | StarterOut


@dataclass(frozen=True, slots=True)
class TextChoices:
    """What can be chosen. own, starters: what has the words; chosen: of the department, what the
    plan or the form has, whether it has the words or not. more: whether others have the words too.
    """

    own: Sequence[TemplateOut]
    starters: Sequence[StarterOut]
    chosen: Mapping[str, TemplateOut]
    library: Mapping[str, StarterOut]
    words: str
    more: bool

    def text(self, value: str) -> ChosenText | None:
        """The text that a value of the form means."""
        if value in self.library:
            return self.library[value]
        if value in self.chosen:
            return self.chosen[value]
        return next((text for text in self.own if str(text.id) == value), None)

    @property
    def count(self) -> int:
        """How many have the words."""
        return len(self.own) + len(self.starters)

    def own_options(self, value: str) -> list[tuple[str, str]]:
        """The department's texts, with the one that is chosen."""
        listed = {str(text.id): text.name for text in self.own}
        if value in self.chosen and value not in listed:
            listed = {value: self.chosen[value].name, **listed}
        return list(listed.items())

    def library_options(self, value: str) -> list[tuple[str, StarterOut]]:
        """The texts that come with the program, with the one that is chosen."""
        listed = {forms.LIBRARY + one.id: one for one in self.starters}
        if value in self.library and value not in listed:
            listed = {value: self.library[value], **listed}
        return list(listed.items())


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text that is chosen, as it reads with the values that were typed. counted: how long it is
    so, and what lint says; None: it cannot be sent like this. week: whose bulletin gives it
    figures on cases; "": none is chosen.
    """

    text: ChosenText
    words: str
    counted: LintedOut | None
    week: str = ""
    figures: Mapping[str, str] = field(default_factory=dict)


async def read_texts(
    desk: Desk, known: CampaignDetail | None, values: Mapping[str, Any] | None
) -> TextChoices:
    """The texts for a campaign of the reader's department, or of its own."""
    whose = known.department_id if known else desk.user.department_id
    said = str((values or {}).get(FIND, "")).strip()[:200]
    query = TemplatesQuery(words=said or None, department_id=whose, limit=MOST_LISTED)
    page = await desk.get(templates.list_templates, query=query)
    starters = (await desk.get(library.list_library)).items if desk.may(Right.WRITE) else []
    had = {text.text for text in page.items}
    return TextChoices(
        page.items,
        [one for one in starters if one.text not in had and _has(one, said)],
        await _chosen(desk, known, values or {}, page.items),
        {forms.LIBRARY + one.id: one for one in starters},
        said,
        page.next_cursor is not None,
    )


def _has(starter: StarterOut, words: str) -> bool:
    """Whether a text that comes with the program has each of these words."""
    title, text = starter.title, starter.text
    within = f"{title.zh} {title.en} {text}".lower()
    return all(word in within for word in words.lower().split())


async def _chosen(
    desk: Desk,
    known: CampaignDetail | None,
    values: Mapping[str, Any],
    listed: Iterable[TemplateOut],
) -> dict[str, TemplateOut]:
    """The texts of the department that the form or the plan has, by their ids."""
    wanted = {str(values.get(name) or "") for name in PLACES}
    if known is not None:
        wanted |= {str(known.template_id), *(str(one.template_id) for one in known.more_texts)}
    found = {str(text.id): text for text in listed if str(text.id) in wanted}
    for value in sorted(wanted - found.keys()):
        try:
            text = await desk.get(templates.get_template, template_id=UUID(value))
        except (ValueError, NotFound):  # none is chosen, or it is not one of the department
            continue
        found[value] = text
    return found


async def read_words(
    desk: Desk, choices: TextChoices, values: Mapping[str, Any], known: WeekFigures
) -> dict[str, ShownText]:
    """What each text that is chosen says, by the field that chooses it."""
    found = {}
    for name, place in PLACES.items():
        text = choices.text(str(values.get(name) or ""))
        if text is not None:
            typed = forms.without_figures(forms.typed_after(values, place))
            week = str(values.get(field_of(name)) or "")
            given = known.of(text.text, week)
            shown = await _shown(desk, text, {**typed, **given})
            found[name] = replace(shown, week=week, figures=given)
    return found


async def _shown(desk: Desk, text: ChosenText, values: Mapping[str, str]) -> ShownText:
    words = fill(text.text, values.items())
    if isinstance(text, TemplateOut) and words == text.text:
        return ShownText(text, words, text)
    try:
        body = LintBody.model_validate({"text": words, "class": text.message_class})
        return ShownText(text, words, await desk.get(templates.lint_text, body=body))
    except (TocsinError, ValidationError):  # a value is too long, or has a brace in it
        return ShownText(text, words, None)


async def own_texts(desk: Desk, form: MultiDict[str]) -> None:
    """Put a text of the department in the place of each that comes with the program; one is made
    where there is none yet.

    Raises:
        Invalid: there is no such text.
    """
    wanted = {name: form[name] for name in PLACES if form.get(name, "").startswith(forms.LIBRARY)}
    if not wanted:
        return
    async with desk.reading():
        starters = {forms.LIBRARY + s.id: s for s in (await desk.get(library.list_library)).items}
        for name, value in wanted.items():
            if value not in starters:
                raise Invalid.at(name, phrase("choose the text that is sent"))
        ids = {value: await _same(desk, starters[value]) for value in wanted.values()}
    for value, template_id in ids.items():
        if template_id is None:
            starter = starters[value]
            body = TemplateBody.model_validate(
                {"name": starter.name, "class": starter.message_class, "topic": starter.topic,
                 "language": starter.language, "text": starter.text}
            )  # fmt: skip
            try:
                with desk.part(starter.id):
                    ids[value] = (await desk.act(templates.create_template, body=body)).id
            except Conflict as error:  # its own text of this name says something else
                place = next(name for name, one in wanted.items() if one == value)
                said = phrase("your department has changed this text: choose yours")
                raise Invalid.at(place, said) from error
    for name, value in wanted.items():
        form[name] = str(ids[value])


async def _same(desk: Desk, starter: StarterOut) -> UUID | None:
    """The department's text with the words of one that comes with the program; None: none."""
    own = desk.user.department_id
    longest = max(starter.text.split(), key=len)[:200]
    query = TemplatesQuery(words=longest, department_id=own, limit=MAX_LIMIT)
    while True:
        page = await desk.get(templates.list_templates, query=query)
        for one in page.items:
            if (one.text, one.message_class) == (starter.text, starter.message_class):
                return one.id
        if page.next_cursor is None:
            return None
        query = query.model_copy(update={"cursor": page.next_cursor})
