"""What is being sent and what was, and one run as it goes on."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from service.accounts.people.model import Right
from service.api.campaigns import campaigns
from service.api.campaigns.details import CampaignDetail
from service.api.sending import run_list, run_progress, runs
from service.api.sending.run_list import RunListedOut, RunsQuery
from service.api.sending.run_progress import ProgressOut
from service.api.sending.runs import RunDetail, RunOut
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Shown
from service.errors import NotFound
from service.ledger.states import OPEN_RUNS, MessageState
from service.words.phrase import listing, phrase

MOST_COUNTED = 20
"""So many runs that are being sent have their figures in the list: the same as on their pages."""
LEAST_PAUSE, QUIET_PAUSE = 2, 10
"""Seconds between two askings, and where nothing has changed for `QUIET`."""
QUIET = timedelta(minutes=2)
SHARE_OF_TIME = 20
"""An answer that took a second is asked for again after so many, so that whatever is watched costs
at most a twentieth of a core."""
_NEITHER = frozenset(
    {
        MessageState.SUBMITTING,
        MessageState.REJECTED,
        MessageState.SUPPRESSED,
        MessageState.CANCELLED,
    }
)
"""No carrier has them, and they do not wait."""
_STEERING = ("pause", "resume", "cancel", "release")
_UNSETTLED = frozenset({MessageState.SUBMITTED, MessageState.UNCERTAIN})


async def show_runs(desk: Desk) -> Shown:
    """What is being sent, and what was sent before."""
    asked = body_of(RunsQuery, desk.request.query)
    going: list[RunListedOut] = []
    if asked.cursor is None:
        found = await desk.get(run_list.list_all_runs, query=RunsQuery(state="open", limit=100))
        going = found.items
    before = await desk.get(run_list.list_all_runs, query=asked)
    progress = {
        run.id: await desk.get(run_progress.get_progress, run_id=run.id)
        for run in going[:MOST_COUNTED]
    }
    return Shown(
        "runs/runs.html",
        {
            "going": going,
            "progress": progress,
            "earlier": [run for run in before.items if run.state not in OPEN_RUNS],
            "next": f"/runs?{urlencode({'cursor': before.next_cursor})}"
            if before.next_cursor
            else "",
            "is_first": asked.cursor is None,
            "words": words.RUN_STATES,
            "name": name_of,
            "may_read": desk.may(Right.READ),
        },
    )


def name_of(run: RunListedOut) -> str:
    """What a run is called in a list."""
    return run.campaign if run.campaign is not None else nameless(run)


def nameless(run: RunOut) -> str:
    """What a run is called that belongs to no campaign that the reader sees."""
    if run.kind == "reply":
        return phrase("Our answers to texts from handsets")
    return phrase("Direct send") if run.kind == "direct" else phrase("A campaign's run")


@dataclass(frozen=True, slots=True)
class Watched:
    """What a page that watches a run has of it: the version of its figures and its state, since
    when they are so (seconds), and after which pause it asks again (0: not any more).
    """

    tag: str = ""
    state: str = ""
    at: int = 0
    every: int = 0

    def address(self, run_id: UUID) -> str:
        """Where it asks next."""
        told = {"tag": self.tag, "state": self.state, "at": self.at, "every": self.every}
        return f"/runs/{run_id}/progress?{urlencode(told)}"


def pause_after(took: float, quiet: timedelta, *, is_over: bool) -> int:
    """Seconds until a page asks again; 0: never. took: seconds that the answer took to make.
    quiet: how long nothing has changed.
    """
    if is_over:
        return 0
    least = QUIET_PAUSE if quiet >= QUIET else LEAST_PAUSE
    return max(least, math.ceil(SHARE_OF_TIME * took))


async def plan_of(desk: Desk, run: RunOut) -> CampaignDetail | None:
    """The campaign of a run with the caller's acts; None: it has none that the caller sees."""
    if run.campaign_id is None:
        return None
    try:
        return await desk.get(campaigns.get_campaign, campaign_id=run.campaign_id)
    except NotFound:  # of a department whose counts alone are seen
        return None


