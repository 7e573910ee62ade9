"""A leg of a joint plan: taken by somebody of its own department, or returned with a reason.

The plan was approved by two persons of its own side. The department of a leg agrees to send it to
its own people, over its own channels; it may narrow the areas, the hours and the pace, and changes
nothing else. Nobody of one side acts for the other: the database refuses it as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_another_side
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment_store import AudienceCounts
from service.audience.segments.segment_uses import WrittenOut
from service.campaigns.approval.approval import wait_for_first_fire
from service.campaigns.audience.content_checks import (
    check_carriers_take,
    frozen_content,
    judged_for_submission,
)
from service.campaigns.audience.preview import read_rule
from service.campaigns.audience.recipients import (
    as_leg,
    count_approval_audience,
    count_routed,
)
from service.campaigns.calendar.schedule import LatePolicy
from service.campaigns.core import leg_store, store
from service.campaigns.core.legs import LEG_MOVES, Leg, LegState, WrongLegState
from service.campaigns.core.model import (
    Act,
    Campaign,
    CampaignSubmission,
    Content,
    State,
)
from service.campaigns.plans.missed import decide_late
from service.campaigns.plans.planning import load
from service.channels.config.store import existing_channels
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase
from service.words.terms import term

_LIVES = frozenset({State.SCHEDULED, State.RUNNING})


@dataclass(frozen=True, slots=True)
class Narrower:
    """How a department narrows its leg. None: as the plan has it; of channels: the router's choice.

    areas: of those that are asked for, or within them. send_hours: within those of the plan.
    """

    areas: tuple[str, ...] | None = None
    send_hours: tuple[tuple[str, str], ...] | None = None
    channels: tuple[int, ...] | None = None
    max_tps: int | None = None


async def load_leg(
    conn: Connection, actor: User, leg_id: UUID, *, lock: bool = False
) -> tuple[Campaign, Leg]:
    """A leg with its joint plan, for whoever is of either side; `lock` locks both.

    Raises:
        NotFound: there is none of this id for the actor.
    """
    leg = await leg_store.get_leg(conn, leg_id)
    if leg is None:
        raise NotFound(phrase("there is no leg {leg_id}", leg_id=leg_id))
    plan = await load(conn, leg.campaign_id, None, lock=lock)
    if actor.scope not in {None, plan.department_id} and (
        actor.scope != leg.department_id or leg.state is LegState.PLANNED
    ):
        raise NotFound(phrase("there is no leg {leg_id}", leg_id=leg_id))
    return plan, await leg_store.get_leg(conn, leg_id, lock=True) or leg if lock else leg


async def take(
    conn: Connection,
    actor: User,
    leg_id: UUID,
    narrower: Narrower,
    by: By,
    *,
    missed: LatePolicy | None = None,
    keyring: Keyring | None = None,
) -> Leg:
    """Agree to send a leg: it becomes a campaign of the actor's department and fires with the plan.

    missed: what becomes of the plan's fires that are more than 15 minutes late by now; without it
    they follow the plan's late policy. keyring: as for a submission.

    Raises:
        NotFound: there is none of this id for the actor.
        Forbidden: the actor is of another department, or had a hand in the plan.
        Conflict: the plan does not send now, or the leg is not waiting for an answer.
        Invalid: what is narrowed lies outside the plan, or leaves nobody of those whom the leg as
            asked would reach.
        ValuesMissing, TextBlocked, NotFiled: as for a submission, for the people of the leg.
        MissedFires: fires are late, the plan holds such, and `missed` does not say what to do.
    """
    actor.need(Right.CONTROL)
    plan, leg = await load_leg(conn, actor, leg_id, lock=True)
    await check_take(conn, actor, plan, leg, by.at)
    taken, own, content = await _narrowed(conn, plan, leg, narrower)
    if (taken.areas, own.plan.channels) != (leg.areas, None):
        await _check_reaches(conn, plan, leg, taken, own.plan.channels, by.at)
    made = await _campaign_of(conn, plan, own, content, keyring, by)
    await leg_store.set_taken(conn, leg, made.id, taken.areas, by)
    await leg_store.move_leg(conn, leg, LegState.TAKEN, by)
    await wait_for_first_fire(conn, made, frozen_content(made), by.at)
    await store.move(conn, made.id, Act.APPROVE, State.SCHEDULED, by)
    await decide_late(conn, await load(conn, made.id, None, lock=True), missed, by)
    return await leg_store.get_leg(conn, leg_id) or leg


async def check_take(
    conn: Connection, actor: User, plan: Campaign, leg: Leg, now: datetime
) -> None:
    """Refuse whoever may not take a leg, or not as it stands.

    Raises:
        Forbidden, Conflict: as for `take`.
    """
    await _check_side(conn, actor, plan, leg, now)
    if leg.state is not LegState.ASKED:
        raise WrongLegState(LegState.TAKEN, leg.state)
    _check_lives(plan)


def check_return(actor: User, leg: Leg) -> None:
    """Refuse whoever may not return a leg, or not as it stands.

    Raises:
        Forbidden, Conflict: as for `give_back`.
    """
    _check_own(actor, leg)
    if leg.state not in LEG_MOVES[LegState.RETURNED]:
        raise WrongLegState(LegState.RETURNED, leg.state)


def check_ask(actor: User, plan: Campaign, leg: Leg) -> None:
    """Refuse whoever may not ask for a leg once more, or not as it stands.

    Raises:
        Forbidden, Conflict: as for `ask_again`.
    """
    if actor.scope not in {None, plan.department_id}:
        raise Forbidden(phrase("whoever planned it asks again"), code="not_your_leg")
    _check_lives(plan)
    if leg.state is not LegState.RETURNED:
        raise WrongLegState(LegState.ASKED, leg.state)


def _check_own(actor: User, leg: Leg) -> None:
    if actor.department_id != leg.department_id:
        raise Forbidden(
            phrase(
                "{department} takes or returns this leg: somebody who belongs to it must do it",
                department=leg.department,
            ),
            code="not_your_leg",
        )


def _check_lives(plan: Campaign) -> None:
    if plan.state not in _LIVES:
        raise Conflict(
            phrase(
                "the plan is {state}; its own side must let it go on",
                state=term(plan.state, plan.state.replace("_", " ")),
            ),
            code="wrong_state",
        )


async def _check_side(
    conn: Connection, actor: User, plan: Campaign, leg: Leg, now: datetime
) -> None:
    """Refuse whoever is not of the leg's department, or counts as somebody of the plan's side."""
    _check_own(actor, leg)
    hands = plan.hands | {
        plan.approved_by: phrase("approved the plan"),
        plan.approved_for: phrase("had the plan approved by a deputy"),
        plan.second_approved_by: phrase("approved the plan"),
        plan.second_approved_for: phrase("had the plan approved by a deputy"),
    }
    await need_another_side(conn, actor, hands, phrase("take this leg"), now)


async def _narrowed(
    conn: Connection, plan: Campaign, leg: Leg, narrower: Narrower
) -> tuple[Leg, Campaign, Content]:
    """A leg with the areas to which its department has narrowed it, and the plan as it is for it;
    raises Invalid.
    """
    areas = leg.areas if narrower.areas is None else narrower.areas
    fields = {}
    tree = await read_area_tree(conn)
    if unknown := [code for code in areas if code not in tree.areas]:
        fields["areas"] = phrase("there is no area {areas}", areas=listing(unknown))
    elif narrower.areas is not None and not areas:
        fields["areas"] = phrase(
            "name at least one area, or leave areas out: then all that were asked"
        )
    elif leg.areas and (more := [code for code in areas if not _within(tree, code, leg.areas)]):
        fields["areas"] = phrase(
            "the plan does not ask for {more}; name fewer areas, not others", more=listing(more)
        )
    schedule = plan.plan.schedule
    hours = narrower.send_hours
    if hours is not None and not _hours_within(hours, schedule.send_hours):
        said = listing(f"{start}-{end}" for start, end in schedule.send_hours)
        fields["send_hours"] = phrase("they must lie within those of the plan: {said}", said=said)
    if missing := set(narrower.channels or ()) - await existing_channels(conn):
        fields["channels"] = phrase(
            "there is no channel {channels}", channels=listing(sorted(missing))
        )
    if fields:
        raise Invalid(phrase("the leg would go beyond the plan"), fields=fields)
    taken = replace(leg, areas=tuple(areas))
    own, content = as_leg(plan, frozen_content(plan), taken)
    narrowed = replace(
        own.plan,
        schedule=schedule if hours is None else replace(schedule, send_hours=hours),
        channels=narrower.channels,
        max_tps=narrower.max_tps,
    )
    return taken, replace(own, plan=narrowed), replace(content, plan=narrowed)


async def _check_reaches(
    conn: Connection,
    plan: Campaign,
    leg: Leg,
    taken: Leg,
    channels: Sequence[int] | None,
    now: datetime,
) -> None:
    """Refuse areas or channels by which a leg would reach nobody, though as it is asked it reaches
    somebody: a leg that was taken cannot be changed any more.

    Raises:
        Invalid: names the areas or the channels, and how many people it would leave out.
    """

    async def reached(one: Leg, over: Sequence[int] | None) -> AudienceCounts:
        own, content = as_leg(plan, frozen_content(plan), one)
        chosen = replace(own.plan, channels=None if over is None else tuple(over))
        return await count_routed(conn, replace(own, plan=chosen), content, now)

    left = await reached(taken, channels)
    if left.target:
        return
    asked = await reached(leg, None)
    if not asked.target:
        return
    if taken.areas != leg.areas and not (await reached(taken, None)).target:
        field, named = (
            "areas",
            phrase("in {areas} the leg reaches nobody", areas=listing(taken.areas)),
        )
        why = phrase("none of these people lives there, or may be sent to")
    else:
        field, named = (
            "channels",
            phrase("over {channels} it reaches nobody", channels=listing(channels or ())),
        )
        why = phrase(
            "none of these channels takes the numbers of these people from this department"
        )
    problem = phrase(
        "{named}: it would leave out all {target} people of {department} whom it is"
        " asked for, for {why}; name others, or leave {field} out",
        named=named,
        target=asked.target,
        department=leg.department,
        why=why,
        field=field,
    )
    raise Invalid(phrase("so narrow, the leg would reach nobody"), fields={field: problem})


def _within(tree: AreaTree, code: str, areas: Collection[str]) -> bool:
    """Whether an area is one of these, or lies in one."""
    while code not in areas and code in tree.areas:
        code = tree.areas[code].parent
    return code in areas


def _hours_within(hours: Sequence[tuple[str, str]], plan: Sequence[tuple[str, str]]) -> bool:
    return bool(hours) and all(
        any(first <= start < end <= last for first, last in plan) for start, end in hours
    )


async def _campaign_of(
    conn: Connection,
    plan: Campaign,
    own: Campaign,
    content: Content,
    keyring: Keyring | None,
    by: By,
) -> Campaign:
    """The campaign of a leg, submitted and approved by those of the plan, not yet scheduled."""
    rule: WrittenOut = await read_rule(conn, own.department_id, content.rule)
    content, findings = await judged_for_submission(conn, own, content, rule, keyring, by.at)
    await check_carriers_take(conn, own, content)
    if plan.submitted_by is None or plan.approved_by is None or plan.approved_at is None:
        raise ValueError("a plan that sends was submitted and approved")
    made = await store.insert_campaign(
        conn, own.department_id, own.plan, plan.edited_by, by.at, plan.key_mode
    )
    submission = CampaignSubmission(
        content=content,
        text_edited_by=_known(plan.text_edited_by),
        rule_edited_by=_known(plan.rule_edited_by),
        submitted_by=plan.submitted_by,
        submitted_at=plan.submitted_at or by.at,
        pending_until=by.at,
        baseline=(await count_approval_audience(conn, own, content, by.at)).target,
        rule_editors=plan.rule_editors,
        text_editors=plan.text_editors,
        findings=findings,
    )
    await store.freeze(conn, made, submission)
    said = By(plan.submitted_by, "submitted", by.at)
    await store.move(conn, made, Act.SUBMIT, State.PENDING_APPROVAL, said)
    await store.copy_approvals(conn, made, plan.id, content.hash)
    return await load(conn, made, None)


def _known(person: UUID | None) -> UUID:
    if person is None:
        raise ValueError("a plan that was submitted has editors")
    return person


async def give_back(conn: Connection, actor: User, leg_id: UUID, by: By) -> Leg:
    """Return a leg to whoever planned it, with a reason; they may ask again.

    Raises:
        NotFound: there is none of this id for the actor.
        Forbidden: the actor is of another department.
        Conflict: the leg is not waiting for an answer.
    """
    actor.need(Right.CONTROL)
    _, leg = await load_leg(conn, actor, leg_id, lock=True)
    check_return(actor, leg)
    await leg_store.move_leg(conn, leg, LegState.RETURNED, by)
    return await leg_store.get_leg(conn, leg_id) or leg


async def ask_again(
    conn: Connection, actor: User, leg_id: UUID, areas: Collection[str] | None, by: By
) -> Leg:
    """Ask for a leg that was returned once more, as it was or for fewer areas.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor is not of the plan's department.
        Conflict: the leg was not returned, or the plan does not send.
        Invalid: the areas are not within those that were approved.
    """
    plan, leg = await load_leg(conn, actor, leg_id, lock=True)
    check_ask(actor, plan, leg)
    if areas is not None:
        tree = await read_area_tree(conn)
        known = all(code in tree.areas for code in areas)
        approved = leg.approved_areas
        within = not approved or all(_within(tree, code, approved) for code in areas)
        if not (areas and known and within):
            problem = phrase("name areas within those that were approved, or leave areas out")
            raise Invalid(
                phrase("the areas are wrong: {problem}", problem=problem), fields={"areas": problem}
            )
        await leg_store.set_areas(conn, leg, areas)
    await leg_store.move_leg(conn, leg, LegState.ASKED, by)
    return await leg_store.get_leg(conn, leg_id) or leg
