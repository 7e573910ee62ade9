"""Two persons: one submits, another approves exactly what was submitted (invariant I8).

Submission freezes the text versions, the rule with the segments that it uses written out, and their
editors, and binds everything by a hash. Who edits one of these segments afterwards changes nothing
of an approval; before it, the submission is void.
A warning comes from the police alone and takes two approvers. A deputy approves in the seat of an
approver who is away; neither of them may have had a hand in it. What goes to very many people is
first sent to the approver's own phone. The same conditions on persons stand as CHECKs in the
database, for whatever this module overlooks.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.departments.department import POLICE
from service.accounts.departments.department_store import check_signature, get_permits
from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_second_person
from service.campaigns.approval.sources import content_of, read_sources, read_templates
from service.campaigns.audience.content_checks import (
    check_carriers_take,
    frozen_content,
    judged_again,
    judged_for_submission,
)
from service.campaigns.audience.newcomer_store import watch
from service.campaigns.audience.recipients import count_target, keep_people
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Why, next_fire, opens
from service.campaigns.core import fire_store, leg_store, run_store, store
from service.campaigns.core.legs import LegState
from service.campaigns.core.model import (
    PENDING,
    Act,
    Campaign,
    CampaignSubmission,
    Content,
    State,
    check_move,
)
from service.campaigns.core.rollout_check import check_rollout
from service.campaigns.plans.planning import fires_ahead, load, variable_problems
from service.campaigns.plans.sequence import has_fired_for_good, plan_anew, steps_remain
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid
from service.ledger.message_class import WARNING
from service.messages.offers.offer_store import authors_of
from service.messages.offers.withdrawal import check_words_stand
from service.messages.signature import head
from service.messages.store import Template, record_read
from service.messages.text_approval import check_read
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def submit(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    now: datetime,
    *,
    keyring: Keyring | None = None,
) -> Campaign:
    """Put a draft before an approver, with the latest text and the rule as it stands.

    keyring: to read the longest names; without it their octets are the bound of their characters.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is not a draft.
        TextBlocked: a text has findings of level `block`.
        TextWithdrawn: the words of a text were withdrawn by the department that offered them.
        ValuesMissing: people whom the rule means have no value for a variable.
        Forbidden: it is a warning, and the department is not the police.
        Invalid: a variable has no source, the fire lies in the past, or the department may not
            send such texts or use such channels.
        SignatureLent: the text begins with the signature of another department.
        NotFiled: a channel that it may take does not take it without a filing.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.SUBMIT, campaign.state)
    await store.freeze(conn, campaign_id, await _submission(conn, actor, campaign, keyring, now))
    await store.move(
        conn, campaign_id, Act.SUBMIT, State.PENDING_APPROVAL, By(actor.id, "submitted", now)
    )
    submitted = await load(conn, campaign_id, None)
    ahead = await fires_ahead(conn, submitted, await load_county(conn), now, 1)
    expected = next((fire.at for fire in ahead if not fire.skipped), None)
    await fire_store.set_expected(conn, campaign_id, expected)
    return submitted


async def _submission(
    conn: Connection, actor: User, campaign: Campaign, keyring: Keyring | None, now: datetime
) -> CampaignSubmission:
    """What a draft comes to, once it is known that it may be submitted; raises as `submit`."""
    templates, rule, ruled_by = await read_sources(conn, campaign)
    await _check_variables(conn, campaign, templates)
    content = content_of(campaign, templates, rule)
    await check_words_stand(conn, [template.version_id for template in templates])
    await check_rollout(conn, campaign.id, content)
    await _check_fires(conn, campaign, content, now)
    await _check_permits(conn, campaign, content)
    content, findings = await judged_for_submission(conn, campaign, content, rule, keyring, now)
    await check_carriers_take(conn, campaign, content)
    return CampaignSubmission(
        content=content,
        text_edited_by=templates[0].edited_by,
        rule_edited_by=ruled_by,
        submitted_by=actor.id,
        submitted_at=now,
        pending_until=now + PENDING,
        baseline=await count_target(conn, campaign, content, now),
        rule_editors=sorted(rule.editors | {ruled_by}),
        text_editors=await _writers(conn, templates),
        findings=findings,
    )


async def _writers(conn: Connection, templates: Sequence[Template]) -> list[UUID]:
    """Who wrote the texts, and the words that they have from another department."""
    taken = [template.taken_from for template in templates if template.taken_from is not None]
    return sorted({t.edited_by for t in templates}.union(await authors_of(conn, taken)))