async def told_of(desk: Desk, run: RunDetail, tab: str) -> dict[str, Any]:
    """What every page of a run is told."""
    plan = await plan_of(desk, run)
    return {
        "run": run,
        "plan": plan,
        "title": plan.name if plan else desk.language.say(nameless(run)),
        "tab": tab,
        "acts": _acts(run, plan),
        "words": words,
        "may_read": desk.may(Right.READ) and desk.user.sees(run.department_id),
    }


def _acts(run: RunDetail, plan: CampaignDetail | None) -> dict[str, bool]:
    """What the caller could do with the run now, by act."""
    acts = dict.fromkeys(("resend_missed", "correct", *_STEERING, "top_up"), False)
    acts |= {act.act: act.allowed for act in run.acts}
    if plan is not None:  # it is steered as a whole, its runs are not
        found = {act.act: act.allowed for act in plan.acts}
        acts |= {name: found.get(name, False) for name in (*_STEERING, "top_up")}
    return acts


async def show_run(desk: Desk) -> Shown:
    """A run as it goes on: figures that add up, its channels, what holds it, when it ends."""
    run_id = desk.uuid("run_id")
    run = await desk.get(runs.get_run, run_id=run_id)
    told = await told_of(desk, run, "live")
    progress, took = await _progress(desk, run_id)
    watched, figures = _figures(desk, progress, took, Watched())
    return Shown("runs/run.html", {**told, **figures, "watched": watched})


async def show_progress(desk: Desk) -> Shown | None:
    """The part of a run's page that goes on; None: it has not changed.

    Where the state has changed, the buttons come with it.
    """
    run_id = desk.uuid("run_id")
    before = _watched(desk.request.query)
    progress, took = await _progress(desk, run_id)
    watched, told = _figures(desk, progress, took, before)
    if watched.tag == before.tag and watched.every <= before.every:
        return None
    if before.state and before.state != progress.state:
        run = await desk.get(runs.get_run, run_id=run_id)
        told = {**(await told_of(desk, run, "live")), **told, "with_acts": True}
    return Shown("runs/_progress.html", {"words": words, **told, "watched": watched})


def _watched(query: Mapping[str, str]) -> Watched:
    def number(name: str) -> int:
        given = query.get(name, "")
        return int(given) if given.isascii() and given.isdecimal() and len(given) < 12 else 0

    return Watched(query.get("tag", ""), query.get("state", ""), number("at"), number("every"))


async def _progress(desk: Desk, run_id: UUID) -> tuple[ProgressOut, float]:
    began = time.perf_counter()
    progress = await desk.get(run_progress.get_progress, run_id=run_id)
    return progress, time.perf_counter() - began


def unsent(progress: ProgressOut) -> int:
    """How many texts have not left and may still leave: in their turn, or for another try."""
    if progress.target is None:
        return progress.left
    states = progress.counts.states
    gone = sum(states.get(state, 0) for state in _NEITHER)
    return max(progress.left, progress.target - progress.handed_off - gone)


def _figures(
    desk: Desk, progress: ProgressOut, took: float, before: Watched
) -> tuple[Watched, dict[str, Any]]:
    """The figures of a run as its page tells them, and what the page then has."""
    now = int(desk.now.timestamp())
    tag = desk.version_of(progress)
    at = before.at if tag == before.tag and before.at else now
    states = progress.counts.states
    names = {c.channel_id: c.channel for c in progress.channels}
    is_over = progress.state not in OPEN_RUNS and not any(states.get(s) for s in _UNSETTLED)
    every = pause_after(took, timedelta(seconds=now - at), is_over=is_over)
    told = {
        "progress": progress,
        "run_id": progress.run_id,
        "later": unsent(progress) - progress.left,
        "shares": shares(desk, progress.counts.states),
        "on_channels": lambda ids: listing(names.get(i, str(i)) for i in ids),
        "at": progress.asked_at.astimezone(desk.zone),
        "may_read": desk.may(Right.READ),
        "with_acts": False,
    }
    return Watched(tag, progress.state, at, every), told


def shares(desk: Desk, states: Mapping[MessageState, int]) -> list[dict[str, Any]]:
    """States of a run as parts of its sum and of its bar."""
    return [
        {
            "label": desk.language.say(share.word),
            "value": sum(states.get(state, 0) for state in share.states),
            "tone": share.tone,
            "state": share.state.value,
        }
        for share in words.SHARES
    ]
