"""The weekly report of a unit as a document: what was handed in, and what came since."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.documents.document import (
    Document,
    DocumentBlock,
    DocumentCell,
    Heading,
    Paragraph,
    Table,
)
from service.messages.wordings.wording import KIND_WORDS
from service.reports.weekly.weekly_words import RESULTS, WeeklyWords, share
from service.words.phrase import phrase


class UnitReport(NamedTuple):
    """A unit's week. figures: as they are now; frozen: as the last report has them; None: nothing
    was handed in, or a report without figures. sha256: of the frozen ones.
    """

    department_id: UUID
    name: str
    week: str
    figures: Mapping[str, Any]
    frozen: Mapping[str, Any] | None
    narrative: str | None
    submitted_at: datetime | None
    sha256: str | None


def unit_document(report: UnitReport, language: str, zone: ZoneInfo) -> Document:
    """A unit's week as a document."""
    words = WeeklyWords(language, zone)
    say = words.say
    shown = report.frozen or report.figures
    blocks: list[DocumentBlock] = []
    if report.submitted_at is None:
        blocks.append(Paragraph(say(phrase("Not handed in: figures of the system alone."))))
    else:
        handed = phrase("Handed in: {when}", when=words.at(report.submitted_at))
        blocks.append(Paragraph(say(handed)))
        if report.narrative:
            blocks += [
                Heading(say(phrase("What was done in this period"))),
                Paragraph(report.narrative),
            ]
    blocks += section_tables(shown, words)
    blocks += [table for table in _since(report, words) if table.rows]
    if report.frozen is not None:
        hashed = phrase("SHA-256 of the figures: {digest}", digest=report.sha256)
        blocks.append(Paragraph(say(hashed), quiet=True))
    blocks.append(Paragraph(say(_NOT_SAID), quiet=True))
    as_of = say(phrase("as of {when}", when=words.at(shown["as_of"])))
    title = phrase("Weekly report: {unit}", unit=report.name)
    at = datetime.fromisoformat(shown["as_of"])
    subtitle = f"{report.week} · {as_of}"
    facts = {"week": report.week, "day": words.at(at)[:10]}
    return Document("weekly", say(title), subtitle, language, blocks, at, facts)


_NOT_SAID = phrase(
    "Reached are those whose phone has confirmed the text; a dash: not counted yet, or nobody has"
    " said how many people there are."
)


def section_tables(figures: Mapping[str, Any], words: WeeklyWords) -> list[DocumentBlock]:
    """The sections of figures as tables; what the figures have not is left out."""
    sections, found = figures["sections"], [_campaigns(figures, words)]
    if sections.get("coverage"):
        found.append(coverage_table(sections["coverage"], words))
        gaps = [gap for one in sections["coverage"] for gap in _gap_rows(one, words)]
        if gaps:
            found.append(_gaps(gaps, words))
    if "visits" in sections:
        found.append(_visits(sections["visits"], words))
    if "answers" in sections:
        found.append(_answers(sections["answers"], words))
    if sections.get("relays"):
        found.append(_relays(sections["relays"], words))
    if sections.get("places"):
        found.append(_places(sections["places"], words))
    return [*found]


def _campaigns(figures: Mapping[str, Any], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Campaign"), None),
        (phrase("Class"), None),
        (phrase("Sent on"), None),
        (phrase("Text"), None),
        (phrase("People"), 0),
        (phrase("Reached"), 0),
        (phrase("Of the target, %"), 1),
        (phrase("Parts by channel"), None),
    )
    rows: list[list[DocumentCell]] = [
        [
            one["campaign"],
            words.term(one["class"]),
            words.at(one["fired_at"]),
            one["text"],
            one["target"],
            one["reached"],
            share(one["of_target_pct"]),
            words.listed(one.get("parts", {})),
        ]
        for one in figures["sections"]["campaigns"]
    ]
    return Table(words.say(phrase("Campaigns that fired")), columns, rows)


