"""A run's report as CSV for Excel, in words: by carrier, town and role, and by reason.

Each row of the first four parts has one column for each state of a text, which add up to its
target; those by reason have a count alone.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from service.audience.imports.rejects import BOM, csv_line
from service.audience.segments.segment_explain import called
from service.audience.vocabulary.cells import neutral
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.ledger.reasons import words_of
from service.ledger.state_words import MESSAGE_STATES
from service.words.phrase import Sentence, phrase, translated

Figures = Mapping[str, Any]
NamedFigures = Iterable[tuple[object, Figures]]
"""What each row is called, and its figures."""

UNKNOWN = "none"
"""The group of texts of which nobody knows the carrier, town or role."""


async def run_csv(report: Mapping[str, Any], language: str) -> AsyncIterator[str]:
    """The rows of a report. language: `zh` or `en`."""
    head = (phrase("Grouped by"), phrase("What"), phrase("Target"))
    yield BOM + _line((*head, *MESSAGE_STATES.values()), language)
    parts: tuple[tuple[object, NamedFigures], ...] = (
        ("", [(phrase("The whole run"), report)]),
        (phrase("By carrier"), _carriers(report["by_carrier"])),
        (phrase("By town"), _towns(report["by_area"])),
        (phrase("By role"), _roles(report["by_role"])),
    )
    for by, rows in parts:
        for name, figures in rows:
            counts = [figures["states"].get(state.value, 0) for state in MESSAGE_STATES]
            yield _line((by, name, figures["target"], *counts), language)
    for by, reasons in (
        (phrase("By reason"), report["by_reason"]),
        (phrase("Left out by reason"), report["excluded"]),
    ):
        for code, count in sorted(reasons.items(), key=lambda one: -one[1]):
            yield _line((by, words_of(code), count), language)


def _line(cells: Iterable[object], language: str) -> str:
    return csv_line(neutral(translated(cell, language)) for cell in cells)


def _carriers(groups: Mapping[str, Figures]) -> NamedFigures:
    unknown = phrase("carrier not known")
    for code, figures in groups.items():
        yield called("carrier", code) if code in CARRIERS else unknown, figures


def _towns(groups: Mapping[str, Figures]) -> NamedFigures:
    for figures in groups.values():
        yield figures["area_name"] or phrase("place not known"), figures


def _roles(groups: Mapping[str, Figures]) -> NamedFigures:
    for code, figures in groups.items():
        known = code in ROLE_TITLES
        name = Sentence(ROLE_TITLES[code], ROLES_IN_ENGLISH[code]) if known else code
        yield phrase("no role") if code == UNKNOWN else name, figures
