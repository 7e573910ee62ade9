"""Writing down what came of going to households, one or many at once."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid, TocsinError
from service.followups.followups import NOTE
from service.followups.ladder import PersonState, VisitResult, after_result, check_result
from service.followups.rounds import household_store, round_store, rounds
from service.followups.rounds.household import (
    HOUSEHOLD_RESULTS,
    check_spoken_to,
    label_form,
    label_problem,
)
from service.followups.rounds.household_store import HouseholdRow, HouseholdTry
from service.followups.rounds.round_store import VisitRound
from service.followups.rounds.rounds import RoundSight
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

LABEL = "household"
"""The kind of cipher, and of hash, of a household's label."""


class HouseholdEntry(NamedTuple):
    """What somebody says came of going to a household. village: its code. key: made by whoever
    sends it, the same each time it is sent. text_no: None: nobody has said which was read out.
    """

    village: str
    label: str
    key: UUID
    result: VisitResult
    spoken_to: int
    text_no: int | None
    on: date
    by_id: UUID
    note: str


class WrittenEntry(NamedTuple):
    """What was written down. repeated: it was there already, and nothing was done."""

    household_id: UUID
    no: int
    state: PersonState
    not_home: int
    disputed: bool
    repeated: bool


class NewTry(NamedTuple):
    """A try that is to be added, and where its household stands after it."""

    place: tuple[str, bytes]
    entry: HouseholdEntry
    no: int
    state: PersonState
    not_home: int
    disputed: bool


class Registration(NamedTuple):
    """What would become of entries, in their order: a new try, one that is written down already,
    or a refusal. standing: where the households stand after the new ones.
    """

    outcomes: Sequence[NewTry | WrittenEntry | TocsinError]
    standing: "_Standing"


async def register_one(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    round_id: UUID,
    entry: HouseholdEntry,
    now: datetime,
) -> WrittenEntry:
    """Write down what came of going to a household, once however often it is sent.

    Raises:
        NotFound: there is no such round that the actor may see.
        Invalid: the entry cannot be.
        Conflict: the key was used for something else, the round is over, or the village signed.
    """
    sight = await rounds.find(conn, actor, round_id, "share")
    (result,) = await write(
        conn, keyring, actor, await prepare(conn, keyring, sight, [entry], now), now
    )
    if isinstance(result, TocsinError):
        raise result
    return result


async def prepare(
    conn: Connection,
    keyring: Keyring,
    sight: RoundSight,
    entries: Sequence[HouseholdEntry],
    now: datetime,
) -> Registration:
    """Say what becomes of entries, taken in their order; one that is refused changes nothing. Their
    villages are locked then.

    `sight` is locked: the round is not ended meanwhile. The keys of the entries are different ones.
    """
    villages = sorted({entry.village for entry in entries} & {*sight.codes})
    signed = await round_store.lock_villages(conn, sight.round.id, villages)
    standing = await _read_standing(conn, keyring, sight.round, entries)
    outcomes: list[NewTry | WrittenEntry | TocsinError] = []
    for entry in entries:
        try:
            if entry.village not in villages:
                raise _outside()
            outcomes.append(standing.take(entry, sight.round, day_in_china(now), signed))
        except TocsinError as refusal:
            outcomes.append(refusal)
    return Registration(outcomes, standing)


def _outside() -> Invalid:
    return Invalid.at(
        "area",
        phrase("this is no village of the round, or none that you may visit"),
        code="area_outside",
    )


async def write(
    conn: Connection, keyring: Keyring, actor: User, registration: Registration, now: datetime
) -> list[WrittenEntry | TocsinError]:
    """Write down what `prepare` said; returns what became of each entry."""
    ids = await registration.standing.write(conn)
    outcomes = registration.outcomes
    tries = [
        _try(one, ids[one.place], actor, keyring, now)
        for one in outcomes
        if isinstance(one, NewTry)
    ]
    await household_store.insert_tries(conn, tries)
    return [
        WrittenEntry(ids[one.place], one.no, one.state, one.not_home, one.disputed, repeated=False)
        if isinstance(one, NewTry)
        else one
        for one in outcomes
    ]


def _try(
    new: NewTry, household_id: UUID, actor: User, keyring: Keyring, now: datetime
) -> HouseholdTry:
    entry = new.entry
    return HouseholdTry(
        household_id,
        new.no,
        entry.key,
        entry.result,
        entry.spoken_to,
        entry.text_no,
        entry.on,
        entry.by_id,
        actor.id,
        keyring.encrypt(NOTE, entry.note) if entry.note else None,
        now,
        new.disputed,
    )


