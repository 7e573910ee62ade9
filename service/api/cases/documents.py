"""Bulletins, the public's sheet and the goals as documents: to download, print and put up."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from service.api.cases.bulletins import (
    BulletinOut,
    BulletinPlaceOut,
    PublicBulletinOut,
    PublicTableOut,
    get_bulletin,
    public_bulletin,
)
from service.api.cases.goals import GoalOut, GoalsOut, GoalsQuery, get_goals
from service.api.documents import DocumentLanguage, DocumentWords, downloaded
from service.api.http.call import Call, Download
from service.api.http.schema import QueryString
from service.cases.week import need_week
from service.documents.document import (
    UNDATED,
    Document,
    DocumentBlock,
    DocumentCell,
    DocumentFormat,
    Heading,
    Paragraph,
    Table,
)
from service.words.phrase import Phrase, phrase

BulletinSheet = Literal["internal", "public"]


class DocumentQuery(QueryString):
    """In which form."""

    format: DocumentFormat = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


class BulletinDocumentQuery(DocumentQuery):
    """In which form, and for whom."""

    sheet: BulletinSheet = Field(
        default="internal",
        description="internal: as your department may see it; public: what everybody may see.",
    )


class GoalsDocumentQuery(DocumentQuery, GoalsQuery):
    """In which form, as of which week."""


async def get_bulletin_document(call: Call, week: str, query: BulletinDocumentQuery) -> Download:
    """Download a bulletin as a document: as you may see it, or the sheet for the public."""
    which, words = need_week(week, "week"), _Words(query.language, call.runtime.settings.zone)
    if query.sheet == "public":
        made = _public(await public_bulletin(call.conn, which), words)
    else:
        made = _internal(await get_bulletin(call, week), words)
    name = f"bulletin-{which}" + ("-public" if query.sheet == "public" else "")
    return await downloaded(call, made, query.format, name)


async def get_goals_document(call: Call, query: GoalsDocumentQuery) -> Download:
    """Download how the goals stand as a document."""
    found = await get_goals(call, GoalsQuery(as_of=query.as_of))
    made = _goals(found, _Words(query.language, call.runtime.settings.zone))
    return await downloaded(call, made, query.format, f"goals-{found.as_of or 'none'}")


class _Words(DocumentWords):
    """Sentences, and days of the county, in the language of a document."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        super().__init__(language)
        self._zone = zone

    def day(self, day: date) -> str:
        """A day with its year."""
        if self.language == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day:%Y-%m-%d}"

    def day_of(self, instant: datetime) -> str:
        """The day of an instant in the county."""
        return self.day(instant.astimezone(self._zone).date())


def _internal(found: BulletinOut, words: _Words) -> Document:
    """A bulletin as somebody may see it."""
    say = words.say
    issued = found.versions[-1] if found.versions else None
    title = phrase("Fraud bulletin {number} (internal)", number=found.number)
    if issued is None:
        title = phrase("Fraud bulletin {number} (draft)", number=found.number)
    blocks: list[DocumentBlock] = [Paragraph(say(sentence)) for sentence in _sums(found)]
    blocks += _place_tables(found, words)
    if found.without_cases:
        towns = say(phrase("Towns without a case (for the office):"))
        blocks.append(Paragraph(f"{towns} {'、'.join(found.without_cases)}"))
    if len(found.versions) > 1:
        blocks.append(_versions(found, words))
    blocks.append(Paragraph(say(_NO_CAUSE), quiet=True))
    if issued is not None:
        hashed = phrase("SHA-256 of the figures: {digest}", digest=issued.sha256)
        blocks.append(Paragraph(say(hashed), quiet=True))
    return Document(
        "bulletin",
        say(title),
        _span(
            found.week,
            found.first_day,
            found.last_day,
            found.version,
            issued.issued_at if issued else None,
            words,
        ),
        words.language,
        blocks,
        issued.issued_at if issued else UNDATED,
        {"number": found.number, "week": found.week}
        | {"day": words.day_of(issued.issued_at) if issued else ""},
    )


