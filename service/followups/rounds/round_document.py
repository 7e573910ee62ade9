"""A round on paper: the blank form of a village, and how far the round is."""

from collections.abc import Sequence
from datetime import date, datetime

from service.documents.document import (
    Column,
    Document,
    DocumentBlock,
    DocumentCell,
    Heading,
    Paragraph,
    Table,
)
from service.followups.ladder import PersonState
from service.followups.rounds.household import HOUSEHOLD_STATES
from service.followups.rounds.progress import AreaProgress, RoundProgress
from service.followups.rounds.round_store import RoundText, VisitRound
from service.words.phrase import Phrase, phrase, translated

BOX = "☐"
COUNT_WORDS = {
    PersonState.TOLD: phrase("Told"),
    PersonState.OPEN: phrase("Not at home"),
    PersonState.REFUSED: phrase("Did not want to hear it"),
    PersonState.MOVED: phrase("Moved away"),
    PersonState.EXCUSED: phrase("Excused"),
}
"""What the counts of a round are called."""


def form_document(
    found: VisitRound, village: str, texts: Sequence[RoundText], rows: int, language: str
) -> Document:
    """The blank form of a village, with so many rows: to be filled in at the doors, on A4."""

    def say(text: object) -> str:
        return translated(text, language)

    blocks: list[DocumentBlock] = []
    if texts:
        blocks.append(Heading(say(phrase("Read this out"))))
        blocks += [Paragraph(f"{text.no}. {text.text}") for text in texts]
    blocks.append(_blank_rows(rows, several=len(texts) > 1, language=language))
    blocks += [
        Paragraph(say(note), quiet=True)
        for note in (
            phrase("A household is where it is, such as 三组12号: no names, no phone numbers."),
            phrase("People told are heads; no minor's name is asked. Nobody at home: come again."),
        )
    ]
    blocks.append(Paragraph(say(phrase("Visited by: ____________  Day: ____________"))))
    subtitle = say(
        phrase(
            "{village} · {name} · until {day}", village=village, name=found.name, day=found.due_on
        )
    )
    title = say(phrase("Household visits: registration form"))
    return Document("household_form", title, subtitle, language, blocks)


def _blank_rows(rows: int, *, several: bool, language: str) -> Table:
    results = [COUNT_WORDS[state] for state in HOUSEHOLD_STATES if state != PersonState.EXCUSED]
    columns = [
        Column(translated(phrase("No."), language)),
        Column(translated(phrase("Household"), language), places=22),
        *(Column(translated(word, language)) for word in results),
        Column(translated(phrase("People told"), language), places=8),
        *([Column(translated(phrase("Text read"), language), places=6)] if several else ()),
        Column(translated(phrase("Day"), language), places=10),
    ]
    blank = [""] * (len(columns) - 2 - len(results))
    cells: list[list[DocumentCell]] = [
        [str(no), "", *([BOX] * len(results)), *blank] for no in range(1, rows + 1)
    ]
    return Table(
        translated(phrase("Households"), language), columns, cells, is_filled_in_by_hand=True
    )


def progress_document(
    found: VisitRound, progress: RoundProgress, language: str, at: datetime, on: date
) -> Document:
    """How far a round is. at: when it was counted, which was on the day `on`."""

    def say(text: object) -> str:
        return translated(text, language)

    columns = _columns(language)
    rows = [_row(row, row.name or row.area) for row in progress.areas]
    rows.append(_row(progress.total, say(phrase("All"))))
    notes = [
        phrase("The share is told of the households there are; it is unknown where nobody has said"
               " how many there are."),
        phrase("A household counts once, however often somebody went there. People told are"
               " heads."),
    ]  # fmt: skip
    if progress.total.denominator.missing_children:
        notes.append(
            phrase(
                "Of {areas} areas nobody has said how many households there are; they stand in"
                " neither side of the share of all.",
                areas=progress.total.denominator.missing_children,
            )
        )
    title = say(phrase("Household visits: progress"))
    subtitle = say(
        phrase("{name} · until {due} · counted {day}", name=found.name, due=found.due_on, day=on)
    )
    table = Table(
        say(phrase("By village") if progress.level == "village" else phrase("By town")),
        columns,
        rows,
        has_total=True,
        chart=len(columns) - 2,
    )
    blocks: list[DocumentBlock] = [table, *(Paragraph(say(note), quiet=True) for note in notes)]
    return Document("round_progress", title, subtitle, language, blocks, at)


def _columns(language: str) -> list[Column]:
    labels: list[tuple[Phrase, int | None]] = [
        (phrase("Area"), None),
        (phrase("Area code"), None),
        (phrase("Households there are"), 0),
        (phrase("Households visited"), 0),
        *((COUNT_WORDS[state], 0) for state in HOUSEHOLD_STATES),
        (phrase("People told"), 0),
        (phrase("Told, %"), 1),
        (phrase("Villages signed"), None),
    ]
    return [Column(translated(label, language), decimals) for label, decimals in labels]


def _row(row: AreaProgress, name: str) -> list[DocumentCell]:
    return [
        name,
        row.area,
        row.denominator.people,
        row.visited,
        row.told,
        row.not_home,
        row.refused,
        row.moved,
        row.excused,
        row.spoken_to,
        row.pct,
        f"{row.signed}/{row.villages}",
    ]
