"""Who is to be visited, the list that somebody takes along, and what came of going there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people import store as people
from service.accounts.people.model import By, Right, User
from service.audience.numbers.number import mask
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid, NotFound
from service.followups import (
    followup_store,
    followups,
    number_corrections,
    result_store,
    visit_store,
)
from service.followups.followups import NOTE, Sight
from service.followups.ladder import (
    PersonState,
    VisitResult,
    after_result,
    check_result,
)
from service.followups.result_store import Try, VisitRow
from service.followups.visit_store import VisitsWanted
from service.privacy.lookups import REASON
from service.privacy.store import Disclosure, insert_disclosure
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase

MOST_ON_LIST = 500
"""A list that somebody takes along names so many people at most: a village's."""


@dataclass(frozen=True, slots=True)
class ListedVisit:
    """A person of a follow-up. name: as it is shown; phone: masked. None: not kept, or not shown.

    area_code: "": not known. reason: why the run missed the person. not_home, tries: how often
    nobody was at home, and how often somebody went there; last_on: when last.
    """

    id: UUID
    village: str
    area_code: str
    name: str | None
    phone: str | None
    roles: Sequence[str]
    reason: str
    state: PersonState
    not_home: int
    tries: int
    last_on: date | None
    disputed: bool


async def list_visits(
    conn: Connection,
    keyring: Keyring,
    sight: Sight,
    page: tuple[UUID | None, int],
    now: datetime,
    *,
    village: str | None = None,
    state: PersonState | None = None,
) -> list[ListedVisit]:
    """A page of the people of a follow-up, names and phones masked."""
    rows = await _rows(conn, sight, page, now, village, state)
    return [_listed(keyring, row, in_full=False) for row in rows]


async def _rows(
    conn: Connection,
    sight: Sight,
    page: tuple[UUID | None, int],
    now: datetime,
    village: str | None,
    state: PersonState | None,
) -> list[Record]:
    runs = await followup_store.runs_of(conn, sight.followup.root_run_id)
    wanted = VisitsWanted(sight.bounded, sight.area, village, state)
    return await visit_store.list_visits(conn, sight.followup, runs, wanted, page, now)


def _listed(keyring: Keyring, row: Record, *, in_full: bool) -> ListedVisit:
    name, phone = row["name_cipher"], row["phone_cipher"]
    said = None if name is None else keyring.decrypt("name", name)
    if said is not None and (not in_full or row["minor"]):
        said = said[:1] + "*" * (len(said) - 1)
    return ListedVisit(
        row["id"],
        row["village"],
        row["area_code"],
        said,
        None if phone is None else mask(keyring.decrypt("phone", phone)),
        row["roles"],
        row["reason"],
        PersonState(row["state"]),
        row["not_home"],
        row["tries"],
        row["last_on"],
        row["disputed"],
    )


async def take_list(
    conn: Connection, keyring: Keyring, actor: User, sight: Sight, village: str, by: By
) -> list[ListedVisit]:
    """The people of a village who are to be visited, with their names, for somebody who goes
    there; that they were shown, and why (`by.reason`), is noted for each of them.

    Of somebody under 18 the name stays masked. Whoever is on the list was not reached and does not
    refuse at this moment.

    Raises:
        NotFound: nobody is to be visited there.
        Conflict: more people are than one list may name, or their names are kept no more.
    """
    if sight.followup.names_dropped:
        raise _not_kept()
    rows = await _rows(conn, sight, (None, MOST_ON_LIST + 1), by.at, village, PersonState.OPEN)
    if not rows:
        raise NotFound(phrase("nobody is to be visited there"))
    if len(rows) > MOST_ON_LIST:
        raise Conflict(
            phrase(
                "more than {most} people are to be visited there; one list names no more",
                most=MOST_ON_LIST,
            ),
            code="too_many_people",
        )
    reason = keyring.encrypt(REASON, by.reason)
    for row in rows:
        new = Disclosure(
            "visit",
            str(row["id"]),
            row["phone_hash"],
            actor.department_id,
            actor.id,
            reason,
            by.at,
            sight.followup.department_id,
        )
        await insert_disclosure(conn, new)
    return [_listed(keyring, row, in_full=True) for row in rows]


def _not_kept() -> Conflict:
    return Conflict(
        phrase("the names are not kept any more, only what came of it"), code="not_kept"
    )


class GivenResult(NamedTuple):
    """What somebody says came of a visit. key: made by whoever sends it, the same each time it is
    sent. on: None: today. by_id: who was there; None: whoever says so. phone: the person's new
    number in E.164; "": nobody gave one.
    """

    key: UUID
    result: VisitResult
    on: date | None
    by_id: UUID | None
    note: str
    phone: str = ""


