"""What a period of cases amounts to beside chance, as a document: to download, print and file."""

from collections.abc import Iterator

from service.api.cases.documents import DocumentQuery
from service.api.documents import DocumentWords, downloaded
from service.api.http.call import Call, Download
from service.api.reports.effect import (
    ChangeOut,
    EffectOut,
    EffectQuery,
    TownEffectOut,
    TrendOut,
    get_effect,
)
from service.documents.document import (
    UNDATED,
    Document,
    DocumentBlock,
    DocumentCell,
    Paragraph,
    Table,
)
from service.words.phrase import Phrase, phrase

STANDS = {
    "": phrase("within chance"),
    "inner": phrase("outside 95 in 100"),
    "outer": phrase("outside 998 in 1,000"),
}
"""Where a town stands beside its share of the cases."""
_NO_CAUSE = phrase(
    "Cases change for many reasons. This page says how far a change lies beyond chance, never what"
    " caused it."
)
_NO_TEST = phrase(
    "Split at the median of the quarter's coverage. Villages differ in more than coverage, so no"
    " test is made."
)


class EffectDocumentQuery(DocumentQuery, EffectQuery):
    """In which form, of which period."""


async def get_effect_document(call: Call, query: EffectDocumentQuery) -> Download:
    """Download cases of a period beside the year before and beside what chance brings."""
    found = await get_effect(call, EffectQuery(period=query.period))
    made = _document(found, DocumentWords(query.language))
    return await downloaded(call, made, query.format, f"effect-{found.period}")


def _document(found: EffectOut, words: DocumentWords) -> Document:
    blocks: list[DocumentBlock] = [_changes(found, words)]
    blocks += _weeks(found.trend, words)
    if found.towns:
        blocks.append(_towns(found.towns, words))
    if found.coverage:
        blocks.append(_halves(found, words))
        blocks.append(Paragraph(words.say(_NO_TEST), quiet=True))
    blocks.append(Paragraph(words.say(_NO_CAUSE), quiet=True))
    subtitle = phrase("Nothing of {period} is covered yet.", period=found.period)
    if found.as_of is not None:
        subtitle = phrase("{period}, up to {week}", period=found.period, week=found.as_of)
    return Document(
        "effect",
        words.say(phrase("Did it help?")),
        words.say(subtitle),
        words.language,
        blocks,
        UNDATED,
        {"period": found.period},
    )


_CHANGE: tuple[tuple[Phrase, int | None], ...] = (
    (phrase("Cases"), 0),
    (phrase("Last year"), 0),
    (phrase("Ratio"), 3),
    (phrase("Exact interval"), None),
    (phrase("By itself, in 100 tries"), 1),
)


def _change(one: ChangeOut) -> list[DocumentCell]:
    interval = None
    if one.interval is not None:
        low, high = one.interval
        interval = f"{low} … {'∞' if high is None else high}"
    chance = None if one.chance is None else one.chance * 100
    return [one.cases, one.last_year, one.ratio, interval, chance]


def _changes(found: EffectOut, words: DocumentWords) -> Table:
    columns = words.columns((phrase("Area"), None), *_CHANGE)
    rows = [[words.say(phrase("The county")), *_change(found.county)]]
    rows += ([town.name, *_change(town)] for town in found.towns)
    return Table(words.say(phrase("This year and last")), columns, rows)


def _weeks(trend: TrendOut, words: DocumentWords) -> Iterator[DocumentBlock]:
    """The watch: its rule in words, and a row for each week."""
    if not trend.weeks:
        return
    columns = words.columns(
        (phrase("Week"), None),
        (phrase("Cases"), 0),
        (phrase("Last year"), 0),
        (phrase("Sum of the watch"), 1),
        (phrase("Alarm"), None),
    )
    alarm = words.say(phrase("Alarm"))
    rows: list[list[DocumentCell]] = [
        [week.week, week.cases, week.last_year, week.total, alarm if week.alarm else ""]
        for week in trend.weeks
    ]
    yield Table(words.say(phrase("Week by week")), columns, rows, chart=1)
    if trend.reference is None:
        few = phrase("Too few weeks of the year before are covered, or too few cases, to watch.")
        yield Paragraph(words.say(few), quiet=True)
        return
    rule = phrase(
        "Usual are {usual} cases a week. An alarm comes where the weeks together lie {bound} cases"
        " above {reference} a week: without any change every {none:.0f} weeks on the mean; half as"
        " many again are found after {half} weeks, twice as many after {twice}.",
        usual=trend.usual,
        bound=trend.bound,
        reference=trend.reference,
        none=trend.weeks_without_change,
        half=trend.weeks_to_half_more,
        twice=trend.weeks_to_twice,
    )
    yield Paragraph(words.say(rule), quiet=True)


def _towns(towns: list[TownEffectOut], words: DocumentWords) -> Table:
    columns = words.columns(
        (phrase("Town"), None),
        (phrase("Cases"), 0),
        (phrase("Expected"), 1),
        (phrase("By chance"), None),
        (phrase("Stands"), None),
        (phrase("Alarm"), None),
    )
    rows: list[list[DocumentCell]] = [
        [
            town.name,
            town.cases,
            town.expected,
            f"{town.limits[0]} … {town.limits[1]}" if town.limits else None,
            words.say(STANDS[town.outside]) if town.limits else None,
            "、".join(town.alarms),
        ]
        for town in towns
    ]
    return Table(words.say(phrase("Towns beside chance")), columns, rows)


def _halves(found: EffectOut, words: DocumentWords) -> Table:
    columns = words.columns((phrase("Coverage"), None), (phrase("Villages"), 0), *_CHANGE)
    rows: list[list[DocumentCell]] = [
        [f"{half.from_pct} … {half.to_pct} %", half.villages, *_change(half)]
        for half in found.coverage or ()
    ]
    return Table(words.say(phrase("Villages of low and of high coverage")), columns, rows)
