"""What waits for a person on duty: one list, the most urgent first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from service.api.accounts import work
from service.api.accounts.work import WorkItemOut, WorkKindOut
from service.console.asking import Desk
from service.console.render import Shown
from service.console.today.work_links import address_of
from service.words.phrase import Phrase, phrase

MOST_LINES = 15
"""How many things of a kind have a line of their own."""
COUNTED_IN_TEXTS = frozenset({"uncertain", "inbound", "receipts"})
"""Kinds whose count is one of texts, not of the things that have a line."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is done about one thing that waits. state: gives its mark. address: where, with the
    thing's id; "": where the start page leads. act: what the button says.
    """

    state: str
    address: str
    act: Phrase


_CONFIRM = phrase("Look and confirm")
STEPS: Final[Mapping[str, NextStep]] = {
    "stops": NextStep("bad", "/duty/stop", phrase("Let it go on …")),
    "shut_channels": NextStep("down", "/duty/channels/{id}", phrase("Look at the channel")),
    "holds": NextStep("held", "/plans/{id}", phrase("Release or leave out")),
    "not_firing": NextStep("bad", "/plans/{id}", phrase("Look why")),
    "inbound": NextStep("new", "/duty/replies?kind={id}", phrase("Take")),
    "uncertain": NextStep("uncertain", "/duty/doubt?run={id}", phrase("Decide …")),
    "approvals": NextStep("pending_approval", "/plans/{id}/sign", phrase("Read and sign")),
    "texts_to_approve": NextStep("pending_approval", "/texts/{id}", phrase("Read and approve")),
    "duties": NextStep("warn", "/duties/{id}", phrase("Hand in")),
    "late_units": NextStep("bad", "/duties/late", phrase("Look at the late list")),
    "returned": NextStep("returned", "/plans/{id}/edit", phrase("Mend it")),
    "missed_fires": NextStep("missed", "/plans/{id}", phrase("Look why")),
    "list_files": NextStep("warn", "/duty/list-files", phrase("Hand over")),
    "held_opt_outs": NextStep("held", "/duty/holds", phrase("Count or drop")),
    "held_suppressions": NextStep("held", "/people/never/entries/{id}", phrase("Count or drop")),
    "asked_legs": NextStep("asked", "/plans/legs/{id}", phrase("Take or return")),
    "returned_legs": NextStep("returned", "/plans/legs/{id}", phrase("Look why")),
    "left_out_legs": NextStep("left_out", "/plans/legs/{id}", phrase("Look why")),
    "receipts": NextStep("warn", "/duty/receipts?channel={id}", phrase("Look through")),
    "imports": NextStep("warn", "/people/imports/{id}", phrase("Mend the rows")),
    "ending_rosters": NextStep("warn", "/people/lists/{name}", phrase("Confirm the list")),
    "vacant_posts": NextStep("warn", "/people/lists/{name}/posts", phrase("Hand it over")),
    "number_corrections": NextStep("asked", "/number-corrections/{id}", _CONFIRM),
    "filings": NextStep("warn", "/texts/{id}/filings", phrase("File it")),
    "taken_texts": NextStep("warn", "/texts/{id}", phrase("Read the news")),
    "retention": NextStep("warn", "/office/privacy/retention", phrase("Agree")),
    "channel_changes": NextStep("asked", "/office/channels/{id}", _CONFIRM),
    "grants": NextStep("asked", "", _CONFIRM),
    "keys": NextStep("asked", "", _CONFIRM),
    "passwords": NextStep("asked", "", _CONFIRM),
    "deputies": NextStep("asked", "", _CONFIRM),
    "direct_limits": NextStep("asked", "", _CONFIRM),
    "lint_proposals": NextStep("asked", "", _CONFIRM),
    "signatures": NextStep("asked", "", _CONFIRM),
    "area_renames": NextStep("asked", "/people/areas", _CONFIRM),
    "machine_access": NextStep("warn", "/office", phrase("Look at it")),
}
"""By kind of work, in the order of their urgency on duty."""


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A line of the list: what, the rest of what is known of it, and the one next step."""

    state: str
    what: str
    sub: str
    address: str
    act: str


async def show_duty(desk: Desk) -> Shown:
    """Everything that waits for the reader."""
    found = await desk.get(work.get_work)
    lines = list(_lines(desk, sorted(found.items, key=_place)))
    return Shown("duty/duty.html", {"lines": lines})


def _place(kind: WorkKindOut) -> int:
    names = list(STEPS)
    return names.index(kind.kind) if kind.kind in STEPS else len(names)


def _lines(desk: Desk, kinds: Iterable[WorkKindOut]) -> Iterator[QueueLine]:
    for kind in kinds:
        for item in _most_urgent(kind.items)[:MOST_LINES]:
            yield _line(desk, kind, item)
        all_of_it = len(kind.items) if kind.kind in COUNTED_IN_TEXTS else kind.count
        more = all_of_it - MOST_LINES
        if more > 0:
            say = desk.language.say
            yield QueueLine("idle", say(phrase("{count} more of the same kind", count=more)),
                       desk.language.plain(kind.plain), "", "")  # fmt: skip


def _most_urgent(items: Iterable[WorkItemOut]) -> list[WorkItemOut]:
    """What paused itself, and clues, before the rest; else the oldest first, as they come."""
    return sorted(items, key=lambda item: item.code not in {"guard", "inbound_clue"})


def _line(desk: Desk, kind: WorkKindOut, item: WorkItemOut) -> QueueLine:
    language = desk.language
    step = STEPS.get(kind.kind)
    what = language.plain(kind.plain)
    if item.texts is not None:
        what = f"{what} {language.number(item.texts)}"
    elif item.name and item.name != item.id:
        what = f"{what}：{item.name}" if language.code == "zh" else f"{what}: {item.name}"
    told = [
        item.name if item.texts is not None and kind.kind != "inbound" else "",
        language.plain(item.plain),
        language.say(phrase("{count} can be decided now", count=language.number(item.ready)))
        if kind.kind == "uncertain" and item.ready is not None
        else "",
        item.reason or "",
        item.department or "",
        language.say(
            phrase("since {when}, {ago}", when=language.when(item.since),
                   ago=language.since(item.since))
        )
        if item.since
        else "",
        language.say(phrase("due {when}", when=language.when(item.planned_at)))
        if kind.kind == "duties" and item.planned_at
        else "",
    ]  # fmt: skip
    address = step.address.format(id=item.id, name=quote(item.name, safe="")) if step else ""
    address = address or address_of(kind.kind, item.id, item.name)
    act = language.say(step.act) if step else ""
    state = "bad" if item.code == "guard" else step.state if step else "warn"
    return QueueLine(state, what, " · ".join(filter(None, told)), address, act)
