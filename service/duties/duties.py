"""What people do with a duty: hand it in, return it, accept it, excuse it; and what facts do."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_second_person
from service.dispatch.direct import direct_store
from service.duties import duty_store, obligation_store, step_store
from service.duties.duty_list_store import SeenBy
from service.duties.duty_store import (
    NO_EVIDENCE,
    DutyDecision,
    DutyEvidence,
    HandedIn,
    UnitDuty,
)
from service.duties.ladder import OWED, DutyState
from service.duties.obligation_store import TICKED, ObligationKind
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.pictures import picture_store
from service.pictures.picture_store import KeptPicture
from service.pictures.pictures import check_count, to_hand_in
from service.reports.weekly.figures import FiguresOf, freeze, take_figures
from service.storage.locks import share_pack_weeks
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_NARRATIVE = 4_000
"""Characters that a report may have in words."""

_A_PERSONS_NUMBER = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|\d{17}[\dXx])(?!\d)")
"""A mobile number, or an identity number."""


class Handing(NamedTuple):
    """What somebody hands in: the report in words, and the pictures that belong to it. checked:
    they have looked at the pictures and confirm that no minor's face and no number is seen.
    """

    narrative: str
    pictures: Sequence[UUID] = ()
    checked: bool = False


def seen_by(user: User) -> SeenBy:
    """Whose duties somebody sees: those of the own departments, and those that the own department
    asks for.
    """
    return SeenBy(user.count_scope, user.department_id)


def sees(user: User, duty: UnitDuty) -> bool:
    """Whether a duty exists for somebody."""
    return duty.setter_id == user.department_id or user.sees_counts(duty.department_id)


async def find(conn: Connection, actor: User, duty_id: UUID, *, lock: bool = False) -> UnitDuty:
    """A duty that somebody may see. lock: nobody else changes it until the end of the transaction.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    read = duty_store.lock_duty if lock else duty_store.find_duty
    duty = await read(conn, duty_id)
    if duty is None or not sees(actor, duty):
        raise NotFound(phrase("there is no duty {duty_id}", duty_id=duty_id))
    return duty


def may_hand_in(actor: User, duty: UnitDuty) -> bool:
    """Whether somebody may hand in what this duty asks for, as it stands."""
    return (
        actor.may(Right.REPORT)
        and duty.department_id == actor.department_id
        and duty.state in OWED
        and duty.kind not in TICKED
    )


def may_decide(actor: User, duty: UnitDuty) -> bool:
    """Whether somebody may return, accept or excuse duties of whoever asks for this one."""
    asks = duty.setter_id == actor.department_id or actor.runs_the_county
    return actor.may(Right.OBLIGATIONS) and asks


async def submit(
    conn: Connection, actor: User, duty_id: UUID, handing: Handing, now: datetime
) -> UnitDuty:
    """Hand in a report: what was said, its pictures, and the figures of the period as they are now,
    for good.

    What is queued of reminders of it is cancelled.

    Raises:
        NotFound: as for `find`.
        Forbidden: it is another department's.
        Invalid: words or pictures are missing that are asked for; the words name a person's number;
            or a picture is not the department's own, or is of another report.
        Conflict: it is in already, was missed or excused, or is ticked by what the unit does.
    """
    duty = await find(conn, actor, duty_id, lock=True)
    if duty.department_id != actor.department_id:
        raise Forbidden(phrase("a report is handed in by a person of the unit that owes it"))
    if duty.kind in TICKED:
        raise Conflict(
            phrase("this is ticked by what the unit does, and needs no report"),
            code="ticked_by_facts",
        )
    _need_owed(duty)
    pictures = await _pictures_of(conn, actor, duty, handing)
    figures = None
    if duty.kind == ObligationKind.WEEKLY_REPORT:
        of = FiguresOf(duty.department_id, duty.period, duty.first_on, duty.last_on, now)
        figures = await take_figures(conn, of)
        await share_pack_weeks(conn)
    frozen = freeze(figures)
    before = await duty_store.list_reports(conn, duty.id)
    report = HandedIn(
        len(before) + 1, handing.narrative, frozen.text, now, frozen.sha256, actor.id, now
    )
    await duty_store.insert_report(conn, duty.id, report)
    await picture_store.hand_in(conn, duty.id, report.no, pictures, now)
    await take_in(conn, duty, now, now)
    return await find(conn, actor, duty_id)


def _need_owed(duty: UnitDuty) -> None:
    if duty.state in OWED:
        return
    if duty.state is DutyState.MISSED:
        raise Conflict(
            phrase(
                "it was missed: the next one's deadline was over before it came; whoever asks for"
                " it may excuse it"
            ),
            code="duty_missed",
        )
    raise _wrong_state(phrase("it is in already, or excused: nothing is to be handed in now"))


async def _pictures_of(
    conn: Connection, actor: User, duty: UnitDuty, handing: Handing
) -> list[KeptPicture]:
    """The pictures of a report, which has all that it needs."""
    needs = await needs_of(conn, duty)
    _check_narrative(duty, needs, handing.narrative)
    pictures = await to_hand_in(conn, actor, duty.id, handing.pictures, checked=handing.checked)
    check_count(needs.get("photos") or 0, pictures)
    return pictures