class WrittenResult(NamedTuple):
    """What was written down. repeated: it was there already, and nothing was done. correction_id:
    the new number that waits to be confirmed; None: none was given, or it is the one on file.
    """

    no: int
    state: PersonState
    not_home: int
    disputed: bool
    repeated: bool
    correction_id: UUID | None


async def write_result(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    visit_id: UUID,
    given: GivenResult,
    now: datetime,
) -> WrittenResult:
    """Write down what came of a visit, once however often it is sent.

    Raises:
        NotFound: there is no such visit that the actor may see.
        Invalid: the result cannot be.
        Conflict: the key was used for something else, the person is on no list (any more), the
            village is signed off, or what is noted of people is not kept any more.
    """
    visit, sight = await find(conn, actor, visit_id, lock=True)
    before = await result_store.find_try(conn, visit_id, given.key)
    if before is not None:
        return await _repeated(conn, keyring, before, given, visit)
    if sight.followup.names_dropped:
        raise _not_kept()
    today = day_in_china(now)
    on = given.on or today
    since = day_in_china(sight.followup.run_at)
    check_result(given.result, visit.not_home, note=given.note, on=on, today=today, since=since)
    await _check_open(conn, visit)
    note = keyring.encrypt(NOTE, given.note) if given.note else None
    by_id = await need_visitor(conn, actor, given.by_id)
    moved = after_result(visit.state, visit.not_home, given.result)
    new = Try(given.key, given.result, on, by_id, actor.id, note, now)
    no = await result_store.add_try(conn, visit_id, new, moved)
    if moved.state is PersonState.TOLD and visit.state is PersonState.OPEN:
        await followup_store.note_told(conn, sight.followup.id, now)
    correction = await number_corrections.propose(
        conn, keyring, (visit_id, no), sight.followup.department_id, given.phone
    )
    return WrittenResult(
        no, moved.state, moved.not_home, moved.disputed, repeated=False, correction_id=correction
    )


async def find(
    conn: Connection, actor: User, visit_id: UUID, *, lock: bool = False
) -> tuple[VisitRow, Sight]:
    """A visit that the actor may see, and its follow-up. lock: nobody else writes a result of it
    until the end of the transaction, and what is found is what they left.

    Raises:
        NotFound: there is no such visit that the actor may see.
    """
    none = NotFound(phrase("there is no visit {visit_id}", visit_id=visit_id))
    found = await result_store.find_visit(conn, visit_id)
    if found is None:
        raise none
    try:
        sight = await followups.find(conn, actor, found[0].followup_id, lock=lock)
    except NotFound:
        raise none from None
    again = await result_store.find_visit(conn, visit_id, sight.area)
    if again is None or (sight.bounded and not again[1]):
        raise none
    return again[0], sight


async def _repeated(
    conn: Connection,
    keyring: Keyring,
    before: tuple[int, Try],
    given: GivenResult,
    visit: VisitRow,
) -> WrittenResult:
    no, written = before
    said = visit.id, no
    if written.result is not given.result or await number_corrections.is_other_number(
        conn, keyring, said, given.phone
    ):
        raise Conflict(
            phrase("this key was used for another result; a new result needs a new one"),
            code="key_reused",
        )
    return WrittenResult(
        no,
        visit.state,
        visit.not_home,
        written.disputed,
        repeated=True,
        correction_id=await number_corrections.of_try(conn, said),
    )


async def _check_open(conn: Connection, visit: VisitRow) -> None:
    """Refuse a result for whoever is not to be visited: nobody should have gone there. One that
    contradicts another result is kept.
    """
    signed = await result_store.list_sign_offs(conn, visit.followup_id)
    if any(one.village == visit.village for one in signed):
        raise Conflict(
            phrase("this area is signed off, and nothing is written down for it any more"),
            code="signed_off",
        )
    never = {
        PersonState.WAITING: phrase("texts are still tried for this person"),
        PersonState.ERASED: phrase("this person was erased"),
        PersonState.LEFT: phrase("this person is visited no more; the follow-up is over"),
    }
    if visit.state in never:
        raise Conflict(never[visit.state], code="not_on_list")


async def need_visitor(conn: Connection, actor: User, by_id: UUID | None) -> UUID:
    """Who was there: somebody of the actor's department who may visit; None: the actor.

    Raises:
        Invalid: it is somebody else.
    """
    if by_id is None or by_id == actor.id:
        return actor.id
    try:
        user = await people.get_user(conn, by_id, None)
    except NotFound:
        user = None
    if user is None or user.department_id != actor.department_id or not user.may(Right.VISIT):
        raise Invalid.at(
            "by",
            phrase("name somebody of your department who may visit, or nobody: then it is you"),
        )
    return user.id