_NO_CAUSE = phrase("The figures say what happened, and not why.")


def _span(
    week: str, first: date, last: date, version: int, issued_at: datetime | None, words: _Words
) -> str:
    span = (
        f"{words.day(first)}–{words.day(last)}（{week}）"
        if words.language == "zh"
        else (f"{words.day(first)} – {words.day(last)} ({week})")
    )
    if issued_at is None:
        return span
    issued = phrase(
        "version {version}, issued on {day}", version=version, day=words.day_of(issued_at)
    )
    return f"{span} · {words.say(issued)}"


def _sums(found: BulletinOut) -> Iterator[Phrase]:
    """The county's figures in sentences; last year's beside them where they are known."""
    yield phrase("Cases in the county: {cases:,}.", cases=found.cases)
    yield _compared(found.cases_last_year, found.cases_change_pct)
    if found.loss_yuan is not None:
        yield phrase("Loss: {loss:,} yuan.", loss=found.loss_yuan)
        yield _compared(found.loss_last_year, found.loss_change_pct)


def _compared(before: int | None, change: float | None) -> Phrase:
    if before is None:
        return phrase("The same week of last year is not known.")
    if change is None:
        return phrase("In the same week of last year: {before:,}.", before=before)
    return phrase(
        "In the same week of last year: {before:,}; change {change:+.1f} %.",
        before=before,
        change=change,
    )


def _place_tables(found: BulletinOut, words: _Words) -> Iterator[Table]:
    villages = [place for place in found.villages if place.cases]
    kinds = [place for place in found.types if place.cases]
    for title, places in (
        (phrase("Towns"), found.towns),
        (phrase("Kinds of fraud"), kinds),
        (phrase("Villages"), villages),
    ):
        if places:
            yield _places(title, places, words)


def _places(title: Phrase, places: Sequence[BulletinPlaceOut], words: _Words) -> Table:
    """Cases, and losses where the reader may see one of them; the most cases first."""
    ordered = sorted(places, key=lambda place: (-place.cases, place.key))
    if all(place.loss_yuan is None for place in places):
        columns = words.columns((title, None), (_CASES, 0))
        rows: list[list[DocumentCell]] = [[place.name, place.cases] for place in ordered]
    else:
        columns = words.columns((title, None), (_CASES, 0), (_LOSS, 0))
        rows = [[place.name, place.cases, place.loss_yuan] for place in ordered]
    return Table(words.say(title), columns, rows, chart=1)


_CASES = phrase("Cases")
_LOSS = phrase("Loss, yuan")


def _versions(found: BulletinOut, words: _Words) -> Table:
    columns = words.columns(
        (phrase("Version"), 0), (phrase("Issued on"), None), (phrase("Why it is corrected"), None)
    )
    rows: list[list[DocumentCell]] = [
        [one.version, words.day_of(one.issued_at), one.reason] for one in found.versions
    ]
    return Table(words.say(phrase("Versions")), columns, rows)


def _public(found: PublicBulletinOut, words: _Words) -> Document:
    """What everybody may see of a week."""
    say = words.say
    blocks: list[DocumentBlock] = [
        Paragraph(say(phrase("Cases in the county: {cases:,}.", cases=found.cases)))
    ]
    if found.loss_wan is not None:
        loss = phrase("Loss: {loss:,.1f} times 10,000 yuan.", loss=found.loss_wan)
        blocks.append(Paragraph(say(loss)))
    if found.kinds:
        blocks.append(Paragraph(f"{say(phrase('Beware of:'))} {'、'.join(found.kinds)}"))
    blocks.append(Paragraph(say(_STOP)))
    blocks += _parts(phrase("Towns"), found.towns, found.names, words)
    if (quarter := found.quarter) is not None:
        count = say(phrase("{count} cases", count=quarter.cases))
        blocks.append(Heading(f"{quarter.period}: {count}"))
        if quarter.corrected_by:
            blocks.append(Paragraph(say(_corrected(quarter.corrected_by)), quiet=True))
        blocks += _parts(phrase("Towns"), quarter.towns, found.names, words)
        blocks += _parts(phrase("Kinds of fraud"), quarter.kinds, found.names, words)
        blocks.append(Paragraph(say(_ADDED_UP), quiet=True))
    return Document(
        "public",
        say(phrase("Fraud bulletin {number}", number=found.number)),
        _span(found.week, found.first_day, found.last_day, found.version, found.issued_at, words),
        words.language,
        blocks,
        found.issued_at,
        {"number": found.number, "week": found.week, "day": words.day_of(found.issued_at)},
    )