async def _read_standing(
    conn: Connection, keyring: Keyring, found: VisitRound, entries: Sequence[HouseholdEntry]
) -> "_Standing":
    places = [(entry.village, label_hash(keyring, entry.label)) for entry in entries]
    known = await household_store.find_households(conn, found.id, sorted({*places}))
    by_place = {(one.village, one.label_hash): one for one in known}
    asked = [
        (by_place[place].id, entry.key)
        for place, entry in zip(places, entries, strict=True)
        if place in by_place
    ]
    written = await household_store.find_results(
        conn, [household for household, _ in asked], [key for _, key in asked]
    )
    return _Standing(found.id, keyring, by_place, written)


def label_hash(keyring: Keyring, label: str) -> bytes:
    """The keyed hash by which a household is found."""
    return keyring.index(LABEL, label_form(label))


_NOBODY_YET = UUID(int=0)
_Place = tuple[str, bytes]


class _Standing:
    """Where households stand while entries are taken one after another."""

    def __init__(
        self,
        round_id: UUID,
        keyring: Keyring,
        known: dict[_Place, HouseholdRow],
        written: dict[tuple[UUID, UUID], tuple[int, VisitResult, bool]],
    ) -> None:
        self._round_id = round_id
        self._keyring = keyring
        self._now = known
        self._written = written
        self._labels: dict[_Place, str] = {}
        self._changed: set[_Place] = set()

    def take(
        self, entry: HouseholdEntry, found: VisitRound, today: date, signed: set[str]
    ) -> NewTry | WrittenEntry:
        """What becomes of an entry; raises if it cannot be."""
        place = (entry.village, label_hash(self._keyring, entry.label))
        row = self._now.get(place)
        if row is not None and (before := self._repeated(row, entry)) is not None:
            return before
        if entry.village in signed:
            raise Conflict(
                phrase("this area is signed off, and nothing is written down for it any more"),
                code="signed_off",
            )
        rounds.need_open(found)
        _check(entry, found, row.not_home if row else 0, today)
        state = row.state if row else PersonState.OPEN
        moved = after_result(state, row.not_home if row else 0, entry.result)
        ends = state is PersonState.OPEN and moved.state is PersonState.TOLD
        if entry.text_no is None and entry.result is VisitResult.TOLD and found.texts == 1:
            entry = entry._replace(text_no=1)
        new = NewTry(place, entry, (row.tries if row else 0) + 1, *moved)
        self._now[place] = HouseholdRow(
            row.id if row else _NOBODY_YET,
            *place,
            moved.state,
            moved.not_home,
            entry.spoken_to if ends else (row.spoken_to if row else 0),
            moved.disputed or bool(row and row.disputed),
            new.no,
        )
        if row is None:
            self._labels[place] = entry.label
        self._changed.add(place)
        return new

    def _repeated(self, row: HouseholdRow, entry: HouseholdEntry) -> WrittenEntry | None:
        if (before := self._written.get((row.id, entry.key))) is None:
            return None
        no, result, disputed = before
        if result is not entry.result:
            raise Conflict(
                phrase("this key was used for another result; a new result needs a new one"),
                code="key_reused",
            )
        return WrittenEntry(row.id, no, row.state, row.not_home, disputed, repeated=True)

    async def write(self, conn: Connection) -> dict[_Place, UUID]:
        """Write down where households stand; returns the ids of those that entries are of."""
        added = [(self._now[place], label) for place, label in self._labels.items()]
        changed = [self._now[place] for place in self._changed if place not in self._labels]
        ids = {place: row.id for place, row in self._now.items()}
        if added:
            ciphers = [(row, self._keyring.encrypt(LABEL, label)) for row, label in added]
            ids |= await household_store.insert_households(conn, self._round_id, ciphers)
        if changed:
            await household_store.update_households(conn, changed)
        return ids


def _check(entry: HouseholdEntry, found: VisitRound, not_home: int, today: date) -> None:
    """Refuse an entry that cannot be.

    Raises:
        Invalid: names the field.
    """
    if (problem := label_problem(entry.label)) is not None:
        raise Invalid.at("household", problem, code="household_invalid")
    if entry.result not in HOUSEHOLD_RESULTS:
        raise Invalid.at(
            "result",
            phrase("one of {results}", results=listing([r.value for r in HOUSEHOLD_RESULTS])),
            code="result_invalid",
        )
    check_spoken_to(entry.result, entry.spoken_to)
    if entry.text_no is not None and not 1 <= entry.text_no <= found.texts:
        raise Invalid.at(
            "text",
            phrase("the round has {texts} texts: give the number of one", texts=found.texts),
            code="text_unknown",
        )
    check_result(
        entry.result, not_home, note=entry.note, on=entry.on, today=today, since=found.starts_on
    )