async def needs_of(conn: Connection, duty: UnitDuty) -> Mapping[str, Any]:
    """What has to be there so that a duty can be handed in."""
    obligation = await obligation_store.find_obligation(conn, duty.obligation_id)
    return {} if obligation is None else obligation.new.needs


def _check_narrative(duty: UnitDuty, needs: Mapping[str, Any], narrative: str) -> None:
    if (needs.get("narrative") or duty.kind == ObligationKind.CUSTOM) and not narrative.strip():
        raise Invalid.at("narrative", phrase("write what was done; this report needs words"))
    if _A_PERSONS_NUMBER.search(narrative):
        raise Invalid.at(
            "narrative",
            phrase(
                "it has a number that looks like a person's phone or identity card: leave it out,"
                " for many people read reports"
            ),
        )


async def take_in(
    conn: Connection, duty: UnitDuty, at: datetime, now: datetime, by: DutyEvidence = NO_EVIDENCE
) -> None:
    """A duty that is locked is in, by a report or by what fulfilled it, since `at`.

    Texts that tell of it and have not left are called back. If such a text tells the same person
    of other duties, too, that person is told of them anew.
    """
    await duty_store.set_submitted(conn, duty, at, by)
    await _call_back(conn, duty, now)


async def _call_back(conn: Connection, duty: UnitDuty, now: datetime) -> None:
    for told_by, no in await step_store.texts_of(conn, duty.id):
        if await direct_store.cancel_message(conn, told_by, no, now):
            await step_store.untell(conn, told_by, no)
    await step_store.drop_untold(conn, duty.id, now)


async def accept(conn: Connection, actor: User, duty_id: UUID, by: By) -> UnitDuty:
    """Take a report as it is.

    Raises:
        NotFound, Forbidden: as for `find`; the actor's department does not ask for it, or the
            actor handed it in, or counts as whoever did.
        Conflict: it is not in.
    """
    duty = await _to_decide(conn, actor, duty_id)
    if duty.state is not DutyState.SUBMITTED:
        raise _wrong_state(phrase("only what is handed in and not decided can be accepted"))
    await _need_another(conn, actor, duty, phrase("accept it"), by.at)
    await _decide(conn, duty, DutyState.ACCEPTED, by)
    return await find(conn, actor, duty_id)


async def return_it(
    conn: Connection, actor: User, duty_id: UUID, due_at: datetime, by: By
) -> UnitDuty:
    """Give a report back, to be handed in again by another time; that it was in time, or late,
    stays.

    Raises:
        NotFound, Forbidden: as for `accept`, but for who handed it in.
        Conflict: it is not in, or was ticked by a fact.
        Invalid: the time is over.
    """
    duty = await _to_decide(conn, actor, duty_id)
    if duty.state not in {DutyState.SUBMITTED, DutyState.ACCEPTED}:
        raise _wrong_state(phrase("only what is handed in can be returned"))
    if duty.kind in TICKED:
        raise Conflict(
            phrase("this is ticked by what the unit does, and needs no report"),
            code="ticked_by_facts",
        )
    if due_at <= by.at:
        raise Invalid.at("due_at", phrase("give a time that is to come"))
    decision = DutyDecision(DutyState.RETURNED, _user(by), by.at, by.reason, due_at)
    await duty_store.decide(conn, duty.id, decision)
    return await find(conn, actor, duty_id)


async def excuse(conn: Connection, actor: User, duty_id: UUID, by: By) -> UnitDuty:
    """Ask for it no more, and do not count it. Texts that tell of it and have not left are called
    back.

    Raises:
        NotFound, Forbidden: as for `accept`.
        Conflict: it is in, or excused already.
    """
    duty = await _to_decide(conn, actor, duty_id)
    if duty.state not in OWED | {DutyState.MISSED}:
        raise _wrong_state(phrase("only what is still owed, or was missed, is excused"))
    await _need_another(conn, actor, duty, phrase("excuse it"), by.at)
    await _decide(conn, duty, DutyState.EXCUSED, by)
    await _call_back(conn, duty, by.at)
    return await find(conn, actor, duty_id)


async def _to_decide(conn: Connection, actor: User, duty_id: UUID) -> UnitDuty:
    duty = await find(conn, actor, duty_id, lock=True)
    if not may_decide(actor, duty):
        raise Forbidden(phrase("only the department that asks for it decides on it, or the county"))
    return duty


async def _need_another(
    conn: Connection, actor: User, duty: UnitDuty, act: str, now: datetime
) -> None:
    reports = await duty_store.list_reports(conn, duty.id)
    hands: dict[UUID | None, str] = {
        report.submitted_by: phrase("handed it in") for report in reports
    }
    await need_second_person(conn, actor, hands, act, now)


async def _decide(conn: Connection, duty: UnitDuty, state: DutyState, by: By) -> None:
    await duty_store.decide(conn, duty.id, DutyDecision(state, _user(by), by.at, by.reason))


def _user(by: By) -> UUID:
    if by.user_id is None:
        raise ValueError("a person decides on a duty")
    return by.user_id


def _wrong_state(why: str) -> Conflict:
    return Conflict(why, code="wrong_state")
