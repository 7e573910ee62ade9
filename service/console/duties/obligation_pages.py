"""Obligations on pages: set, changed, ended; their dates, and the texts that remind of them."""

from typing import Any

from service.accounts.people.model import Right
from service.api.content import templates
from service.api.content.templates import TemplatesQuery
from service.api.duties import obligations, texts
from service.api.duties.documents import WEEKDAY_WORDS, due_words
from service.api.duties.obligations import (
    DatesQuery,
    ObligationBody,
    ObligationEdit,
    ObligationQuery,
)
from service.api.duties.texts import TextChoiceBody
from service.api.duties.words import KINDS
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import departments_of
from service.console.office import words as office_words
from service.console.office.choices import department_names
from service.console.render import Gone, Shown
from service.ledger.message_class import CLASSES
from service.words.phrase import phrase
from service.words.terms import term

PERIODS = {
    "week": phrase("each week"),
    "month": phrase("each month"),
    "once": phrase("once"),
}
SHIFTS = {
    "previous_workday": phrase("the working day before, in the same week or month"),
    "next_workday": phrase("the next working day"),
    "none": phrase("that day all the same"),
}
REMINDERS = {
    "workday_before": phrase("the working day before, at the same hour"),
    "-2h": phrase("two hours before"),
}
RUNGS = {
    "late": phrase("the liaison, a minute after"),
    "leader": phrase("the leader in charge, an hour after"),
    "office": phrase("whoever asks for it, the next working day at 9:00"),
    "missed": phrase("missed twice in a row: the leader in charge and the leader above"),
}
MOST_CHOICES = 300
"""So many single departments can be ticked; more of them are asked by their kinds."""
TEXT_KINDS = {
    "reminder": phrase("Reminder before the deadline"),
    "late": phrase("Late: to the liaison"),
    "leader": phrase("Late: to the leader in charge"),
    "office": phrase("Late: to whoever asks for it"),
    "missed": phrase("Missed twice"),
}


async def show_obligations(desk: Desk) -> Shown:
    """What is owed by whom."""
    query = body_of(ObligationQuery, desk.request.query, given={"limit": 100})
    found = await desk.get(obligations.list_obligations, query=query)
    chosen = await desk.get(texts.list_duty_texts)
    units = [unit for one in found.items for unit in [one.setter_id, *one.departments]]
    return Shown("duties/obligations.html", {
        "items": found.items,
        "next": found.next_cursor,
        "names": await departments_of(desk, units),
        "without_text": [one.kind for one in chosen.items if one.template_id is None],
        "tab": "obligations",
        **_words(desk),
    })  # fmt: skip


async def show_calendar(desk: Desk) -> Shown:
    """When all of it is due."""
    query = body_of(DatesQuery, desk.request.query)
    found = await desk.get(obligations.list_duty_calendar, query=query)
    return Shown("duties/calendar.html", {
        "dates": found.items,
        "first": query.first or "",
        "last": query.last or "",
        "tab": "calendar",
        **_words(desk),
    })  # fmt: skip


async def show_new(desk: Desk) -> Shown:
    """The form for an obligation."""
    names = await department_names(desk)
    return Shown("duties/obligation_new.html", {
        "departments": [(str(one), name) for one, name in names.items()][:MOST_CHOICES],
        "department_kinds": office_words.options(office_words.KINDS, desk.language),
        "tab": "",
        **_words(desk),
    })  # fmt: skip


async def set_obligation(desk: Desk) -> Gone:
    """Let departments owe something."""
    body = body_of(ObligationBody, desk.form)
    made = await desk.act(obligations.set_obligation, body=body)
    done = phrase("It is set. Duties are made when their period begins, those of this one at once.")
    return Gone(f"/obligations/{made.id}", done)


async def show_obligation(desk: Desk) -> Shown:
    """One: what it asks for, and its dates."""
    obligation_id = desk.uuid("obligation_id")
    found = await desk.get(obligations.get_obligation, obligation_id=obligation_id)
    dates = await desk.get(
        obligations.list_obligation_dates, obligation_id=obligation_id, query=DatesQuery()
    )
    units = [found.setter_id, *found.departments]
    return Shown("duties/obligation.html", {
        "found": found,
        "dates": dates.items,
        "names": await departments_of(desk, units),
        "tab": "",
        **_words(desk),
    })  # fmt: skip


async def edit(desk: Desk) -> Gone:
    """Change its title, end, reminders or ladder."""
    obligation_id = desk.uuid("obligation_id")
    until = {} if desk.typed("until") else {"until": None}
    body = body_of(ObligationEdit, desk.form, given=until)
    await desk.act(obligations.edit_obligation, obligation_id=obligation_id, body=body)
    return Gone(f"/obligations/{obligation_id}", phrase("Saved."))


async def show_end(desk: Desk) -> Shown:
    """Ask before an obligation ends."""
    obligation_id = desk.uuid("obligation_id")
    found = await desk.get(obligations.get_obligation, obligation_id=obligation_id)
    return Shown("duties/obligation_end.html", {"found": found, "tab": "", **_words(desk)})


async def end(desk: Desk) -> Gone:
    """Make no further duties of it."""
    obligation_id = desk.uuid("obligation_id")
    await desk.act(obligations.end_obligation, obligation_id=obligation_id)
    return Gone(f"/obligations/{obligation_id}", phrase("It is over. What is owed of it stays so."))


async def show_texts(desk: Desk) -> Shown:
    """Which text each kind of step takes."""
    chosen = await desk.get(texts.list_duty_texts)
    options: list[tuple[str, str]] = []
    if desk.may(Right.READ):
        query = TemplatesQuery(department_id=desk.user.department_id, limit=500)
        found = await desk.get(templates.list_templates, query=query)
        options = [
            (str(one.id), one.name)
            for one in found.items
            if one.message_class == "service" and one.approved_by is not None
        ]
    none = ("", desk.language.say(phrase("none: nobody is told")))
    return Shown("duties/texts.html", {
        "chosen": chosen.items,
        "options": [none, *options],
        "tab": "",
        **_words(desk),
    })  # fmt: skip


async def choose_text(desk: Desk) -> Gone:
    """Choose the text of one kind of step."""
    given = {} if desk.typed("template_id") else {"template_id": None}
    body = body_of(TextChoiceBody, desk.form, given=given)
    await desk.act(texts.choose_duty_text, body=body)
    return Gone("/obligations/texts", phrase("Saved."))


def _words(desk: Desk) -> dict[str, Any]:
    say = desk.language.say

    def options(words: Any) -> list[tuple[str, str]]:
        return [(code, say(word)) for code, word in words.items()]

    return {
        "kinds": {code: say(word) for code, word in KINDS.items()},
        "kind_options": options(KINDS),
        "weekday_options": [("", "–"), *options(WEEKDAY_WORDS)],
        "period_options": options(PERIODS),
        "shift_options": options(SHIFTS),
        "remind_options": options(REMINDERS),
        "rung_options": options(RUNGS),
        "class_options": [("", "–"), *((one, desk.language.plain(term(one))) for one in CLASSES)],
        "text_kinds": {code: say(word) for code, word in TEXT_KINDS.items()},
        "due_words": lambda one: say(due_words(one)),
        "kind_name": lambda kind: desk.language.plain(term(kind)),
        "may_set": desk.may(Right.OBLIGATIONS),
    }
