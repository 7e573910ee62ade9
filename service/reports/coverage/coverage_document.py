"""Coverage in tables, in words: by area, by area and reason, and the gap list; as a document, and
as CSV for Excel.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence

from service.audience.imports.rejects import BOM, csv_line
from service.audience.vocabulary.cells import neutral
from service.documents.document import (
    Column,
    Document,
    DocumentBlock,
    DocumentCell,
    Paragraph,
    Table,
)
from service.ledger.reasons import words_of
from service.reports.coverage.coverage import NOWHERE, AreaCoverage
from service.reports.coverage.outcome_words import OUTCOMES
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import CoverageReport
from service.words.phrase import phrase, translated

MOST_REASONS = 8
"""Reasons with a column of their own, the most frequent ones; the others stand together."""


def coverage_document(
    found: CoverageReport, language: str, subtitle: str, *, gaps_only: bool
) -> Document:
    """A scope as a document. gaps_only: the gap list alone."""
    tables: list[DocumentBlock] = [gap_list(found, language)]
    if not gaps_only:
        tables = [by_area(found, language), by_reason(found, language), *tables]
    notes = [
        phrase("Coverage is the share reached of the people there should be."),
        phrase("Missing are those addressed who were not reached, and those without a phone.")
        if found.of_run
        else phrase("Missing are those on file who were not reached, and those without a phone."),
    ]
    if found.coverage.total.denominator.people is None:
        notes.append(phrase("Nobody has said how many people there should be."))
    if not found.final:
        notes.append(phrase("The figures may still change: receipts are awaited."))
    blocks = [*tables, *(Paragraph(translated(note, language), quiet=True) for note in notes)]
    title = phrase("Gap list") if gaps_only else phrase("Coverage")
    return Document(
        "coverage", translated(title, language), subtitle, language, blocks, found.as_of
    )


async def coverage_csv(
    found: CoverageReport, language: str, *, gaps_only: bool
) -> AsyncIterator[str]:
    """The rows by area as lines, the reasons in one cell; gaps_only: those of the gap list."""
    table = gap_list(found, language) if gaps_only else _with_reasons(found, language)
    yield BOM + _line(column.label for column in table.columns)
    for row in table.rows:
        yield _line("" if cell is None else cell for cell in row)


def by_area(found: CoverageReport, language: str) -> Table:
    """A row for each area, and all of them."""
    columns = _columns(
        language,
        (phrase("Area"), None),
        (phrase("Area code"), None),
        (phrase("People there should be"), 0),
        (phrase("Addressed") if found.of_run else phrase("On file"), 0),
        *((word, 0) for word in OUTCOMES.values()),
        (phrase("No phone"), 0),
        (phrase("Surplus"), 0),
        (phrase("With those told, %"), 1),
        (phrase("Coverage, %"), 1),
    )
    rows = [_area_row(row, language) for row in found.coverage.areas]
    rows.append(_area_row(found.coverage.total, language, total=True))
    title = translated(phrase("By area"), language)
    return Table(title, columns, rows, has_total=True, chart=len(columns) - 1)


def by_reason(found: CoverageReport, language: str) -> Table:
    """Of each area, for which reasons people were not reached."""
    total = found.coverage.total
    listed = [reason for reason, _ in total.reasons.most_common(MOST_REASONS)]
    heads = [translated(words_of(reason), language) for reason in listed]
    others = len(total.reasons) > len(listed)
    columns = [
        *_columns(language, (phrase("Area"), None)),
        *(Column(head, 0) for head in heads),
        *(_columns(language, (phrase("Other reasons"), 0)) if others else ()),
    ]
    rows = [
        [_name(row, language, total=row is total), *_reasons(row.reasons, listed, others=others)]
        for row in (*found.coverage.areas, total)
    ]
    return Table(translated(phrase("Why not"), language), columns, rows, has_total=True)


def gap_list(found: CoverageReport, language: str) -> Table:
    """The areas where somebody is missing, those with the most first: whom to go to."""
    columns = _columns(
        language,
        (phrase("Area"), None),
        (phrase("People there should be"), 0),
        (phrase("Reached"), 0),
        (phrase("Missing"), 0),
        *((OUTCOMES[outcome], 0) for outcome in OUTCOMES if outcome is not PersonOutcome.REACHED),
        (phrase("No phone"), 0),
        (phrase("Most frequent reason"), None),
    )
    rows = [row for row in found.coverage.areas if missing(row)]
    rows.sort(key=lambda row: (-missing(row), row.area))
    title = translated(phrase("Gap list"), language)
    return Table(title, columns, [_gap(row, language) for row in rows])


def missing(row: AreaCoverage) -> int:
    """Who was not reached of those on file, and of whom no phone is known."""
    return row.on_file - row.outcomes[PersonOutcome.REACHED] + (row.no_phone or 0)


def _with_reasons(found: CoverageReport, language: str) -> Table:
    table = by_area(found, language)
    rows = [*found.coverage.areas, found.coverage.total]
    return Table(
        table.title,
        [*table.columns, *_columns(language, (phrase("Why not"), None))],
        [
            [*cells, _why(row.reasons, language)]
            for cells, row in zip(table.rows, rows, strict=True)
        ],
    )


def _columns(language: str, *labels: tuple[object, int | None]) -> list[Column]:
    return [Column(translated(label, language), decimals) for label, decimals in labels]


def _area_row(row: AreaCoverage, language: str, *, total: bool = False) -> list[DocumentCell]:
    return [
        _name(row, language, total=total),
        "" if total or row.area == NOWHERE else row.area,
        row.denominator.people,
        row.on_file,
        *(row.outcomes[outcome] for outcome in OUTCOMES),
        row.no_phone,
        row.surplus,
        row.with_told_pct,
        row.coverage_pct,
    ]


def _gap(row: AreaCoverage, language: str) -> list[DocumentCell]:
    others = [outcome for outcome in OUTCOMES if outcome is not PersonOutcome.REACHED]
    reason = next((reason for reason, _ in row.reasons.most_common(1)), None)
    return [
        _name(row, language),
        row.denominator.people,
        row.outcomes[PersonOutcome.REACHED],
        missing(row),
        *(row.outcomes[outcome] for outcome in others),
        row.no_phone,
        "" if reason is None else translated(words_of(reason), language),
    ]


def _name(row: AreaCoverage, language: str, *, total: bool = False) -> str:
    name: object = row.name or phrase("place not known")
    if total:
        name = phrase("All")
    elif not row.finer and row.area != NOWHERE:
        name = phrase("{area}, village not known", area=row.name or row.area)
    return translated(name, language)


def _reasons(found: Counter[str], listed: Sequence[str], *, others: bool) -> list[DocumentCell]:
    counts: list[DocumentCell] = [found[reason] for reason in listed]
    if others:
        counts.append(found.total() - sum(found[reason] for reason in listed))
    return counts


def _why(reasons: Counter[str], language: str) -> str:
    return "；".join(
        f"{translated(words_of(reason), language)} {people}"
        for reason, people in reasons.most_common()
    )


def _line(cells: Iterable[DocumentCell]) -> str:
    return csv_line(neutral(str(cell)) for cell in cells)
