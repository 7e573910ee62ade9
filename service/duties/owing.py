"""What the scheduler does for duties each minute: made when their period begins, moved by notices,
ticked by facts, told of, missed.

Each batch is one transaction. A step and the note that it was taken are one row under one primary
key, and a text has its row in a ledger in the transaction that notes it. So a process that dies
leaves each step taken or not begun, and two schedulers never take one twice.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.holidays import Holidays
from service.clock import day_in_china
from service.crypto import Keyring
from service.delivery.notices.robot_unit_store import GroupStep, owe_robots_of_steps
from service.duties import duty_store, obligation_store, step_store, ticking_store
from service.duties.deadline import (
    Deadline,
    DueRule,
    DutyPeriod,
    deadline,
    period_after,
    period_at,
)
from service.duties.duties import take_in
from service.duties.ladder import (
    ADDRESSEES,
    GROUPS,
    MISSED_STEPS,
    TEXTS,
    Addressee,
    DutyState,
    PlannedStep,
    Rung,
    StepSkip,
    TakenStep,
    next_look,
    plan_steps,
    steps_due,
)
from service.duties.obligation_store import ObligationRow
from service.duties.obligations import who_owes
from service.duties.reminders import tell
from service.duties.step_store import DueDuty, NewStep
from service.duties.ticking_store import Fulfilled
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, transaction

ThingT = TypeVar("ThingT")

BATCH = 500
"""So many duties are looked at in one transaction."""

log = logging.getLogger(__name__)


class OwedTurn(NamedTuple):
    """What a turn came to. channels: those that have work now."""

    made: int
    moved: int
    ticked: int
    steps: int
    channels: set[int]


async def owe(pool: Pool, keyring: Keyring, now: datetime) -> OwedTurn:
    """Do all that is due for duties now; doing it again changes nothing."""
    async with pool.acquire(seconds=COUNT_SECONDS) as read:
        version = await obligation_store.calendar_version(read)
        moving = await obligation_store.obligations_by_another_calendar(read, version)
        making = await obligation_store.obligations_to_make(read, day_in_china(now))
        fulfilled = await ticking_store.find_fulfilled(read, now)
    moved = await _each(pool, moving, lambda conn, one: _move(conn, one, now))
    made = await _each(pool, making, lambda conn, one: _make(conn, one, now))
    ticked = await _each(pool, fulfilled, lambda conn, one: _tick(conn, one, now))
    steps = 0
    while True:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            due = await step_store.lock_due(conn, now, BATCH)
            steps += await _climb(conn, due, now)
        if len(due) < BATCH:
            break
    late = BATCH
    while late == BATCH:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            late = await duty_store.tell_late(conn, now, BATCH)
    return OwedTurn(made, moved, ticked, steps, await tell(pool, keyring, now))


async def _each(
    pool: Pool, things: Sequence[ThingT], do: Callable[[Connection, ThingT], Awaitable[int]]
) -> int:
    """Do something for each of these, in a transaction of its own; the trouble of one holds up no
    other. Returns the sum.
    """
    total = 0
    for thing in things:
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                total += await do(conn, thing)
        except Exception:
            log.exception("nothing was done for an obligation or duty", extra={"of": str(thing)})
    return total


async def _make(conn: Connection, obligation_id: UUID, now: datetime) -> int:
    """Make the duties of all periods of an obligation that have begun."""
    obligation = await obligation_store.lock_obligation(conn, obligation_id)
    today, made = day_in_china(now), 0
    if obligation is None or obligation.next_on is None:
        return 0
    calendar = (await load_county(conn)).holidays
    departments = await who_owes(conn, obligation)
    rule, until = obligation.new.rule, obligation.new.until_on
    next_on: date | None = obligation.next_on
    while next_on is not None and next_on <= today:
        period = period_at(rule, next_on)
        if until is not None and next_on > until:
            next_on = None
            break
        due = deadline(rule, period, calendar)
        if due.at > obligation.set_at:
            made += await _make_period(conn, obligation, period, due, departments, calendar)
        after = period_after(rule, period)
        next_on = after.first if after is not None else None
    await obligation_store.set_next(conn, obligation_id, next_on)
    return made


async def _make_period(
    conn: Connection,
    obligation: ObligationRow,
    period: DutyPeriod,
    due: Deadline,
    departments: list[UUID],
    calendar: Holidays,
) -> int:
    missed_at = _missed_at(obligation.new.rule, period, calendar)
    planned = _plan(obligation, due.at, calendar)
    first = min([one.at for one in planned] + ([missed_at] if missed_at else []), default=None)
    return await duty_store.insert_duties(
        conn, obligation.id, period, due, departments, (missed_at, first)
    )


def _missed_at(rule: DueRule, period: DutyPeriod, calendar: Holidays) -> datetime | None:
    """When the next period's is due; None: it is owed once."""
    after = period_after(rule, period)
    return None if after is None else deadline(rule, after, calendar).at


