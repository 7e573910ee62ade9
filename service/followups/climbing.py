"""Going up the ladder: a follow-up after another, each turn of one a transaction.

A step and what it makes (a run, the list of visits) are one transaction, under the lock of the
follow-up. So a process that dies leaves a step done or not begun, and no two do it.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from service.accounts.people import store as people
from service.accounts.people.model import By
from service.campaigns.runs.follow_up_runs import RESEND_WITHIN, resend_missed
from service.clock import Clock
from service.errors import Forbidden, TocsinError
from service.followups import followup_store, visit_store
from service.followups.followup_store import Followup, StepRow
from service.followups.followups import close
from service.followups.ladder import (
    SENT,
    FollowupState,
    FollowupStep,
    StepNow,
    StepState,
    after_refusal,
    current_step,
)
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, transaction

SOON, SELDOM = timedelta(minutes=1), timedelta(minutes=10)
"""Between two looks: at one that sends, and at one whose people are visited."""

MOST = 100
"""One turn of the scheduler looks at so many follow-ups at most."""

log = logging.getLogger(__name__)


async def climb(pool: Pool, clock: Clock) -> list[UUID]:
    """Look at each follow-up that is due, and take its next step if nothing is in the way; returns
    the runs that were made.
    """
    made: list[UUID] = []
    for _ in range(MOST):
        now = clock.now()
        due: UUID | None = None
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                followup = await followup_store.lock_due(conn, now)
                if followup is None:
                    break
                due = followup.id
                pause = SELDOM if followup.state is FollowupState.VISITING else SOON
                await followup_store.look_again(conn, due, now + pause)
                run_id = await _look(conn, followup, By(None, "", now))
        except Exception:
            if due is None:
                raise
            # The others must not wait for this one.
            log.exception("follow-up not looked at", extra={"followup_id": str(due)})
            async with transaction(pool) as conn:
                await followup_store.look_again(conn, due, now + SELDOM)
            continue
        if run_id is not None:
            made.append(run_id)
    return made


async def _look(conn: Connection, followup: Followup, by: By) -> UUID | None:
    """Take the next step of a follow-up; returns the run that was made."""
    runs = await followup_store.runs_of(conn, followup.root_run_id)
    if followup.counted_at is None:
        people = await visit_store.write_people(conn, followup, runs, by.at)
        await followup_store.note_counted(conn, followup.id, by.at)
        log.info("follow-up counted", extra={"followup_id": str(followup.id), "people": people})
    else:
        await visit_store.let_reached_go(conn, followup, runs, by.at)
    now = current_step([StepNow(one.step, one.state) for one in followup.steps])
    step = next((one for one in followup.steps if now and one.step is now.step), None)
    if step is None:
        await visit_store.leave_rest(conn, followup.id)
        await close(conn, followup, by.at)
    elif step.step is FollowupStep.VISIT:
        await _visit(conn, followup, step, runs, by)
    elif step.state is StepState.UNDER_WAY:
        await _end_sending(conn, followup, step, by)
    elif step.step in SENT:
        return await _send(conn, followup, step, by)
    return None


async def _visit(
    conn: Connection, followup: Followup, step: StepRow, runs: list[UUID], by: By
) -> None:
    """Put the rest on the list of visits, once nothing is on its way to them; end the follow-up
    once nobody is left and all is signed.
    """
    if step.state is StepState.WAITING:
        if not await followup_store.is_settled(conn, runs):
            return
        await visit_store.open_visits(conn, followup.id, followup.roles)
        await followup_store.set_step(conn, followup.id, step, StepState.UNDER_WAY, by.at)
        await followup_store.set_state(conn, followup.id, FollowupState.VISITING, by.at)
        step = step._replace(state=StepState.UNDER_WAY)
        steps = [step if one.no == step.no else one for one in followup.steps]
        followup = followup._replace(steps=steps)
    if await visit_store.is_over(conn, followup.id):
        await close(conn, followup, by.at)


async def _end_sending(conn: Connection, followup: Followup, step: StepRow, by: By) -> None:
    if step.run_id is not None and await followup_store.is_settled(conn, [step.run_id]):
        await followup_store.set_step(conn, followup.id, step, StepState.DONE, by.at)
        await followup_store.look_again(conn, followup.id, by.at)


async def _send(conn: Connection, followup: Followup, step: StepRow, by: By) -> UUID | None:
    """Send the text again, if what was approved lets it; without rights of its own, so channels
    that were not approved wait for a person.
    """
    runs = await followup_store.runs_of(conn, followup.root_run_id)
    if not await followup_store.is_settled(conn, runs):
        return None
    channels = None
    if step.step is FollowupStep.OTHER_CHANNELS:
        if not followup.channels:
            await _skip(conn, followup, step, "no_other_channel", by)
            return None
        channels = followup.channels
    try:
        starter = (await people.get_user(conn, followup.started_by, None)).limited(frozenset())
        actor = replace(starter, department_id=followup.department_id)
        made = await resend_missed(conn, actor, followup.root_run_id, channels, by)
    except TocsinError as refusal:
        await _after(conn, followup, step, refusal, by)
        return None
    await followup_store.set_step(conn, followup.id, step, StepState.UNDER_WAY, by.at, run_id=made)
    return made


async def _after(
    conn: Connection, followup: Followup, step: StepRow, refusal: TocsinError, by: By
) -> None:
    """What becomes of a step whose text may not be sent."""
    age = by.at - followup.run_at
    state = after_refusal(
        refusal.code,
        needs_approval=isinstance(refusal, Forbidden),
        age=age,
        most=RESEND_WITHIN,
    )
    code = "too_old" if age > RESEND_WITHIN else refusal.code
    if state is StepState.SKIPPED:
        await _skip(conn, followup, step, code, by)
    else:
        await followup_store.set_step(conn, followup.id, step, state, by.at, reason=code)


async def _skip(conn: Connection, followup: Followup, step: StepRow, why: str, by: By) -> None:
    await followup_store.set_step(conn, followup.id, step, StepState.SKIPPED, by.at, reason=why)
    await followup_store.look_again(conn, followup.id, by.at)
