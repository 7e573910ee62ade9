"""A village's list of visits on paper: who is to be visited, with boxes to tick, on A4."""

from collections.abc import Mapping, Sequence
from datetime import date

from service.documents.document import Column, Document, DocumentCell, Paragraph, Table
from service.followups.ladder import VisitResult
from service.followups.visits import ListedVisit
from service.ledger.reasons import words_of
from service.words.phrase import phrase, translated

BOX = "☐"
RESULT_WORDS = {
    VisitResult.TOLD: phrase("Told"),
    VisitResult.NOT_HOME: phrase("Not at home"),
    VisitResult.REFUSED: phrase("Did not want to hear it"),
    VisitResult.MOVED: phrase("Moved away"),
    VisitResult.NO_SUCH_PERSON: phrase("No such person"),
    VisitResult.EXCUSED: phrase("Excused"),
}
"""What the results of visits are called."""


def list_document(
    listed: Sequence[ListedVisit],
    where: Mapping[str, str],
    facts: Mapping[str, str],
    no_phone: int | None,
    due_on: date | None,
    language: str,
) -> Document:
    """A list to take along. where: the names of areas by their codes. facts: `village`, `campaign`,
    and `taken`, by whom and when. no_phone: how many more live there than are on file.
    """

    def say(text: object) -> str:
        return translated(text, language)

    blocks: list[Table | Paragraph] = [_table(listed, where, language)]
    if no_phone:
        blocks.append(
            Paragraph(say(phrase("And {people} people without a number.", people=no_phone)))
        )
    blocks += [
        Paragraph(say(phrase("Visited by: ____________  Day: ____________"))),
        Paragraph(facts["taken"], quiet=True),
    ]
    parts = [facts["village"], facts["campaign"]]
    if due_on is not None:
        parts.append(say(phrase("until {day}", day=due_on)))
    title = say(phrase("List of visits"))
    return Document("visit_list", title, " · ".join(parts), language, blocks)


def _table(listed: Sequence[ListedVisit], where: Mapping[str, str], language: str) -> Table:
    def say(text: object) -> str:
        return translated(text, language)

    results = [word for result, word in RESULT_WORDS.items() if result != VisitResult.EXCUSED]
    columns = [
        Column(say(phrase("No."))),
        Column(say(phrase("Name"))),
        Column(say(phrase("Where"))),
        Column(say(phrase("Number"))),
        Column(say(phrase("Why missed"))),
        *(Column(say(word)) for word in results),
        Column(say(phrase("Day and note")), places=16),
    ]
    rows: list[list[DocumentCell]] = [
        [
            str(no),
            one.name or "",
            where.get(one.area_code, ""),
            one.phone or "",
            say(words_of(one.reason)) if one.reason else "",
            *([BOX] * len(results)),
            "",
        ]
        for no, one in enumerate(listed, 1)
    ]
    return Table(say(phrase("To be visited")), columns, rows, is_filled_in_by_hand=True)
