"""After a run: whom it missed and why, sending to them again or to who joined, correcting."""

from collections.abc import Mapping
from typing import Any

from service.api.campaigns import follow_ups
from service.api.campaigns.campaigns import ReasonBody
from service.api.campaigns.follow_ups import CorrectionBody, ResendBody
from service.api.content import templates
from service.api.content.templates import TemplatesQuery
from service.api.http.paging import MAX_LIMIT
from service.api.sending import runs
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.console.runs.pages import told_of
from service.errors import NotFound
from service.words.phrase import phrase


async def show_after(desk: Desk) -> Shown:
    """Whom the run missed, by reason, and what can be done about it."""
    return Shown("runs/after.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    told = await told_of(desk, run, "after")
    missed = await desk.get(follow_ups.get_missed, run_id=run.id)
    joined = None
    if told["plan"] is not None and run.relation is None:
        joined = await desk.get(follow_ups.get_top_up, campaign_id=told["plan"].id)
    return {
        **told,
        "again": _reasons(desk, missed.again),
        "not_again": _reasons(desk, missed.not_again),
        "missed": sum(missed.again.values()),
        "joined": joined,
    }


def _reasons(desk: Desk, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons in words with their counts, the most frequent first."""
    found = [(words.reason_word(code, desk.language), count) for code, count in counts.items()]
    return sorted(found, key=lambda one: -one[1])


async def show_resend(desk: Desk) -> Shown:
    """Ask before the text is sent again, with to how many."""
    return Shown("runs/resend.html", await _told(desk))


async def resend(desk: Desk) -> Gone:
    """Send the text again to those whom the run has certainly missed."""
    made = await desk.act(
        follow_ups.resend_missed,
        run_id=desk.uuid("run_id"),
        body=body_of(ResendBody, desk.form),
    )
    return Gone(f"/runs/{made.run_id}", phrase("It is sent again to those who were missed."))


async def show_top_up(desk: Desk) -> Shown:
    """Ask before the text goes to those who joined since, with to how many."""
    return Shown("runs/top_up.html", await _told(desk))


async def top_up(desk: Desk) -> Gone:
    """Send the last fire's text to those who joined since."""
    run_id = desk.uuid("run_id")
    async with desk.reading():
        run = await desk.get(runs.get_run, run_id=run_id)
    if run.campaign_id is None:
        raise NotFound(phrase("this run belongs to no campaign"))
    made = await desk.act(
        follow_ups.top_up, campaign_id=run.campaign_id, body=body_of(ReasonBody, desk.form)
    )
    return Gone(f"/runs/{made.run_id}", phrase("It is sent to those who joined since."))


async def show_correct(desk: Desk) -> Shown:
    """The form of a correction: a name, and which text."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    texts = await desk.get(templates.list_templates, query=TemplatesQuery(limit=MAX_LIMIT))
    told = await told_of(desk, run, "after")
    return Shown("runs/correct.html", {**told, "texts": texts.items})


async def correct(desk: Desk) -> Gone:
    """Draft a correction to exactly those who got the run, or may have."""
    made = await desk.act(
        follow_ups.correct_run,
        run_id=desk.uuid("run_id"),
        body=body_of(CorrectionBody, desk.form),
    )
    done = phrase("The correction is drafted. It is sent once it was submitted and approved.")
    return Gone(f"/plans/{made.id}", done)
