"""What a person does with a campaign: each act is one operation, the grave ones ask first."""

from typing import Any

from service.api.campaigns import campaigns, lifecycle, milestones
from service.api.campaigns.campaigns import CloneBody, ReasonBody, RefusalBody
from service.api.campaigns.lifecycle import ReleaseBody, ResumeBody
from service.api.campaigns.milestones import DoneBody, MilestoneBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.plans import words
from service.console.plans.plan import about, acts_of
from service.console.render import Gone, Shown
from service.errors import Conflict, Forbidden
from service.words.phrase import phrase


async def submit(desk: Desk) -> Gone:
    """Put a draft before an approver."""
    campaign_id = desk.uuid("campaign_id")
    await desk.act(campaigns.submit_campaign, campaign_id=campaign_id)
    return _back(desk, phrase("It was put before an approver."))


async def pause(desk: Desk) -> Gone:
    """Stop handing off."""
    campaign_id = desk.uuid("campaign_id")
    body = body_of(ReasonBody, desk.form)
    await desk.act(lifecycle.pause_campaign, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("Paused. Nothing leaves that was not leaving already."))


async def resume(desk: Desk) -> Gone:
    """Go on."""
    campaign_id = desk.uuid("campaign_id")
    body = body_of(ResumeBody, desk.form)
    await desk.act(lifecycle.resume_campaign, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("It goes on."))


async def release(desk: Desk) -> Gone:
    """Let go what is held, or leave it out."""
    campaign_id = desk.uuid("campaign_id")
    body = body_of(ReleaseBody, desk.form)
    await desk.act(lifecycle.release_campaign, campaign_id=campaign_id, body=body)
    if body.missed == "skip":
        return _back(desk, phrase("It is left out."))
    return _back(desk, phrase("Released."))


async def cancel(desk: Desk) -> Gone:
    """End a campaign."""
    campaign_id = desk.uuid("campaign_id")
    body = body_of(ReasonBody, desk.form)
    await desk.act(lifecycle.cancel_campaign, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("It is ended. What was not sent yet is not sent."))


async def clone(desk: Desk) -> Gone:
    """Make a draft of the same plan."""
    body = body_of(CloneBody, desk.form)
    made = await desk.act(campaigns.clone_campaign, campaign_id=desk.uuid("campaign_id"), body=body)
    return Gone(f"/plans/{made.id}/edit", phrase("This is a copy: a draft of its own."))


async def send_back(desk: Desk) -> Gone:
    """Return it to its planners."""
    body = body_of(RefusalBody, desk.form)
    campaign_id = desk.uuid("campaign_id")
    await desk.act(campaigns.return_campaign, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("Returned. Its planners see why on their start page."))


async def reject(desk: Desk) -> Gone:
    """Refuse it for good."""
    body = body_of(RefusalBody, desk.form)
    campaign_id = desk.uuid("campaign_id")
    await desk.act(campaigns.reject_campaign, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("Refused for good."))


async def add_milestone(desk: Desk) -> Gone:
    """Say what is to be reached by which day."""
    body = body_of(MilestoneBody, desk.form)
    campaign_id = desk.uuid("campaign_id")
    await desk.act(milestones.add_milestone, campaign_id=campaign_id, body=body)
    return _back(desk, phrase("The milestone is added."))


async def finish_milestone(desk: Desk) -> Gone:
    """Say that a milestone is reached."""
    await desk.act(
        milestones.finish_milestone,
        campaign_id=desk.uuid("campaign_id"),
        milestone_id=desk.uuid("milestone_id"),
        body=body_of(DoneBody, desk.form),
    )
    return _back(desk, phrase("The milestone is reached."))


async def show_cancel(desk: Desk) -> Shown:
    """Asks before a campaign is ended."""
    return await _asked(desk, "cancel")


async def show_release(desk: Desk) -> Shown:
    """Asks before what is held is let go, or left out."""
    return await _asked(desk, "release")


async def show_resume(desk: Desk) -> Shown:
    """Asks what becomes of fires that were missed."""
    return await _asked(desk, "resume")


async def show_return(desk: Desk) -> Shown:
    """Asks why it is returned."""
    return await _asked(desk, "return")


async def show_reject(desk: Desk) -> Shown:
    """Asks why it is refused for good."""
    return await _asked(desk, "reject")


async def _asked(desk: Desk, act: str) -> Shown:
    """The page before an act.

    Raises:
        Forbidden: the reader may not do it.
        Conflict: it cannot be done now; says why.
    """
    campaign_id = desk.uuid("campaign_id")
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    found = acts_of(plan)[act]
    if not found.allowed and found.plain is not None and desk.refusal is None:
        refusal = Forbidden if found.code == Forbidden.code else Conflict
        raise refusal(desk.language.plain(found.plain), code=found.code)
    told: dict[str, Any] = {
        **await about(desk, plan),
        "act": act,
        "late": list(words.LATE.items()),
    }
    return Shown("plans/ask.html", told)


def _back(desk: Desk, notice: str) -> Gone:
    return Gone(f"/plans/{desk.uuid('campaign_id')}", notice)
