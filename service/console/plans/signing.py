"""The sheet that an approver signs: everything that is bound, then the button, at its end."""

from typing import Any

from service.api.audience import segments
from service.api.audience.segments import RuleBody
from service.api.campaigns import campaign_preview, campaigns
from service.api.campaigns.campaigns import ApprovalBody, TestBody
from service.api.campaigns.details import CampaignDetail
from service.api.content import previews, versions
from service.api.content.previews import PreviewQuery
from service.api.http.paging import PageQuery
from service.api.sending import runs
from service.console.asking import Desk
from service.console.differences import pieces
from service.console.forms import body_of
from service.console.plans import bound, words
from service.console.plans.plan import about, acts_of, asked_of
from service.console.render import Gone, Shown
from service.errors import Conflict, Invalid, NotFound, TocsinError
from service.words.phrase import phrase

KNOWN = "known"
"""The tick of whoever knows that it cannot be called back."""


async def show_sheet(desk: Desk) -> Shown:
    """What is to be signed."""
    campaign_id = desk.uuid("campaign_id")
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    counted = None
    if "count" in desk.request.query:
        counted = await desk.get(campaign_preview.preview_campaign, campaign_id=campaign_id)
    told = {
        **await about(desk, plan),
        **await _text(desk, plan),
        **await _signing(desk, plan),
        "lines": bound.lines(plan, desk.language),
        "rule": await _rule(desk, plan),
        "counted": counted,
        "fires": plan.next_fires,
    }
    if plan.legs:
        told |= await asked_of(desk, plan)
    return Shown("plans/sign.html", told)


async def show_signing(desk: Desk) -> Shown:
    """The test to the own phone and the button, asked for again while a test is on its way."""
    plan = await desk.get(campaigns.get_campaign, campaign_id=desk.uuid("campaign_id"))
    told = {**words.lines(desk.language), "plan": plan, "words": words}
    return Shown("plans/_signing.html", {**told, **await _signing(desk, plan)})


async def _signing(desk: Desk, plan: CampaignDetail) -> dict[str, Any]:
    """What whoever signs ticks, and what became of the tests to the own phone."""
    review = {finding.rule: finding for finding in plan.findings if finding.level == "review"}
    return {
        "acts": acts_of(plan),
        "review": list(review.values()),
        "warned": [one for one in plan.findings if one.level == "warn"],
        "tests": await _tests(desk, plan),
        "first_fire": next((fire.at for fire in plan.next_fires if not fire.skipped), None),
    }


async def show_counts(desk: Desk) -> Shown:
    """Whom a campaign would reach now, beside what was counted at the submission."""
    campaign_id = desk.uuid("campaign_id")
    plan = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    counted = await desk.get(campaign_preview.preview_campaign, campaign_id=campaign_id)
    told = {**words.lines(desk.language), "plan": plan, "words": words, "counted": counted}
    return Shown("plans/_counts.html", told)


async def sign(desk: Desk) -> Gone:
    """Approve it."""
    if KNOWN not in desk.form:
        said = phrase("tick that you know it before you sign")
        raise Invalid.at(KNOWN, said)
    campaign_id = desk.uuid("campaign_id")
    body = body_of(ApprovalBody, desk.form, but=(KNOWN,))
    try:
        signed = await desk.act(campaigns.approve_campaign, campaign_id=campaign_id, body=body)
    except Conflict as error:
        if error.code == "changed_meanwhile":  # no tick of the sheet before counts for this one
            return Gone(f"/plans/{campaign_id}/sign", error.message)
        if error.code != "review_needed":
            raise
        said = phrase("read it, and tick what you have read")
        raise Invalid.at("acknowledged", said) from error
    if signed.state == "pending_approval":
        notice = phrase("You have signed it. A warning takes one more person.")
    else:
        notice = phrase("Signed.")
    return Gone(f"/plans/{campaign_id}", notice)


async def test(desk: Desk) -> Gone:
    """Send it to one's own phone."""
    campaign_id = desk.uuid("campaign_id")
    body = body_of(TestBody, desk.form)
    await desk.act(campaigns.test_campaign, campaign_id=campaign_id, body=body)
    return Gone(f"/plans/{campaign_id}/sign", phrase("It is on its way to your phone."))


async def _rule(desk: Desk, plan: CampaignDetail) -> str:
    """Whom the rule means, in words; the rule itself where it has none."""
    if plan.frozen_rule is None:
        return ""
    try:
        said = await desk.get(segments.explain_segment, body=RuleBody(rule=plan.frozen_rule))
    except TocsinError:  # it names what only its own department has
        return plan.frozen_rule
    return said.chinese if desk.language.code == "zh" else said.english


async def _text(desk: Desk, plan: CampaignDetail) -> dict[str, Any]:
    """The first text: which version, what changed since one that was signed, the longest reader."""
    page = PageQuery(limit=50)
    known = (
        await desk.get(versions.list_template_versions, template_id=plan.template_id, query=page)
    ).items
    own = next((one for one in known if one.id == plan.template_version_id), None)
    before = await _signed_before(desk, plan)
    if before is None and own is not None:
        earlier = [one for one in known if one.version < own.version and one.approved_at]
        before = earlier[0].text if earlier else None
    longest = None
    if plan.segment_id is not None:
        query = PreviewQuery(segment_id=plan.segment_id)
        found = await desk.get(previews.preview_template, template_id=plan.template_id, query=query)
        longest = found.longest[0] if found.longest else None
    return {
        "version": own.version if own else None,
        "changes": pieces(before, plan.text) if before is not None else None,
        "longest": longest,
    }


async def _signed_before(desk: Desk, plan: CampaignDetail) -> str | None:
    """The text of the campaign of which this is a copy, if that was signed."""
    if plan.cloned_from is None:
        return None
    try:
        first = await desk.get(campaigns.get_campaign, campaign_id=plan.cloned_from)
    except NotFound:
        return None
    return first.text if first.approved_at is not None else None


async def _tests(desk: Desk, plan: CampaignDetail) -> list[tuple[int, str]]:
    """Tests to approvers' phones since it was submitted: which text, and what became of it."""
    page = PageQuery(limit=20)
    made = (await desk.get(runs.list_runs, campaign_id=plan.id, query=page)).items
    since = plan.submitted_at
    found = []
    for run in made:
        if run.mode == "test" and since is not None and run.created_at >= since:
            report = await desk.get(runs.get_report, run_id=run.id)
            state = next((state for state, count in report.states.items() if count), "queued")
            found.append((run.text_no, state))
    return found[:5]