def _plan(obligation: ObligationRow, due_at: datetime, calendar: Holidays) -> list[PlannedStep]:
    return plan_steps(due_at, obligation.new.remind, obligation.new.rungs, calendar)


async def _move(conn: Connection, obligation_id: UUID, now: datetime) -> int:
    """Find the deadlines of open duties anew, after the county's calendar has changed.

    What is due already stays so; and a deadline does not go to a moment that is over, since nobody
    is late by a notice.
    """
    obligation = await obligation_store.lock_obligation(conn, obligation_id)
    if obligation is None:
        return 0
    version = await obligation_store.calendar_version(conn)
    calendar, moved = (await load_county(conn)).holidays, 0
    rule = obligation.new.rule
    for row in await duty_store.open_to_move(conn, obligation_id):
        period = DutyPeriod(row["period"], row["first_on"], row["last_on"])
        due = deadline(rule, period, calendar)
        missed_at = _missed_at(rule, period, calendar)
        if row["due_at"] <= now or due.at <= now:
            due = due._replace(at=row["due_at"])
        if missed_at is not None and missed_at <= max(now, due.at):
            missed_at = row["missed_at"]
        changed = (due.at, missed_at) != (row["due_at"], row["missed_at"])
        count = await duty_store.move_period(
            conn, obligation_id, period.key, due, (missed_at, now), now
        )
        moved += count if changed else 0
    await obligation_store.set_calendar_version(conn, obligation_id, version)
    return moved


async def _tick(conn: Connection, fulfilled: Fulfilled, now: datetime) -> int:
    """A unit has done what it owes."""
    duty = await duty_store.lock_duty(conn, fulfilled.duty_id)
    if duty is None or duty.state is not DutyState.OPEN:
        return 0
    await take_in(conn, duty, fulfilled.at, now, fulfilled.by)
    return 1


async def _climb(conn: Connection, due: list[DueDuty], now: datetime) -> int:
    """Take the steps of these duties whose moment has come; those that were not in when the next
    one was due are missed.
    """
    if not due:
        return 0
    obligations = await obligation_store.obligations_by_id(
        conn, list({duty.obligation_id for duty in due})
    )
    calendar = (await load_county(conn)).holidays
    plans: dict[tuple[UUID, datetime], list[PlannedStep]] = {}
    steps: list[NewStep] = []
    looks: list[tuple[DueDuty, DutyState, datetime | None]] = []
    for duty in due:
        obligation = obligations[duty.obligation_id]
        key = (duty.obligation_id, duty.due_at)
        if key not in plans:
            plans[key] = _plan(obligation, duty.due_at, calendar)
        taken = steps_due(plans[key], duty.taken, duty.due_at, now)
        missed = duty.missed_at is not None and duty.missed_at <= now
        if missed and duty.missed_before and Rung.MISSED in obligation.new.rungs:
            at = duty.missed_at or now
            taken += [TakenStep(step, at, None) for step in MISSED_STEPS]
        steps += [_step(duty, one) for one in taken]
        state = DutyState.MISSED if missed else DutyState.OPEN
        look = None if missed else next_look(plans[key], duty.missed_at, now)
        looks.append((duty, state, look))
    await step_store.insert_steps(conn, steps, now)
    await owe_robots_of_steps(conn, _of_groups(steps), now)
    await step_store.go_on(conn, looks)
    return len(steps)


def _of_groups(steps: list[NewStep]) -> list[GroupStep]:
    """Of which steps work groups are told: those of the departments whose person is told."""
    return [
        GroupStep(one.told[0], GROUPS[TEXTS[one.step]], one.duty.id, one.step)
        for one in steps
        if one.told is not None and one.skipped is None
    ]


def _step(duty: DueDuty, taken: TakenStep) -> NewStep:
    skipped = taken.skipped
    told = _told(duty, ADDRESSEES[taken.step])
    if told is None and skipped is None:
        skipped = StepSkip.NOBODY
    return NewStep(duty, taken.step, taken.at, told, skipped)


def _told(duty: DueDuty, addressee: Addressee) -> tuple[UUID, str] | None:
    """Whose liaison or leader is told."""
    match addressee:
        case Addressee.LIAISON:
            return duty.department_id, "liaison"
        case Addressee.LEADER:
            return duty.department_id, "leader"
        case Addressee.OFFICE:
            return duty.setter_id, "liaison"
        case Addressee.LEADER_ABOVE:
            return duty.parent_id or duty.setter_id, "leader"
