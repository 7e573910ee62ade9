"""Steering a run: pause, resume, end. A campaign is steered as a whole, a direct send by itself."""

from uuid import UUID

from service.api.campaigns import lifecycle
from service.api.campaigns.campaigns import ReasonBody
from service.api.campaigns.lifecycle import ResumeBody
from service.api.sending import run_progress, runs
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.console.runs.pages import told_of, unsent
from service.errors import NotFound
from service.words.phrase import phrase


async def _campaign_of(desk: Desk, run_id: UUID) -> UUID:
    async with desk.reading():
        run = await desk.get(runs.get_run, run_id=run_id)
    if run.campaign_id is None:
        raise NotFound(phrase("this run belongs to no campaign"))
    return run.campaign_id


async def pause(desk: Desk) -> Gone:
    """Pause the campaign of a run; after the answer nothing leaves that was not leaving already."""
    run_id = desk.uuid("run_id")
    campaign_id = await _campaign_of(desk, run_id)
    await desk.act(
        lifecycle.pause_campaign, campaign_id=campaign_id, body=body_of(ReasonBody, desk.form)
    )
    async with desk.reading():
        left = unsent(await desk.get(run_progress.get_progress, run_id=run_id))
    done = phrase(
        "Paused. {left} texts stay; what was being handed to a carrier at that moment may still"
        " leave.",
        left=desk.language.number(left),
    )
    return Gone(f"/runs/{run_id}", done)


async def show_resume(desk: Desk) -> Shown:
    """Ask what becomes of the fires that were missed, where the plan leaves it to a person."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    return Shown("runs/resume.html", await told_of(desk, run, "live"))


async def resume(desk: Desk) -> Gone:
    """Let the campaign of a run go on where it was paused."""
    run_id = desk.uuid("run_id")
    campaign_id = await _campaign_of(desk, run_id)
    await desk.act(
        lifecycle.resume_campaign, campaign_id=campaign_id, body=body_of(ResumeBody, desk.form)
    )
    return Gone(f"/runs/{run_id}", phrase("It goes on."))


async def show_cancel(desk: Desk) -> Shown:
    """Ask before a run is ended: so many cannot be called back, so many do not leave."""
    run_id = desk.uuid("run_id")
    run = await desk.get(runs.get_run, run_id=run_id)
    progress = await desk.get(run_progress.get_progress, run_id=run_id)
    told = await told_of(desk, run, "live")
    return Shown("runs/cancel.html", {**told, "progress": progress, "left": unsent(progress)})


async def cancel(desk: Desk) -> Gone:
    """End a direct send, or the campaign of a run; what has left has left."""
    run_id = desk.uuid("run_id")
    async with desk.reading():
        run = await desk.get(runs.get_run, run_id=run_id)
    if run.campaign_id is None:
        await desk.act(runs.cancel_run, run_id=run_id)
    else:
        await desk.act(
            lifecycle.cancel_campaign,
            campaign_id=run.campaign_id,
            body=body_of(ReasonBody, desk.form),
        )
    return Gone(f"/runs/{run_id}", phrase("Ended. What had not left does not leave any more."))
