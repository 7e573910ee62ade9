"""Further runs of what was approved once: the same text to whom it missed, or to who joined since.

Such a run sends the approved text to some of the approved people, so the approval stands, for a
while, and as long as nothing of it has changed. What goes beyond it needs a word more: other
channels than the approved ones that of an approver who had no hand in the campaign; many new people
a campaign of their own. See docs/decisions/0058-the-approval-of-further-runs.md.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.departments.department_store import get_permits
from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_second_person
from service.audience.areas.area_store import read_area_tree
from service.campaigns.audience import newcomer_store
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.audience.follow_up_store import (
    Missed,
    count_missed,
    is_corrected,
    not_yet_in,
)
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core import run_store, store
from service.campaigns.core.model import Act, Campaign, Content, Run, State
from service.campaigns.core.run_store import Follow
from service.campaigns.plans.planning import load
from service.campaigns.plans.sequence import plan_steps
from service.campaigns.runs.newcomers import FEW
from service.campaigns.stops.hold import find_obstacle
from service.channels.config.store import existing_channels
from service.clock import day_in_china
from service.errors import Conflict, Invalid, NotFound
from service.ledger.message_class import WARNING
from service.messages.filing import check_filed
from service.messages.filing_store import required_filings
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase
from service.words.terms import term

RESEND_WITHIN = timedelta(days=7)
"""How long after its run a text may be sent again on the same approval."""
TOP_UP_WITHIN = timedelta(days=30)
"""How long after the last fire of a campaign who joined may still be written to."""

_SENDING = (State.SCHEDULED, State.RUNNING, State.DONE)


async def missed(conn: Connection, actor: User, run_id: UUID, now: datetime) -> Missed:
    """Whom a run has missed, by reason, and to whom its text may be sent again.

    Raises:
        NotFound: there is no such run in the actor's scope.
    """
    run = await _run(conn, actor, run_id)
    return await count_missed(conn, _root(run), now)


async def resend_missed(
    conn: Connection, actor: User, run_id: UUID, channels: Sequence[int] | None, by: By
) -> UUID:
    """Make a run of the same text for those whom a run has certainly missed.

    channels: other ways out than the campaign's; None: the same.

    Raises:
        NotFound: there is no such run in the actor's scope.
        Conflict: it is no run of a campaign, still sends, is too old, was corrected or missed
            nobody; or the campaign may not send now, or is not what was approved.
        Forbidden: the channels go beyond what was approved, and the actor may not approve them.
        Invalid: there are no such channels, or the department may not use them.
        NotFiled: one of them takes filed texts alone.
    """
    run = await _run(conn, actor, run_id)
    campaign, content = await _approved(conn, actor, _campaign_of(run), by.at)
    root = await _run(conn, actor, _root(run))
    await _check_resendable(conn, root, content, by.at)
    await _check_channels(conn, actor, campaign, content, root, channels, by.at)
    people = sum((await count_missed(conn, root.id, by.at)).again.values())
    if not people:
        raise Conflict(
            phrase("the run has missed nobody who could be written to"), code="nobody_missed"
        )
    follow = Follow(root.id, "resend")
    made = await _insert(conn, campaign, content, root.text_no, follow, by.at)
    if channels is not None:
        await run_store.choose_channels(conn, made, channels)
    await _begin(conn, campaign, by, f"sent again to {people} whom run {root.id} missed")
    return made


async def check_resend(conn: Connection, actor: User, run: Run, now: datetime) -> None:
    """Refuse to send a run again for all that is known without counting its people.

    Raises:
        Conflict: as for `resend_missed`.
    """
    campaign = await load(conn, _campaign_of(run), None)
    content = await _check_may_send(conn, campaign, now, lock=False)
    await _check_resendable(conn, await _run(conn, actor, _root(run)), content, now)


async def check_top_up(conn: Connection, campaign: Campaign, now: datetime) -> None:
    """Refuse to top a campaign up for all that is known without counting who has joined.

    Raises:
        Conflict: as for `top_up`.
    """
    await _check_may_send(conn, campaign, now, lock=False)
    await _last_fire(conn, campaign, now)


async def who_joined(
    conn: Connection, actor: User, campaign_id: UUID, now: datetime
) -> tuple[int | None, str | None]:
    """How many people a campaign's rule means by now who are in no ledger of it; or why it is not
    topped up.

    Raises:
        NotFound: there is none of this id in the actor's scope.
    """
    campaign = await load(conn, campaign_id, actor.scope)
    try:
        await _last_fire(conn, campaign, now)
    except Conflict as refusal:
        return None, refusal.message
    return await _count_joined(conn, campaign, frozen_content(campaign), now), None


async def top_up(conn: Connection, actor: User, campaign_id: UUID, share: float, by: By) -> UUID:
    """Make a run of the last fire's text for those whom the rule means by now and no run had.

    share: if more have joined than this share of those whom the approver was told of, and more than
    a few, they need a campaign of their own.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Conflict: it has no rule to ask, has not fired or not lately, or has another text since;
            nobody or too many joined; or it may not send now, or is not what was approved.
    """
    campaign, content = await _approved(conn, actor, campaign_id, by.at)
    last = await _last_fire(conn, campaign, by.at)
    people = await _count_joined(conn, campaign, content, by.at)
    if not people:
        raise Conflict(phrase("nobody has joined since"), code="nobody_joined")
    if people > max(FEW, (campaign.baseline or 0) * share):
        raise Conflict(
            phrase(
                "{people} people joined, and the approver was told of {baseline} in all:"
                " clone the campaign for them, and have it approved",
                people=people,
                baseline=campaign.baseline,
            ),
            code="drifted",
        )
    follow = Follow(last.id, "top_up")
    made = await _insert(conn, campaign, content, last.text_no, follow, by.at)
    await plan_steps(conn, campaign, content, made, by.at)
    await _begin(conn, campaign, by, f"topped up with {people} who joined")
    return made


async def _run(conn: Connection, actor: User, run_id: UUID) -> Run:
    run = await run_store.get_run(conn, run_id, actor.scope)
    if run is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    return run


def _campaign_of(run: Run) -> UUID:
    if run.campaign_id is None or run.mode == "test":
        raise Conflict(phrase("only a run of a campaign is sent again"), code="wrong_kind_of_run")
    return run.campaign_id


def _root(run: Run) -> UUID:
    """What was sent again counts with the run that it was sent again of."""
    return run.follows if run.relation == "resend" and run.follows is not None else run.id


async def _approved(
    conn: Connection, actor: User, campaign_id: UUID, now: datetime
) -> tuple[Campaign, Content]:
    """A campaign, locked, that may send what was approved right now."""
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    return campaign, await _check_may_send(conn, campaign, now)


async def _check_may_send(
    conn: Connection, campaign: Campaign, now: datetime, *, lock: bool = True
) -> Content:
    """What a campaign sends that may send what was approved right now; raises Conflict. lock: as
    for `find_obstacle`.
    """
    if campaign.state not in _SENDING:
        raise Conflict(
            phrase(
                "the campaign is {state}; only one that sends, waits for its next fire or"
                " is done has further runs",
                state=term(campaign.state, campaign.state.replace("_", " ")),
            ),
            code="wrong_state",
        )
    content = frozen_content(campaign)
    if (obstacle := await find_obstacle(conn, campaign, content, now, lock=lock)) is not None:
        raise Conflict(
            phrase("nothing may be sent now: {why}", why=obstacle.sentence),
            code="may_not_send",
        )
    if await newcomer_store.is_expanding(conn, campaign.id):
        raise Conflict(
            phrase("a ledger of it is being written; try again in a minute"), code="in_progress"
        )
    return content


async def _check_resendable(conn: Connection, root: Run, content: Content, now: datetime) -> None:
    if root.state != "sent":
        raise Conflict(phrase("the run still sends, or was cancelled"), code="run_not_sent")
    if now - root.fire_at > RESEND_WITHIN:
        raise Conflict(
            phrase(
                "the run is older than {days} days: clone its campaign, and have it approved",
                days=RESEND_WITHIN.days,
            ),
            code="too_old",
        )
    if await is_corrected(conn, root.id):
        raise Conflict(
            phrase("the run was corrected, or is about to be; its text is not sent again"),
            code="corrected",
        )
    await _check_same_text(conn, root, content)


async def _check_same_text(conn: Connection, run: Run, content: Content) -> None:
    """The text that a run sent must be the one that is approved now, at the same place."""
    texts = content.texts
    sent = await run_store.text_of(conn, run.id)
    if run.text_no > len(texts) or texts[run.text_no - 1].text != sent:
        raise Conflict(
            phrase("the campaign has another text by now"), code="changed_since_submission"
        )


async def _check_channels(
    conn: Connection,
    actor: User,
    campaign: Campaign,
    content: Content,
    root: Run,
    channels: Sequence[int] | None,
    now: datetime,
) -> None:
    """What is approved holds for its channels; what the carriers and the department say, always."""
    if channels is None:
        return
    missing = set(channels) - await existing_channels(conn)
    problems = (await get_permits(conn, campaign.department_id)).problems(
        content.message_class, channels
    )
    if missing:
        problems["channels"] = phrase(
            "there is no channel {channels}", channels=listing(sorted(missing))
        )
    if problems:
        raise Invalid(phrase("the channels are not there or not allowed"), fields=problems)
    words = content.texts[root.text_no - 1]
    required = await required_filings(
        conn, words.template_version_id, campaign.department_id, channels
    )
    check_filed(words.text, required)
    approved = content.plan.channels
    if approved is None or set(channels) <= set(approved):
        return
    if content.message_class == WARNING:
        raise Conflict(
            phrase("other channels of a warning take two approvers: clone the campaign"),
            code="needs_campaign",
        )
    await _check_may_approve(conn, actor, campaign, now)


async def _check_may_approve(
    conn: Connection, actor: User, campaign: Campaign, now: datetime
) -> None:
    """Whoever lets it go over other channels approves them, and had no hand in the campaign."""
    actor.need(Right.APPROVE)
    act = phrase("send it again over channels that were not approved")
    await need_second_person(conn, actor, campaign.hands, act, now)


async def _last_fire(conn: Connection, campaign: Campaign, now: datetime) -> Run:
    """The fire that a campaign is topped up after; refuses what cannot be topped up."""
    if campaign.plan.schedule.kind == "joining" or campaign.plan.corrects or campaign.plan.drill:
        raise Conflict(
            phrase("plans for newcomers, corrections and drills are not topped up"),
            code="no_top_up",
        )
    if campaign.plan.rollout is not None and campaign.next_fire_at is not None:
        raise Conflict(
            phrase("its rollout goes on: whoever joined gets it with the wave of the own village"),
            code="no_top_up",
        )
    last = await run_store.last_fire(conn, campaign.id)
    if last is None or campaign.frozen_rule is None:
        raise Conflict(
            phrase("the campaign has not fired yet, or was edited since"), code="not_fired"
        )
    if now - last.fire_at > TOP_UP_WITHIN:
        raise Conflict(
            phrase(
                "it fired more than {days} days ago: clone it, and have it approved",
                days=TOP_UP_WITHIN.days,
            ),
            code="too_old",
        )
    await _check_same_text(conn, last, frozen_content(campaign))
    return last


async def _count_joined(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> int:
    rule = await read_rule(conn, campaign.department_id, content.rule)
    tree = await read_area_tree(conn)
    condition = await compile_to_count(conn, campaign.department_id, rule, tree, day_in_china(now))
    new = not_yet_in(campaign.id)
    return await newcomer_store.count_newcomers(conn, campaign.department_id, condition, new)


async def _insert(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    text_no: int,
    follow: Follow,
    now: datetime,
) -> UUID:
    county = await load_county(conn)
    valid_until = validity_end(campaign.plan.schedule, content.terms, county, now)
    made = await run_store.insert_run(
        conn, campaign, content, now, valid_until, now, text_no, follow
    )
    if made is None:
        raise Conflict(phrase("another run of it began in this very moment; try again"))
    return made


async def _begin(conn: Connection, campaign: Campaign, by: By, what: str) -> None:
    """There is something to pause and cancel again."""
    reason = f"{what}: {by.reason}" if by.reason else what
    act = Act.REOPEN if campaign.state is State.DONE else Act.FIRE
    await store.move(conn, campaign.id, act, State.RUNNING, by._replace(reason=reason))