def coverage_table(found: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    """Coverage of a quarter by class."""
    columns = words.columns(
        (phrase("Of whom"), None),
        (phrase("Class"), None),
        (phrase("Quarter"), None),
        (phrase("People there should be"), 0),
        (phrase("On file"), 0),
        (phrase("Reached"), 0),
        (phrase("Told at the door"), 0),
        (phrase("Coverage, %"), 1),
        (phrase("With those told, %"), 1),
    )
    rows: list[list[DocumentCell]] = [
        [
            words.say(_WHOSE[one["of"]]),
            words.term(one["class"]),
            one["quarter"],
            one["denominator"],
            one["on_file"],
            one["reached"],
            one["told"],
            share(one["coverage_pct"]),
            share(one["with_told_pct"]),
        ]
        for one in found
    ]
    return Table(words.say(phrase("Coverage of the quarter so far")), columns, rows)


_WHOSE = {
    "own": phrase("our people"),
    "area": phrase("all in our area"),
    "county": phrase("everybody in the county"),
}


def _gap_rows(found: Mapping[str, Any], words: WeeklyWords) -> list[list[DocumentCell]]:
    return [
        [
            words.term(found["class"]),
            gap["name"] or words.say(phrase("place not known")),
            gap["denominator"],
            gap["on_file"],
            gap["reached"],
            gap["missing"],
            gap["no_phone"],
        ]
        for gap in found["gaps"]
    ]


def _gaps(rows: list[list[DocumentCell]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Class"), None),
        (phrase("Area"), None),
        (phrase("People there should be"), 0),
        (phrase("On file"), 0),
        (phrase("Reached"), 0),
        (phrase("Missing"), 0),
        (phrase("No phone"), 0),
    )
    return Table(words.say(phrase("The largest gaps")), columns, rows)


def _visits(found: Mapping[str, Any], words: WeeklyWords) -> Table:
    columns = words.columns((phrase("Visits"), None), (phrase("What came of them"), None))
    rows: list[list[DocumentCell]] = [
        [
            words.say(phrase("to people whom texts had missed")),
            words.counts(found["people"], RESULTS),
        ],
        [words.say(phrase("to households")), words.counts(found["households"], RESULTS)],
        [words.say(phrase("heads spoken to")), str(found["spoken_to"])],
        [words.say(phrase("household rounds closed")), str(found["rounds_closed"])],
    ]
    return Table(words.say(phrase("Visits")), columns, rows)


def _answers(found: Mapping[str, Any], words: WeeklyWords) -> Table:
    columns = words.columns((phrase("From handsets"), None), (phrase("Texts"), 0))
    rows: list[list[DocumentCell]] = [
        [words.say(phrase("answer {figure}", figure=figure)), texts]
        for figure, texts in found["answers"].items()
    ]
    rows += [
        [words.say(phrase("opt-outs")), found["opt_outs"]],
        [words.say(phrase("clues")), found["clues"]],
        [words.say(phrase("clues that somebody has taken")), found["clues_acknowledged"]],
        [words.say(phrase("others")), found["others"]],
    ]
    return Table(words.say(phrase("What came back")), columns, rows)


def _relays(found: list[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Relay"), None),
        (phrase("Week"), None),
        (phrase("Area"), None),
        (phrase("Due"), None),
        (phrase("Active groups"), 0),
        (phrase("Confirmed in time"), 0),
        (phrase("Confirmed, %"), 1),
    )
    rows: list[list[DocumentCell]] = [
        [
            one["text"],
            one["week"],
            one["area_name"] or one["area"] or words.say(phrase("all groups")),
            words.at(one["due_at"]),
            one["groups"],
            one["confirmed"],
            share(one["confirmed_pct"]),
        ]
        for one in found
    ]
    return Table(words.say(phrase("Relays of the week")), columns, rows)


def _places(found: list[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Kind"), None),
        (phrase("Places"), 0),
        (phrase("Put up in the period"), 0),
        (phrase("With words on its last day"), 0),
    )
    rows: list[list[DocumentCell]] = [
        [words.say(KIND_WORDS[one["kind"]]), one["places"], one["put_up"], one["shown"]]
        for one in found
    ]
    return Table(words.say(phrase("Words put up elsewhere")), columns, rows)


def _since(report: UnitReport, words: WeeklyWords) -> list[Table]:
    """What has changed since the report was handed in: of campaigns, and of relays."""
    if report.frozen is None:
        return []
    then, now = report.frozen["sections"], report.figures["sections"]
    columns = words.columns(
        (phrase("Relay"), None),
        (phrase("Week"), None),
        (phrase("Confirmed, as handed in"), 0),
        (phrase("Confirmed, since then"), 0),
        (phrase("Active groups"), 0),
        (phrase("Confirmed, %"), 1),
    )
    rows: list[list[DocumentCell]] = [
        [
            one["text"],
            one["week"],
            before,
            one["confirmed"],
            one["groups"],
            share(one["confirmed_pct"]),
        ]
        for one, before in relays_since(then, now)
    ]
    title = phrase("Relays since then")
    return [
        _campaigns_since(report.frozen, report.figures, words),
        Table(words.say(title), columns, rows),
    ]


def relays_since(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> list[tuple[Mapping[str, Any], int | None]]:
    """Relays of sections as they are now of which others are confirmed than then, each with how
    many were; None: it was not in that report.
    """
    before = {one["relay"]: one["confirmed"] for one in then.get("relays", [])}
    return [
        (one, before.get(one["relay"]))
        for one in now.get("relays", [])
        if before.get(one["relay"]) != one["confirmed"]
    ]


def _campaigns_since(
    frozen: Mapping[str, Any], figures: Mapping[str, Any], words: WeeklyWords
) -> Table:
    before = {one["run"]: one for one in frozen["sections"]["campaigns"]}
    rows: list[list[DocumentCell]] = []
    for one in figures["sections"]["campaigns"]:
        then = before.get(one["run"], {})
        if then.get("reached") != one["reached"] or then.get("target") != one["target"]:
            people: list[DocumentCell] = [then.get("target"), one["target"]]
            reached: list[DocumentCell] = [then.get("reached"), one["reached"]]
            rows.append([one["campaign"], *people, *reached, share(one["of_target_pct"])])
    columns = words.columns(
        (phrase("Campaign"), None),
        (phrase("People, as handed in"), 0),
        (phrase("People, since then"), 0),
        (phrase("Reached, as handed in"), 0),
        (phrase("Reached, since then"), 0),
        (phrase("Of the target, %"), 1),
    )
    return Table(words.say(phrase("Since then")), columns, rows)
