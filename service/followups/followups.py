"""Beginning a follow-up, ending it, and what people decide of it in between."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from service.accounts.departments.department_store import get_department
from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_second_person
from service.audience.vocabulary.roles import ROLES
from service.campaigns.core import run_store
from service.campaigns.core.model import Run
from service.campaigns.runs.follow_up_runs import resend_missed
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.followups import followup_store, result_store, visit_store
from service.followups.followup_store import Followup, NewFollowup, StepRow
from service.followups.ladder import FollowupState, FollowupStep, StepState, read_steps
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

NOTE = "visit_note"
"""The kind of cipher of what is noted of visits; it may name somebody."""

ChannelDecision = Literal["send", "skip"]


class Sight(NamedTuple):
    """What of a follow-up somebody sees. bounded: only people who live in `area`, by its code."""

    followup: Followup
    bounded: bool
    area: str | None


async def start(
    conn: Connection, actor: User, new: NewFollowup, steps: Sequence[FollowupStep], by: By
) -> UUID:
    """Begin to follow up those whom a run missed.

    `new.root_run_id`: the run, or one that was sent again of it; `new.department_id` is not looked
    at, since it is the run's.

    Raises:
        NotFound: there is no such run in the actor's scope.
        Invalid: the steps, roles or the last day are none that can be.
        Conflict: it is no run of a campaign, something of it is still on its way, or it is followed
            up already.
    """
    run = await _followable(conn, actor, new.root_run_id)
    steps = read_steps(steps)
    _check(new, by.at)
    runs = await followup_store.runs_of(conn, run.id)
    if not await followup_store.is_settled(conn, runs):
        raise Conflict(
            phrase(
                "texts of this run are still on their way: begin once it is settled, 72 hours"
                " after the last one at the latest"
            ),
            code="run_not_settled",
        )
    wanted = new._replace(root_run_id=run.id, department_id=run.department_id)
    made = await followup_store.insert_followup(conn, wanted, steps, actor.id, by.at)
    if made is None:
        raise Conflict(phrase("this run is followed up already"), code="followed_up_already")
    return made


async def _followable(conn: Connection, actor: User, run_id: UUID) -> Run:
    run = await run_store.get_run(conn, run_id, actor.scope)
    if run is not None and run.relation == "resend" and run.follows is not None:
        run = await run_store.get_run(conn, run.follows, actor.scope)
    if run is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    if run.campaign_id is None or run.mode != "real":
        raise Conflict(
            phrase("only a run of a campaign is followed up, and no drill"),
            code="wrong_kind_of_run",
        )
    return run


def _check(new: NewFollowup, now: datetime) -> None:
    if unknown := sorted(set(new.roles) - set(ROLES)):
        raise Invalid.at(
            "roles",
            phrase(
                "there is no role {unknown}; there are {roles}",
                unknown=listing(unknown),
                roles=listing(ROLES),
            ),
        )
    if new.due_on is not None and new.due_on < day_in_china(now):
        raise Invalid.at("due_on", phrase("give a day that is to come"))


async def find(conn: Connection, actor: User, followup_id: UUID, *, lock: bool = False) -> Sight:
    """A follow-up that somebody may see, whole or the people of the own area.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    read = followup_store.lock_followup if lock else followup_store.find_followup
    followup = await read(conn, followup_id)
    if followup is not None and actor.sees(followup.department_id):
        return Sight(followup, bounded=False, area=None)
    area = await area_of(conn, actor)
    if followup is None or not followup.with_towns or area is None:
        raise NotFound(phrase("there is no follow-up {followup_id}", followup_id=followup_id))
    return Sight(followup, bounded=True, area=area)


async def area_of(conn: Connection, actor: User) -> str | None:
    """The area of somebody's department, whose people it visits for others if it may visit."""
    if not actor.may(Right.VISIT):
        return None
    department = await get_department(conn, actor.department_id, None)
    return department.settings.area_code


async def _own(conn: Connection, actor: User, followup_id: UUID) -> Followup:
    """A follow-up of the actor's own scope that is not over, locked."""
    sight = await find(conn, actor, followup_id, lock=True)
    if sight.bounded:
        raise Forbidden(phrase("only the department whose run it is decides of its follow-up"))
    if not sight.followup.is_open:
        raise Conflict(phrase("the follow-up is over"), code="followup_over")
    return sight.followup


