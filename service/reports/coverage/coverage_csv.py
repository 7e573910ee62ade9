"""Coverage as CSV for Excel, in words: a row for each area, and all of them."""

from collections.abc import AsyncIterator, Iterable

from service.audience.imports.rejects import BOM, csv_line
from service.audience.vocabulary.cells import neutral
from service.ledger.reasons import words_of
from service.reports.coverage.coverage import NOWHERE, AreaCoverage
from service.reports.coverage.outcome_words import OUTCOMES
from service.reports.coverage.report import CoverageReport
from service.words.phrase import phrase, translated


async def coverage_csv(found: CoverageReport, language: str) -> AsyncIterator[str]:
    """The rows of a report. language: `zh` or `en`."""
    yield BOM + _line(
        (
            phrase("Area"),
            phrase("Code"),
            phrase("People there should be"),
            phrase("On file"),
            *OUTCOMES.values(),
            phrase("No phone"),
            phrase("Surplus"),
            phrase("Coverage, %"),
            phrase("Why not"),
        ),
        language,
    )
    for row in found.coverage.areas:
        yield _row(row, language)
    yield _row(found.coverage.total, language, total=True)


def _row(row: AreaCoverage, language: str, *, total: bool = False) -> str:
    name: object = row.name or phrase("place not known")
    if total:
        name = phrase("All")
    elif not row.finer and row.area != NOWHERE:
        name = phrase("{area}, village not known", area=row.name or row.area)
    why = "；".join(
        f"{translated(words_of(reason), language)} {people}"
        for reason, people in row.reasons.most_common()
    )
    cells = (
        name,
        "" if total or row.area == NOWHERE else row.area,
        row.denominator.people,
        row.on_file,
        *(row.outcomes[outcome] for outcome in OUTCOMES),
        row.no_phone,
        row.surplus,
        row.coverage_pct,
        why,
    )
    return _line(("" if cell is None else cell for cell in cells), language)


def _line(cells: Iterable[object], language: str) -> str:
    return csv_line(neutral(translated(cell, language)) for cell in cells)
