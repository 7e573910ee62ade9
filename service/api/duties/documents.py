"""The late list, obligations and the calendar of duties as files: to download, print and put up."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from service.accounts.departments.department_store import list_departments
from service.api.documents import downloaded
from service.api.duties import duties, obligations
from service.api.duties.obligations import DatesQuery, ObligationOut, ObligationQuery
from service.api.duties.words import KINDS, STATES
from service.api.http.call import Call, Download
from service.documents.document import (
    UNDATED,
    Column,
    Document,
    DocumentBlock,
    DocumentCell,
    Paragraph,
    Table,
)
from service.words.phrase import Phrase, phrase, translated
from service.words.terms import term

DutySheet = Literal["late", "obligations", "calendar"]


class DutyDocumentQuery(DatesQuery):
    """Which of them, in which form and language; `from` and `to`: of the calendar."""

    sheet: DutySheet
    format: Literal["xlsx", "html"] = Field(
        default="xlsx", description="html: a page of its own, to print or to save as PDF."
    )
    language: Literal["zh", "en"] = Field(default="zh", description="Of the words in the file.")


async def get_duty_document(call: Call, query: DutyDocumentQuery) -> Download:
    """Download the late list, the obligations in force, or the calendar of their dates."""
    words = _DutyWords(query.language, call.runtime.settings.zone)
    if query.sheet == "late":
        made = await _late(call, words)
    elif query.sheet == "obligations":
        made = await _obligations(call, words)
    else:
        made = await _calendar(call, query, words)
    return await downloaded(call, made, query.format, f"duties-{query.sheet}")


class _DutyWords:
    """Sentences and instants in the language of a document."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self._zone = zone

    def say(self, text: object) -> str:
        """A text in the language."""
        return translated(text, self.language)

    def columns(self, *labels: tuple[Phrase, int | None]) -> list[Column]:
        """Columns of a table: what each is called, and the decimals of its numbers."""
        return [Column(self.say(label), decimals) for label, decimals in labels]

    def at(self, instant: datetime | None) -> str | None:
        """An instant to the minute, in the county's zone."""
        if instant is None:
            return None
        return f"{instant.astimezone(self._zone):%Y-%m-%d %H:%M}"

    def listing(self, texts: Sequence[str]) -> str:
        """Several texts in one cell."""
        return ("；" if self.language == "zh" else "; ").join(map(self.say, texts))


async def _late(call: Call, words: _DutyWords) -> Document:
    found = await duties.list_late(call)
    people = {"liaison": words.say(phrase("liaison")), "leader": words.say(phrase("leader"))}
    missing: list[list[DocumentCell]] = [
        [one.department, "、".join(people.get(name, name) for name in one.missing)]
        for one in found.without_people
    ]
    rows: list[list[DocumentCell]] = [
        [
            one.department,
            one.title,
            one.period,
            words.at(one.owed_at),
            one.overdue_minutes,
            words.say(STATES[one.state]),
        ]
        for one in found.items
    ]
    blocks: list[DocumentBlock] = []
    if missing:
        columns = words.columns((phrase("Unit"), None), (phrase("Nobody is named as"), None))
        blocks.append(
            Table(words.say(phrase("Units without a liaison or leader")), columns, missing)
        )
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("What is owed"), None),
        (phrase("Period"), None),
        (phrase("Due"), None),
        (phrase("Minutes late"), 0),
        (phrase("State"), None),
    )
    blocks.append(Table(words.say(phrase("Late")), columns, rows))
    if not rows:
        blocks.append(Paragraph(words.say(phrase("Nobody is late."))))
    return _document("late", phrase("Late list"), words.at(found.as_of) or "", words, blocks)


async def _obligations(call: Call, words: _DutyWords) -> Document:
    found = await obligations.list_obligations(call, ObligationQuery(limit=500))
    units = list({unit for one in found.items for unit in one.departments})
    listed = await list_departments(call.conn, None, None, len(units), ids=units)
    names = {one.id: one.name for one in listed}
    columns = words.columns(
        (phrase("What is owed"), None),
        (phrase("Kind"), None),
        (phrase("By whom"), None),
        (phrase("Due"), None),
        (phrase("Next"), None),
        (phrase("From which day"), None),
        (phrase("Last day"), None),
    )

    def whose(one: ObligationOut) -> str:
        kinds = [words.say(term(kind)) for kind in one.kinds]
        return "、".join([*kinds, *(names.get(unit, "?") for unit in one.departments)])

    rows: list[list[DocumentCell]] = [
        [
            one.title,
            words.say(KINDS[one.kind]),
            whose(one),
            words.say(due_words(one)),
            words.at(one.next_due_at),
            one.from_on.isoformat(),
            _day(one.until_on),
        ]
        for one in found.items
    ]
    table = Table(words.say(phrase("Obligations")), columns, rows)
    return _document("obligations", phrase("Obligations"), "", words, [table])


def due_words(one: ObligationOut) -> Phrase:
    """When something is due, in words."""
    if one.due.weekday is not None:
        return phrase(
            "each week on {weekday} at {time}",
            weekday=WEEKDAY_WORDS[one.due.weekday],
            time=one.due.time,
        )
    if one.due.day is not None:
        return phrase("each month on day {day} at {time}", day=one.due.day, time=one.due.time)
    return phrase("once, on {day} at {time}", day=str(one.due.on), time=one.due.time)


WEEKDAY_WORDS = {
    "MO": phrase("Monday"),
    "TU": phrase("Tuesday"),
    "WE": phrase("Wednesday"),
    "TH": phrase("Thursday"),
    "FR": phrase("Friday"),
    "SA": phrase("Saturday"),
    "SU": phrase("Sunday"),
}


async def _calendar(call: Call, query: DutyDocumentQuery, words: _DutyWords) -> Document:
    span = DatesQuery.model_validate({"from": query.first, "to": query.last})
    found = await obligations.list_duty_calendar(call, span)
    columns = words.columns(
        (phrase("Due"), None),
        (phrase("What is owed"), None),
        (phrase("Period"), None),
        (phrase("Remark"), None),
    )
    rows: list[list[DocumentCell]] = [
        [words.at(one.due_at), one.title, one.period, words.listing(one.notes)]
        for one in found.items
    ]
    table = Table(words.say(phrase("Calendar of duties")), columns, rows)
    return _document("duty-calendar", phrase("Calendar of duties"), "", words, [table])


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _document(
    key: str, title: Phrase, subtitle: str, words: _DutyWords, blocks: list[DocumentBlock]
) -> Document:
    return Document(key, words.say(title), subtitle, words.language, blocks, UNDATED, {})
