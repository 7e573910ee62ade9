"""The score sheet as a document: points by unit, what they are counted from, and the funnel."""

from service.api.cases.documents import DocumentQuery
from service.api.documents import DocumentWords, downloaded
from service.api.http.call import Call, Download
from service.api.reports.assessment import (
    AssessmentOut,
    FunnelTownOut,
    ScoredItemOut,
    UnitScoreOut,
    get_assessment,
)
from service.api.reports.assessment_rules import AssessmentQuery
from service.api.reports.effect_document import STANDS
from service.documents.document import (
    UNDATED,
    Document,
    DocumentBlock,
    DocumentCell,
    Paragraph,
    Table,
)
from service.duties.assessment.score import ScoreGap, ScoreItem
from service.words.phrase import phrase

ITEMS = {
    ScoreItem.REPORTS: phrase("Reports on time"),
    ScoreItem.COVERAGE: phrase("Coverage"),
    ScoreItem.RELAYS: phrase("Relays confirmed"),
    ScoreItem.HOUSEHOLDS: phrase("Households told"),
    ScoreItem.CASES: phrase("Cases"),
    ScoreItem.OWN_STAFF: phrase("Cases of own staff"),
}
SCORE_GAPS = {
    ScoreGap.OFF: phrase("weighs nothing"),
    ScoreGap.NONE_DUE: phrase("no report was due"),
    ScoreGap.NO_AREA_OR_LIST: phrase("no area, and no list with a number"),
    ScoreGap.NOT_COUNTED: phrase("nothing was sent, or it is not counted yet"),
    ScoreGap.NO_DENOMINATOR: phrase("nobody has said how many there should be"),
    ScoreGap.NO_RELAYS: phrase("no relay was due"),
    ScoreGap.NO_ROUND: phrase("no household round was due"),
    ScoreGap.NO_TOWN: phrase("no town"),
    ScoreGap.NO_GOAL: phrase("no goal for all cases is set"),
    ScoreGap.WEEKS_MISSING: phrase("weeks without figures"),
    ScoreGap.BASE_MISSING: phrase("last year's weeks are not known"),
    ScoreGap.BASE_ZERO: phrase("there was none last year"),
    ScoreGap.NOT_STATED: phrase("nobody has stated any"),
}
NOT_RANKED = phrase(
    "Units are ranked by points, never by cases: towns of 7,000 people differ by chance."
)
LEFT_OUT = phrase(
    "An item that does not apply to a unit is left out, and the points are scaled to 100."
)
STATED = phrase(
    "Case figures name no victim. Cases of own staff are those that the unit or the county states."
)


class AssessmentDocumentQuery(DocumentQuery, AssessmentQuery):
    """In which form, of which quarter."""


async def get_assessment_document(call: Call, query: AssessmentDocumentQuery) -> Download:
    """Download the score sheet of a quarter as a document."""
    found = await get_assessment(call, AssessmentQuery(period=query.period))
    made = _sheet(found, DocumentWords(query.language))
    return await downloaded(call, made, query.format, f"assessment-{found.period}")


def _sheet(found: AssessmentOut, words: DocumentWords) -> Document:
    columns = words.columns(
        (phrase("Rank"), 0),
        (phrase("Unit"), None),
        (phrase("Score"), 1),
        *((ITEMS[item], 1) for item in ScoreItem),
        (phrase("Missed twice in a row"), 0),
    )
    rows: list[list[DocumentCell]] = [
        [
            one.rank,
            one.department,
            one.score,
            *(item.points for item in one.items),
            one.missed_twice,
        ]
        for one in found.units
    ]
    blocks: list[DocumentBlock] = [Table(words.say(phrase("Score sheet")), columns, rows)]
    blocks.append(_counted(found, words))
    if found.funnel:
        blocks.append(_funnel(found.funnel, words))
    blocks += (
        Paragraph(words.say(sentence), quiet=True) for sentence in (LEFT_OUT, NOT_RANKED, STATED)
    )
    subtitle = phrase(
        "{period}, rules version {version}", period=found.period, version=found.rules.version
    )
    if not found.final:
        subtitle = phrase(
            "{period}, rules version {version}, not final",
            period=found.period,
            version=found.rules.version,
        )
    return Document(
        "assessment",
        words.say(phrase("Score sheet")),
        words.say(subtitle),
        words.language,
        blocks,
        UNDATED,
        {"period": found.period},
    )


def _counted(found: AssessmentOut, words: DocumentWords) -> Table:
    """A row for each item of each unit: what it is counted from, or why it does not apply."""
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Item"), None),
        (phrase("Counted"), 0),
        (phrase("Of, or expected"), 1),
        (phrase("Weight"), 0),
        (phrase("Points"), 1),
        (phrase("Remark"), None),
    )
    rows = [_item(unit, item, words) for unit in found.units for item in unit.items]
    return Table(words.say(phrase("What the points are counted from")), columns, rows)


def _item(unit: UnitScoreOut, item: ScoredItemOut, words: DocumentWords) -> list[DocumentCell]:
    remark = ""
    if item.gap is not None:
        remark = words.say(SCORE_GAPS[item.gap])
    elif item.chance is not None:
        by_itself = phrase("so many or more by chance: {chance:.3f}", chance=item.chance)
        remark = words.say(by_itself)
    return [
        unit.department,
        words.say(ITEMS[item.item]),
        item.part,
        item.whole,
        item.weight,
        item.points,
        remark,
    ]


def _funnel(towns: list[FunnelTownOut], words: DocumentWords) -> Table:
    columns = words.columns(
        (phrase("Town"), None),
        (phrase("Cases"), 0),
        (phrase("Expected"), 1),
        (phrase("By chance"), None),
        (phrase("Stands"), None),
    )
    rows: list[list[DocumentCell]] = [
        [
            town.name,
            town.cases,
            town.expected,
            f"{town.limits[0]} … {town.limits[1]}",
            words.say(STANDS[town.outside]),
        ]
        for town in towns
    ]
    return Table(words.say(phrase("Towns beside chance")), columns, rows)
