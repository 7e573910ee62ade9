"""What needs you, what is being sent, what comes today, what came of the last seven days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.accounts.people.model import Right
from service.api.accounts import departments, work
from service.api.accounts.departments import CountsQuery
from service.api.accounts.work import WorkItemOut, WorkKindOut
from service.api.campaigns import calendar
from service.api.campaigns.calendar import CalendarQuery
from service.api.sending import run_list, run_progress
from service.api.sending.run_list import RunListedOut, RunsQuery
from service.api.sending.run_progress import HeldOut, ProgressOut
from service.console.asking import Desk
from service.console.plans.words import FIRE_STATES
from service.console.render import Shown
from service.console.today.work_links import address_of, list_of, tone_of
from service.words.phrase import Phrase, listing, phrase

MOST_ITEMS = 3
"""Things of a kind that are named; the page of the kind has all."""
MOST_RUNS = 5
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WaitingKind:
    """A kind of work that waits, as the page shows it. items: the oldest, with their pages.
    more: the page that has all of them; "": none for the reader.
    """

    kind: WorkKindOut
    tone: str
    items: Sequence[tuple[WorkItemOut, str]]
    more: str


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is not over, and how far it has come."""

    run: RunListedOut
    progress: ProgressOut

    @property
    def ends(self) -> datetime | None:
        """When its first hand-offs will be done."""
        return self.progress.expected_at

    def on(self, held: HeldOut) -> Phrase | str:
        """On which channels something is held, in brackets; "" if it is so on all of the run's."""
        names = {one.channel_id: one.channel for one in self.progress.channels}
        if len(held.channels) == len(names):
            return ""
        return phrase("({channels})", channels=listing(names[one] for one in held.channels))


async def show_today(desk: Desk) -> Shown:
    """The start page."""
    return Shown("today/today.html", await _now(desk) | {"reads": desk.may(Right.REPORTS)})


async def show_now(desk: Desk) -> Shown:
    """What needs you and what is being sent, which the page asks for again by itself."""
    return Shown("today/_now.html", await _now(desk))


async def show_week(desk: Desk) -> Shown:
    """What came of the last seven days, and of the seven before."""
    return await _week_of(desk)


async def _week_of(desk: Desk) -> Shown:
    today = desk.now.date()
    own = desk.user.department_id
    counts = [
        await desk.get(
            departments.get_counts, department_id=own, query=CountsQuery(since=today - span)
        )
        for span in (WEEK, 2 * WEEK)
    ]
    last, both = counts
    return Shown(
        "today/_week.html",
        {
            "may": {r.word for r in Right if desk.may(r)},
            "last": last,
            "begins": desk.may(Right.PLAN) and not (last.contacts and last.campaigns),
            "before_target": both.target - last.target,
            "before_reached": both.reached - last.reached,
        },
    )


async def _now(desk: Desk) -> dict[str, object]:
    waiting: list[WaitingKind] = []
    sending: list[OpenRun] = []
    reads = desk.may(Right.READ)
    if desk.may(Right.REPORTS):
        found = await desk.get(work.get_work)
        waiting = [
            WaitingKind(
                kind,
                tone_of(kind.kind),
                [
                    (item, address_of(kind.kind, item.id, item.name, reads=reads))
                    for item in kind.items[:MOST_ITEMS]
                ],
                list_of(kind.kind, reads=reads),
            )
            for kind in found.items
            if kind.count
        ]
        runs = await desk.get(run_list.list_all_runs, query=RunsQuery(state="open"))
        sending = [
            OpenRun(run, await desk.get(run_progress.get_progress, run_id=run.id))
            for run in runs.items[:MOST_RUNS]
        ]
    return {"waiting": waiting, "sending": sending}


async def show_day(desk: Desk) -> Shown:
    """What fires today."""
    today = desk.now.date()
    query = CalendarQuery.model_validate({"from": today, "to": today})
    days = await desk.get(calendar.list_calendar_days, query=query)
    fires = await desk.get(calendar.list_calendar, query=query)
    the_day = f"/plans/calendar?month={today:%Y-%m}&day={today.isoformat()}"
    told = {
        "day": days.items[0],
        "fires": fires.items,
        "next": the_day if fires.next_cursor else "",
        "states": {state: desk.language.say(word) for state, word in FIRE_STATES.items()},
    }
    return Shown("today/_day.html", told)