_STOP = phrase("Whoever asks for a transfer, a code or your screen: stop, and call 96110.")
_ADDED_UP = phrase("Small numbers are added up, so that nobody who was cheated can be recognised.")


def _corrected(by: int) -> Phrase:
    return phrase(
        "Corrected since by {count:+}; the parts are those of the first release.", count=by
    )


def _parts(
    title: Phrase, table: PublicTableOut | None, names: Mapping[str, str], words: _Words
) -> Iterator[Table]:
    if table is None or table.hidden:
        return
    shown = sorted(table.shown.items(), key=lambda part: (-part[1], part[0]))
    rows: list[list[DocumentCell]] = [[names.get(key, key), count] for key, count in shown]
    if table.rest_parts is not None:
        others = phrase("The other {count} together", count=table.rest_parts)
        rows.append([words.say(others), table.rest])
    yield Table(words.say(title), words.columns((title, None), (_CASES, 0)), rows, chart=1)


def _goals(found: GoalsOut, words: _Words) -> Document:
    """The board of goals: a row each, then what the colours mean."""
    columns = words.columns(
        (phrase("Goal"), None),
        (phrase("Period"), None),
        (phrase("Target, %"), 1),
        (phrase("Cases"), 0),
        (phrase("Last year"), 0),
        (phrase("Change, %"), 1),
        (phrase("Exact interval, %"), None),
        (phrase("Loss, change %"), 1),
        (phrase("Loss without the largest row, %"), 1),
        (phrase("Stand"), None),
    )
    table = Table(words.say(phrase("Goals")), columns, [_goal(goal, words) for goal in found.items])
    subtitle = phrase("No figures yet.")
    if found.as_of is not None:
        subtitle = phrase("Year on year, as of {week}", week=found.as_of)
    return Document(
        "goals",
        words.say(phrase("Goals")),
        words.say(subtitle),
        words.language,
        [
            table,
            Paragraph(words.say(_GREY), quiet=True),
            Paragraph(words.say(_NO_CAUSE), quiet=True),
        ],
        found.set_at or UNDATED,
        {"week": found.as_of or ""},
    )


_GREY = phrase("Chance cannot be ruled out where the interval holds no change at all.")
STANDS = {
    "green": phrase("met"),
    "grey": phrase("met, but chance cannot be ruled out"),
    "red": phrase("not met"),
    "unknown": phrase("unknown"),
}
GAPS = {
    "not_begun": phrase("the period has not begun"),
    "weeks_missing": phrase("weeks without figures"),
    "base_missing": phrase("last year's weeks are not known"),
    "base_zero": phrase("there was none last year"),
}


def _goal(goal: GoalOut, words: _Words) -> list[DocumentCell]:
    stand = words.say(STANDS[goal.colour])
    if goal.gap is not None:
        stand += f" ({words.say(GAPS[goal.gap])})"
    elif not goal.final:
        stand += f" ({words.say(phrase('not final'))})"
    interval = None
    if goal.cases_interval_pct is not None:
        low, high = goal.cases_interval_pct
        interval = f"{low} … {'∞' if high is None else high}"
    return [
        goal.title,
        f"{goal.year} {goal.period}",
        goal.target_change_pct,
        goal.cases,
        goal.cases_last_year,
        goal.cases_change_pct,
        interval,
        goal.loss_change_pct,
        goal.loss_without_largest_pct,
        stand,
    ]
