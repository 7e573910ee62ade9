"""The county's pack as a document, made of its facts alone (pure): all units, who is late, the
county itself, the bulletin, goals, gaps, the campaigns, and what units say.

One module: a document, table after table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from service.documents.document import (
    Document,
    DocumentBlock,
    DocumentCell,
    Heading,
    Paragraph,
    Picture,
    Pictures,
    Table,
)
from service.messages.wordings.wording import KIND_WORDS
from service.reports.coverage.coverage import percent
from service.reports.weekly.pack_facts import figures_of
from service.reports.weekly.unit_document import coverage_table, relays_since
from service.reports.weekly.weekly_words import WeeklyWords, share
from service.words.phrase import Phrase, phrase

MOST_ROWS_OF_A_TABLE = 500
"""So many rows of a table stand in the Word file; the workbook has all."""
_OWED = frozenset({"open", "returned", "missed"})


def pack_document(facts: Mapping[str, Any], language: str, zone: ZoneInfo) -> Document:
    """The pack of a week, with all rows."""
    words = WeeklyWords(language, zone)
    say = words.say
    units: Sequence[Mapping[str, Any]] = facts["units"]
    handed = phrase(
        "{handed} of {units} units have handed in; of the others there are figures of the system.",
        handed=facts["handed_in"],
        units=facts["unit_count"],
    )
    blocks: list[DocumentBlock] = [Paragraph(say(handed)), _summary(units, words)]
    blocks.append(_late(facts, words))
    blocks += _county(facts, words)
    blocks += _bulletin(facts["bulletin"], words)
    if facts["goals"]:
        blocks.append(_goals(facts["goals"], words))
    if facts["gaps"]:
        blocks.append(_gaps(facts["gaps"], words))
    blocks.append(_campaigns(units, words))
    further = (_relays, _places, _since, _relays_since)
    tables = [make(units, words) for make in further]
    blocks += [table for table in tables if table.rows]
    blocks += _narratives(units, words)
    blocks.append(Paragraph(say(_NOT_SAID), quiet=True))
    at = datetime.fromisoformat(facts["as_of"])
    title = phrase("Weekly reports of the county, {week}", week=facts["week"])
    version = phrase(
        "version {no}, as of {when}", no=facts["version"], when=words.at(facts["as_of"])
    )
    named = {"week": facts["week"], "day": words.at(at)[:10]}
    return Document("pack", say(title), say(version), language, blocks, at, named)


_NOT_SAID = phrase(
    "Figures of a unit are those that it handed in; what receipts brought later stands apart."
    " Reached are those whose phone has confirmed the text. Coverage and fewer cases stand side by"
    " side; that one comes of the other is not said here."
)


def shortened(document: Document) -> Document:
    """The same for a Word file: of a long table the first rows, and a word where the others are."""
    blocks: list[DocumentBlock] = []
    for block in document.blocks:
        if isinstance(block, Table) and len(block.rows) > MOST_ROWS_OF_A_TABLE:
            rows = [*block.rows[:MOST_ROWS_OF_A_TABLE]]
            blocks.append(replace(block, rows=rows, has_total=False))
            more = phrase("The workbook has all {rows} rows.", rows=len(block.rows))
            note = WeeklyWords(document.language, ZoneInfo("UTC")).say(more)
            blocks.append(Paragraph(note, quiet=True))
        else:
            blocks.append(block)
    return replace(document, blocks=blocks)


def with_pictures(document: Document, pictures: Sequence[tuple[str, bytes]]) -> Document:
    """The same with pictures at its end: what is below each, and the JPEG."""
    if not pictures:
        return document
    words = WeeklyWords(document.language, ZoneInfo("UTC"))
    shown = [Picture(jpeg, name) for name, jpeg in pictures]
    title = words.say(phrase("Pictures of units"))
    return replace(document, blocks=[*document.blocks, Pictures(title, shown)])


def _summary(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Handed in"), None),
        (phrase("Campaigns"), 0),
        (phrase("People"), 0),
        (phrase("Reached"), 0),
        (phrase("Of the target, %"), 1),
        (phrase("Parts"), 0),
        (phrase("Coverage of the quarter, %"), 1),
        (phrase("Told at the door"), 0),
        (phrase("Households told"), 0),
        (phrase("Clues"), 0),
        (phrase("of these taken"), 0),
        (phrase("Opt-outs"), 0),
        (phrase("Pictures"), 0),
    )
    rows = [_summary_row(unit, words) for unit in units]
    total: list[DocumentCell] = [words.say(phrase("All")), ""]
    sums = [_sum(row[at] for row in rows) for at in range(2, len(columns))]
    total += [None if column.decimals else n for column, n in zip(columns[2:], sums, strict=True)]
    total[5] = percent(sums[2], sums[1])
    return Table(words.say(phrase("All units")), columns, [*rows, total], has_total=True)


def _sum(cells: Any) -> int:
    return sum(cell for cell in cells if isinstance(cell, int))


def _summary_row(unit: Mapping[str, Any], words: WeeklyWords) -> list[DocumentCell]:
    sections = figures_of(unit)["sections"]
    campaigns = sections["campaigns"]
    target = _sum(one["target"] for one in campaigns)
    reached = _sum(one["reached"] for one in campaigns)
    own = next((one for one in sections.get("coverage", []) if one["of"] == "own"), None)
    visits, answers = sections.get("visits", {}), sections.get("answers", {})
    return [
        unit["name"],
        words.say(handed_in(unit)),
        len(campaigns),
        target,
        reached,
        percent(reached, target),
        sum(sum(one.get("parts", {}).values()) for one in campaigns),
        share(own["coverage_pct"]) if own else None,
        visits.get("people", {}).get("told", 0),
        visits.get("households", {}).get("told", 0),
        answers.get("clues", 0),
        answers.get("clues_acknowledged", 0),
        answers.get("opt_outs", 0),
        len(unit["pictures"]),
    ]


def handed_in(unit: Mapping[str, Any]) -> Phrase:
    """Whether a unit has handed in, in words."""
    duties = unit["duties"]
    owed = [one for one in duties if one["state"] in _OWED and one["submitted_at"] is None]
    if owed:
        return phrase("not handed in")
    late = max((one["late_minutes"] or 0 for one in duties), default=0)
    if any(one["state"] == "returned" for one in duties):
        return phrase("returned to the unit")
    if late:
        return phrase("{minutes} minutes late", minutes=late)
    if all(one["state"] == "excused" for one in duties):
        return phrase("excused from handing in")
    return phrase("in time")


def _late(facts: Mapping[str, Any], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("What is owed"), None),
        (phrase("Due"), None),
        (phrase("State"), None),
        (phrase("Minutes late"), 0),
        (phrase("Nobody is named as"), None),
    )
    as_of = datetime.fromisoformat(facts["as_of"])
    rows: list[list[DocumentCell]] = []
    for unit in facts["units"]:
        lacking = "、".join(words.say(_PEOPLE[name]) for name in unit["lacking"])
        for duty in unit["duties"]:
            due = datetime.fromisoformat(duty["due_at"])
            minutes = duty["late_minutes"]
            state = phrase("handed in")
            if duty["submitted_at"] is None and duty["state"] in _OWED and due < as_of:
                minutes, state = int((as_of - due).total_seconds() // 60), phrase("not handed in")
            if minutes:
                shown = [words.at(due), words.say(state), minutes]
                rows.append([unit["name"], duty["title"], *shown, lacking])
    return Table(words.say(phrase("Late")), columns, rows)


_PEOPLE = {"liaison": phrase("liaison"), "leader": phrase("leader")}


def _county(facts: Mapping[str, Any], words: WeeklyWords) -> list[Table]:
    """What is of no unit: coverage of the county, and what its own offices have sent."""
    county = facts.get("county")
    if county is None:  # gathered before the program knew it
        return []
    found = []
    if county["coverage"]:
        found.append(coverage_table(county["coverage"], words))
    if county["towns"]:
        found.append(_towns(county["towns"], words))
    if county["campaigns"]:
        title = phrase("Campaigns of the county's own offices")
        rows = [(one["department"], one) for one in county["campaigns"]]
        found.append(_campaign_table(title, rows, words))
    return found


def _towns(found: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Town"), None),
        (phrase("People there should be"), 0),
        (phrase("On file"), 0),
        (phrase("Reached"), 0),
        (phrase("Told at the door"), 0),
        (phrase("Coverage, %"), 1),
    )
    rows: list[list[DocumentCell]] = [
        [
            one["name"] or words.say(phrase("place not known")),
            *(one[name] for name in ("denominator", "on_file", "reached", "told")),
            share(one["coverage_pct"]),
        ]
        for one in found
    ]
    return Table(words.say(phrase("Coverage of the quarter by town")), columns, rows)


def _bulletin(found: Mapping[str, Any] | None, words: WeeklyWords) -> list[DocumentBlock]:
    say = words.say
    if found is None:
        return [Paragraph(say(phrase("No bulletin was issued yet.")))]
    loss = f"{found['loss_yuan']:,}"
    head = phrase(
        "Bulletin {number} of {week}, version {version}: {cases} cases, {loss} yuan",
        number=found["number"],
        week=found["week"],
        version=found["version"],
        cases=found["cases"],
        loss=loss,
    )
    blocks: list[DocumentBlock] = [Heading(say(phrase("Bulletin"))), Paragraph(say(head))]
    if found["cases_last_year"] is not None:
        loss = f"{found['loss_last_year']:,}"
        before = phrase(
            "The same week last year: {cases} cases, {loss} yuan",
            cases=found["cases_last_year"],
            loss=loss,
        )
        blocks.append(Paragraph(say(before)))
    for title, rows in (("towns", phrase("Cases by town")), ("types", phrase("Cases by kind"))):
        columns = words.columns(
            (phrase("Town") if title == "towns" else phrase("Kind of fraud"), None),
            (phrase("Cases"), 0),
            (phrase("Loss, yuan"), 0),
        )
        cells = [[one["name"], one["cases"], one["loss_yuan"]] for one in found[title]]
        blocks.append(Table(say(rows), columns, cells))
    hashed = phrase("SHA-256 of the figures: {digest}", digest=found["sha256"])
    return [*blocks, Paragraph(say(hashed), quiet=True)]


def _goals(found: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Goal"), None),
        (phrase("Period"), None),
        (phrase("As of"), None),
        (phrase("Target, %"), 1),
        (phrase("Cases"), 0),
        (phrase("Cases last year"), 0),
        (phrase("Change of cases, %"), 1),
        (phrase("Change of the loss, %"), 1),
        (phrase("Stands"), None),
    )
    rows: list[list[DocumentCell]] = [
        [
            f"{one['key']} {one['title']}",
            one["period"],
            one["as_of"],
            one["target_change_pct"],
            one["cases"],
            one["cases_last_year"],
            one["cases_change_pct"],
            one["loss_change_pct"],
            words.say(_COLOURS[one["colour"]]),
        ]
        for one in found
    ]
    return Table(words.say(phrase("Goals")), columns, rows)


_COLOURS = {
    "green": phrase("met"),
    "grey": phrase("met, but chance cannot be ruled out"),
    "red": phrase("not met"),
    "unknown": phrase("unknown"),
}


def _gaps(found: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Area"), None),
        (phrase("People there should be"), 0),
        (phrase("On file"), 0),
        (phrase("Reached"), 0),
        (phrase("Missing"), 0),
        (phrase("No phone"), 0),
    )
    names = ("denominator", "on_file", "reached", "missing", "no_phone")
    rows = [
        [one["name"] or words.say(phrase("place not known")), *(one[name] for name in names)]
        for one in found
    ]
    return Table(words.say(phrase("The largest gaps")), columns, rows)


def _campaigns(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    rows = [
        (unit["name"], one) for unit in units for one in figures_of(unit)["sections"]["campaigns"]
    ]
    return _campaign_table(phrase("Campaigns that fired"), rows, words)


def _campaign_table(
    title: Phrase, found: Sequence[tuple[str, Mapping[str, Any]]], words: WeeklyWords
) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Campaign"), None),
        (phrase("Class"), None),
        (phrase("Sent on"), None),
        (phrase("Text"), None),
        (phrase("People"), 0),
        (phrase("Reached"), 0),
        (phrase("Parts by channel"), None),
    )
    rows: list[list[DocumentCell]] = [
        [
            name,
            one["campaign"],
            words.term(one["class"]),
            words.at(one["fired_at"]),
            one["text"],
            one["target"],
            one["reached"],
            words.listed(one.get("parts", {})),
        ]
        for name, one in found
    ]
    return Table(words.say(title), columns, rows)


def _relays(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Relay"), None),
        (phrase("Week"), None),
        (phrase("Active groups"), 0),
        (phrase("Confirmed in time"), 0),
        (phrase("Confirmed, %"), 1),
    )
    rows: list[list[DocumentCell]] = [
        [
            unit["name"],
            one["text"],
            one["week"],
            one["groups"],
            one["confirmed"],
            share(one["confirmed_pct"]),
        ]
        for unit in units
        for one in figures_of(unit)["sections"].get("relays", [])
    ]
    return Table(words.say(phrase("Relays of the week")), columns, rows)


def _places(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Kind"), None),
        (phrase("Places"), 0),
        (phrase("Put up in the period"), 0),
        (phrase("With words on its last day"), 0),
    )
    rows: list[list[DocumentCell]] = [
        [
            unit["name"],
            words.say(KIND_WORDS[one["kind"]]),
            one["places"],
            one["put_up"],
            one["shown"],
        ]
        for unit in units
        for one in figures_of(unit)["sections"].get("places", [])
    ]
    return Table(words.say(phrase("Words put up elsewhere")), columns, rows)


def _since(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    """What receipts have changed since units handed in."""
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Campaign"), None),
        (phrase("Reached, as handed in"), 0),
        (phrase("Reached, since then"), 0),
    )
    rows: list[list[DocumentCell]] = []
    for unit in units:
        then = {one["run"]: one for one in figures_of(unit)["sections"]["campaigns"]}
        for one in unit["now"]["sections"]["campaigns"]:
            before = then.get(one["run"], {}).get("reached")
            if unit["report"] is not None and before != one["reached"]:
                rows.append([unit["name"], one["campaign"], before, one["reached"]])
    return Table(words.say(phrase("Since then")), columns, rows)


def _relays_since(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Table:
    columns = words.columns(
        (phrase("Unit"), None),
        (phrase("Relay"), None),
        (phrase("Week"), None),
        (phrase("Confirmed, as handed in"), 0),
        (phrase("Confirmed, since then"), 0),
    )
    rows: list[list[DocumentCell]] = [
        [unit["name"], one["text"], one["week"], before, one["confirmed"]]
        for unit in units
        if unit["report"] is not None
        for one, before in relays_since(figures_of(unit)["sections"], unit["now"]["sections"])
    ]
    return Table(words.say(phrase("Relays since then")), columns, rows)


def _narratives(units: Sequence[Mapping[str, Any]], words: WeeklyWords) -> Sequence[DocumentBlock]:
    said = [
        Paragraph(f"{unit['name']}：{unit['report']['narrative']}")
        for unit in units
        if unit["report"] is not None and unit["report"]["narrative"]
    ]
    return [Heading(words.say(phrase("What units say"))), *said] if said else []