async def approve(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    reason: str,
    now: datetime,
    *,
    test_above: int | None = None,
    acknowledged: Collection[str] = (),
    keyring: Keyring | None = None,
) -> Campaign:
    """Approve what was submitted; it fires at its time. The first approval of a warning leaves it
    waiting for another.

    test_above: from how many people on the approver must have had the text on the own phone.
    acknowledged: the rules of lint whose findings of level `review` the approver has read.
    keyring: as for `submit`.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor may not approve, or had a hand in the campaign.
        WrongState: it does not wait for approval.
        Conflict: it has expired, the text or rule has changed since, or a test is missing.
        Unread: the text has findings of level `review` that are not acknowledged.
        ValuesMissing: by now people whom the rule means have no value for a variable.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    content = await _approvable(conn, actor, campaign, keyring, now, test_above)
    await _record_read_findings(conn, actor, campaign, acknowledged, now)
    by = By(actor.id, (reason or "approved") + _deputy_note(actor), now)
    await store.record_approval(conn, campaign_id, actor.id, actor.deputy_for, content.hash, now)
    if content.message_class == WARNING and campaign.approved_by is None:
        await store.move(conn, campaign_id, Act.APPROVE, State.PENDING_APPROVAL, by)
        return await load(conn, campaign_id, None)
    await wait_for_first_fire(conn, campaign, content, now)
    await store.move(conn, campaign_id, Act.APPROVE, State.SCHEDULED, by)
    await _ask_legs(conn, campaign, by)
    return await load(conn, campaign_id, None)


def _deputy_note(actor: User) -> str:
    return f" (for {actor.deputy_for})" if actor.deputy_for else ""


async def _ask_legs(conn: Connection, campaign: Campaign, by: By) -> None:
    """Ask each department for its leg of a joint plan."""
    for leg in await leg_store.list_legs(conn, campaign.id) if campaign.plan.is_joint else ():
        await leg_store.move_leg(conn, leg, LegState.ASKED, by)


async def wait_for_first_fire(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> None:
    """Whoever has a role by now is nobody new to a plan for newcomers; and a sequence that has
    begun begins no second time. Who is in the target by now are those whom it is for. A leg has the
    fires of its plan, those before it was taken among them.
    """
    await keep_people(conn, campaign, content, now)
    await watch(conn, campaign.id, content.plan.schedule.roles, now)
    await plan_anew(conn, campaign.id, content)
    if await has_fired_for_good(conn, campaign):
        return
    schedule = content.plan.schedule
    since = campaign.approved_at if content.plan.leg_of is not None else now
    begin = opens(schedule, since or now, content.plan.period_start)
    fire = next_fire(schedule, content.terms, await load_county(conn), begin)
    await store.set_next_fire(conn, campaign.id, fire.at if fire else begin)


async def _record_read_findings(
    conn: Connection, actor: User, campaign: Campaign, acknowledged: Collection[str], now: datetime
) -> None:
    """Record which findings of level `review` the approver has read; raises as `check_read`."""
    read = check_read(campaign.findings, acknowledged)
    await record_read(conn, read, actor.id, now, campaign_id=campaign.id)


async def _approvable(
    conn: Connection,
    actor: User,
    campaign: Campaign,
    keyring: Keyring | None,
    now: datetime,
    test_above: int | None,
) -> Content:
    """What the actor is about to approve; raises as `approve`."""
    await _check_may_approve(conn, actor, campaign, now)
    templates, rule, _ = await read_sources(conn, campaign)
    await check_words_stand(conn, [template.version_id for template in templates])
    content = content_of(campaign, templates, rule)
    content = await judged_again(conn, campaign, content, rule, keyring, now)
    if content.hash != campaign.content_hash:
        raise _changed()
    await check_carriers_take(conn, campaign, content)
    await _check_tested(conn, actor, campaign, test_above)
    return content


async def check_approve(
    conn: Connection, actor: User, campaign: Campaign, now: datetime, test_above: int | None
) -> None:
    """Refuse to approve a campaign for all that is known without judging its texts and its people
    once more.

    Raises:
        Forbidden, WrongState, Conflict: as for `approve`.
    """
    await _check_may_approve(conn, actor, campaign, now)
    versions = [template.version_id for template in await read_templates(conn, campaign)]
    await check_words_stand(conn, versions, lock=False)
    bound = [words.template_version_id for words in frozen_content(campaign).texts]
    if versions != bound:
        raise _changed()
    await _check_tested(conn, actor, campaign, test_above)


async def _check_may_approve(
    conn: Connection, actor: User, campaign: Campaign, now: datetime
) -> None:
    actor.need(Right.APPROVE)
    check_move(Act.APPROVE, campaign.state)
    await check_second_person(conn, actor, campaign, now)
    if campaign.pending_until is None or campaign.pending_until <= now:
        raise Conflict(
            phrase("the submission has expired; it must be submitted again"), code="expired"
        )


def _changed() -> Conflict:
    return Conflict(
        phrase(
            "the text, the rule or the plan has changed since it was submitted; return the"
            " campaign, so that it is submitted as it is now"
        ),
        code="changed_since_submission",
    )


async def send_back(
    conn: Connection, actor: User, campaign_id: UUID, reason: str, now: datetime
) -> Campaign:
    """Return a submitted campaign to its planners, to be mended; raises as `reject`."""
    campaign = await _refuse(
        conn, actor, campaign_id, Act.RETURN, By(actor.id, reason, now, Why.RETURNED)
    )
    await store.void_submission(conn, campaign.id)
    return await load(conn, campaign_id, None)


async def reject(
    conn: Connection, actor: User, campaign_id: UUID, reason: str, now: datetime
) -> Campaign:
    """Refuse a submitted campaign for good.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it does not wait for approval.
        Conflict: a run that was approved before still goes on.
    """
    await _refuse(conn, actor, campaign_id, Act.REJECT, By(actor.id, reason, now))
    return await load(conn, campaign_id, None)


_REFUSED = {Act.RETURN: State.RETURNED, Act.REJECT: State.REJECTED}


async def _refuse(conn: Connection, actor: User, campaign_id: UUID, act: Act, by: By) -> Campaign:
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    await check_refuse(conn, actor, campaign, act)
    await store.move(conn, campaign_id, act, _REFUSED[act], by)
    await fire_store.skip_held(conn, campaign_id, Why.RETURNED, by.reason, by.at)
    return campaign


async def check_refuse(conn: Connection, actor: User, campaign: Campaign, act: Act) -> None:
    """Refuse to return a campaign or to reject it; raises as `reject`."""
    actor.need(Right.APPROVE)
    check_move(act, campaign.state)
    if act is Act.REJECT and await run_store.goes_on(conn, campaign.id):
        raise Conflict(
            phrase(
                "a run of it that was approved before still goes on, and nobody could stop"
                " it then: return the campaign, or cancel it"
            ),
            code="wrong_state",
        )


async def _check_variables(
    conn: Connection, campaign: Campaign, templates: Sequence[Template]
) -> None:
    """Again at the submission: a text may have a new version since the plan was made, and the
    department may be of another kind.
    """
    kind = await store.department_kind(conn, campaign.department_id)
    fields: dict[str, str] = {}
    for number, template in enumerate(templates):
        fields |= variable_problems(template.text, campaign.plan, number, kind)
    if fields:
        raise Invalid(phrase("the variables of the texts are not filled"), fields=fields)


async def _check_fires(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> None:
    """Refuse a plan of which nothing is to come; of a sequence that has begun, the next step is."""
    if await has_fired_for_good(conn, campaign):
        texts = len(content.texts) if content.plan.is_sequence else 1
        if not await steps_remain(conn, campaign.id, texts):
            raise Invalid.at(
                "more_texts", phrase("it has fired, and none of its texts is still to follow")
            )
        return
    begin = opens(content.plan.schedule, now, content.plan.period_start)
    county = await load_county(conn)
    fire = next_fire(content.plan.schedule, content.terms, county, begin)
    end = content.plan.period_end
    if end is not None and (fire.at if fire else begin) >= end:
        raise Invalid.at(
            "period.end", phrase("the campaign's period is over by then; give it a later end")
        )
    if fire is None or (content.plan.schedule.start_at is not None and fire.at <= now):
        raise Invalid.at(
            "schedule.start_at",
            phrase("no fire is to come: the instant has passed; give a later one"),
        )


async def _check_police(conn: Connection, campaign: Campaign) -> None:
    if await store.department_kind(conn, campaign.department_id) != POLICE:
        raise Forbidden(
            phrase("a warning comes from the police alone; give the text another class"),
            code="police_only",
        )


async def _check_tested(
    conn: Connection, actor: User, campaign: Campaign, test_above: int | None
) -> None:
    """Refuse an approver who has not had what was submitted on the own phone, if it is for many."""
    if test_above is None or (campaign.baseline or 0) <= test_above or not campaign.content_hash:
        return
    tested = await store.texts_tested(conn, campaign.id, campaign.content_hash, actor.id)
    missing = set(range(1, len(campaign.further) + 2)) - tested
    if missing:
        first = min(missing)
        which = phrase("text {first}", first=first) if campaign.further else phrase("it")
        raise Conflict(
            phrase(
                "it goes to {baseline} people: have {which} sent to your own phone first"
                " (test-send), and approve once it has left",
                baseline=campaign.baseline,
                which=which,
            ),
            code="test_needed",
        )


async def _check_permits(conn: Connection, campaign: Campaign, content: Content) -> None:
    """What the department may use now, whatever it might when the campaign was planned."""
    if content.message_class == WARNING:
        await _check_police(conn, campaign)
    permits = await get_permits(conn, campaign.department_id)
    problems = permits.problems(content.message_class, content.plan.channels)
    if problems:
        raise Invalid(phrase("the plan asks for what is not allowed"), fields=problems)
    for words in content.texts:
        await check_signature(conn, campaign.department_id, head(words.text))


async def check_second_person(
    conn: Connection, actor: User, campaign: Campaign, now: datetime
) -> None:
    """Refuse whoever had a hand in a campaign, or has approved it, to approve it.

    Raises:
        Forbidden: says what the actor did, or whom the actor stands in for.
    """
    hands = campaign.hands | {
        campaign.approved_by: phrase("approved it"),
        campaign.approved_for: phrase("had it approved by a deputy"),
    }
    await need_second_person(conn, actor, hands, phrase("approve this campaign"), now)