async def cancel(conn: Connection, actor: User, followup_id: UUID, by: By) -> None:
    """End a follow-up before its end. What was sent again already is not called back; results of
    visits stay.

    Raises:
        NotFound, Forbidden: as `find`; or it is another department's.
        Conflict: it is over.
    """
    followup = await _own(conn, actor, followup_id)
    for step in followup.steps:
        if step.state in {StepState.WAITING, StepState.ASKS}:
            await followup_store.set_step(
                conn, followup.id, step, StepState.SKIPPED, by.at, reason="cancelled", by=by
            )
    await visit_store.leave_rest(conn, followup.id)
    await followup_store.set_state(conn, followup.id, FollowupState.CANCELLED, by.at, by.reason)


async def decide_channels(
    conn: Connection, actor: User, followup_id: UUID, decision: ChannelDecision, by: By
) -> UUID | None:
    """Let the text leave over the other channels, which go beyond what was approved, or leave the
    step out; returns the run that was made.

    Raises:
        Forbidden: to send, the actor may not approve, or began the follow-up, or had a hand in the
            campaign.
        Conflict: the step does not wait for anybody; or as for `resend_missed`.
    """
    followup = await _own(conn, actor, followup_id)
    step = next((one for one in followup.steps if one.step is FollowupStep.OTHER_CHANNELS), None)
    if step is None or step.state is not StepState.ASKS:
        raise Conflict(
            phrase("nothing of this follow-up waits for an approval"), code="nothing_to_approve"
        )
    if decision == "skip":
        await _skip(conn, followup, step, by)
        return None
    actor.need(Right.APPROVE)
    hands: dict[UUID | None, str] = {followup.started_by: phrase("began the follow-up")}
    act = phrase("send it again over channels that were not approved")
    await need_second_person(conn, actor, hands, act, by.at)
    made = await resend_missed(conn, actor, followup.root_run_id, followup.channels, by)
    await followup_store.set_step(
        conn, followup.id, step, StepState.UNDER_WAY, by.at, run_id=made, by=by
    )
    return made


async def _skip(conn: Connection, followup: Followup, step: StepRow, by: By) -> None:
    await followup_store.set_step(
        conn, followup.id, step, StepState.SKIPPED, by.at, reason="person", by=by
    )
    await followup_store.look_again(conn, followup.id, by.at)


async def sign_off(
    conn: Connection, keyring: Keyring, actor: User, followup_id: UUID, area: str, by: By
) -> bool:
    """Answer for a village in which nobody is to be visited any more; returns whether that was the
    last one, and the follow-up is closed.

    area: the village's code; "": the people of whom no area is known. by.reason: a note, or "".

    Raises:
        NotFound: nobody of this village was missed.
        Forbidden: the actor went to somebody there, or counts as somebody who did.
        Conflict: somebody is still to be visited there, or it is signed already.
    """
    sight = await find(conn, actor, followup_id, lock=True)
    if not sight.followup.is_open:
        raise Conflict(phrase("the follow-up is over"), code="followup_over")
    await _check_visited(conn, sight, area)
    hands: dict[UUID | None, str] = {
        person: phrase("went to people there, or wrote down what came of it")
        for person in await result_store.visitors_of(conn, followup_id, area)
    }
    await need_second_person(conn, actor, hands, phrase("sign for this area"), by.at)
    note = keyring.encrypt(NOTE, by.reason) if by.reason else None
    if not await result_store.insert_sign_off(conn, followup_id, area, actor.id, note, by.at):
        raise Conflict(phrase("this area is signed off already"), code="signed_off")
    if sight.followup.state is not FollowupState.VISITING:
        return False
    if not await visit_store.is_over(conn, followup_id):
        return False
    await close(conn, sight.followup, by.at)
    return True


async def _check_visited(conn: Connection, sight: Sight, area: str) -> None:
    """Refuse a village in which nobody was visited, or somebody still is to be."""
    counts = [
        one
        for one in await visit_store.count_people(
            conn, sight.followup.id, sight.area, bounded=sight.bounded
        )
        if one.village == area
    ]
    if not any(one.visited for one in counts):
        raise NotFound(phrase("nobody of this area was visited"))
    still = sum(one.people for one in counts if one.state in {"waiting", "open"})
    if still:
        raise Conflict(
            phrase(
                "{people} people are still to be reached or visited there; write down what came"
                " of each first",
                people=still,
            ),
            code="visits_open",
        )


async def close(conn: Connection, followup: Followup, now: datetime) -> None:
    """Nothing is to be done any more."""
    for step in followup.steps:
        if step.state is StepState.UNDER_WAY:
            await followup_store.set_step(conn, followup.id, step, StepState.DONE, now)
    await followup_store.set_state(conn, followup.id, FollowupState.CLOSED, now)
