"""Beginning a household round, ending it, and signing for its villages."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By, User
from service.accounts.people.second_person import need_second_person
from service.audience.areas.area_store import get_area
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.followups.followups import NOTE, area_of
from service.followups.ladder import PersonState
from service.followups.rounds import household_store, round_store
from service.followups.rounds.round_store import NewRound, RoundState, RoundVillage, VisitRound
from service.messages.template import variables
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_TEXTS = 10
LONGEST_DAYS = 366
"""Between the first day of a round and the last one."""


class RoundSight(NamedTuple):
    """What of a round somebody sees: its villages, whole or those in the own area. bounded: there
    are others.
    """

    round: VisitRound
    villages: Sequence[RoundVillage]
    bounded: bool

    @property
    def codes(self) -> list[str]:
        """The codes of the villages."""
        return [one.village for one in self.villages]


class AskedText(NamedTuple):
    """A version of a text that is to be read out."""

    template_id: UUID
    version: int


async def start(
    conn: Connection, actor: User, new: NewRound, texts: Sequence[AskedText], by: By
) -> UUID:
    """Begin a round through the households of an area. `new.version_ids` are those of `texts`.

    Raises:
        Invalid: the area has no village, a day cannot be, or a text is none that may be read out.
    """
    today = day_in_china(by.at)
    _check_days(new, today)
    wrong: dict[str, str] = {}
    versions: list[UUID] = []
    for no, asked in enumerate(texts):
        found = await round_store.approved_version(conn, *asked, actor.scope)
        if found is None:
            wrong[f"texts.{no}"] = phrase("there is no approved text of this template and version")
        elif variables(found[1]):
            wrong[f"texts.{no}"] = phrase(
                "take a text without variables: what is read out is what was approved"
            )
        else:
            versions.append(found[0])
    if wrong:
        raise Invalid(phrase("these texts cannot be read out"), fields=wrong)
    villages: list[str] = []
    if await get_area(conn, new.area_code) is not None:
        villages = await round_store.villages_of(conn, new.area_code)
    if not villages:
        raise Invalid.at(
            "area", phrase("give the code of a village, or of an area in which there are villages")
        )
    wanted = new._replace(version_ids=list(dict.fromkeys(versions)))
    return await round_store.insert_round(conn, wanted, villages, actor.id, by.at)


def _check_days(new: NewRound, today: date) -> None:
    if new.due_on < today:
        raise Invalid.at("due_on", phrase("give a day that is to come"))
    if new.starts_on > new.due_on or (new.due_on - new.starts_on).days > LONGEST_DAYS:
        raise Invalid.at(
            "starts_on",
            phrase(
                "give a day up to {days} days before the last one, and not after it",
                days=LONGEST_DAYS,
            ),
        )


async def find(
    conn: Connection, actor: User, round_id: UUID, lock: str | None = None
) -> RoundSight:
    """A round that somebody may see, whole or the villages of the own area. lock: "share": it is
    not ended until the end of the transaction; "update": nobody else is at it.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    none = NotFound(phrase("there is no round {round_id}", round_id=round_id))
    found = await round_store.find_round(conn, round_id, lock)
    if found is None:
        raise none
    if actor.sees(found.department_id):
        villages = await round_store.list_villages(conn, round_id, None, bounded=False)
        return RoundSight(found, villages, bounded=False)
    area = await area_of(conn, actor)
    if not found.with_towns or area is None:
        raise none
    villages = await round_store.list_villages(conn, round_id, area, bounded=True)
    if not villages:
        raise none
    return RoundSight(found, villages, bounded=True)


def need_open(found: VisitRound) -> None:
    """Refuse a round that is over.

    Raises:
        Conflict: it is.
    """
    if found.state is not RoundState.OPEN:
        raise Conflict(phrase("the round is over"), code="round_over")


async def cancel(conn: Connection, actor: User, round_id: UUID, by: By) -> None:
    """End a round before its end; what was written down stays.

    Raises:
        NotFound, Forbidden: as `find`; or it is another department's.
        Conflict: it is over.
    """
    sight = await find(conn, actor, round_id, "update")
    if sight.bounded:
        raise Forbidden(phrase("only the department whose round it is ends it"))
    need_open(sight.round)
    await round_store.set_state(conn, round_id, RoundState.CANCELLED, by.at, by.reason)


async def sign_off(
    conn: Connection, keyring: Keyring, actor: User, round_id: UUID, village: str, by: By
) -> bool:
    """Answer for a village in which no household is to be visited any more; returns whether that
    was the last one, and the round is closed. by.reason: a note, or "".

    Raises:
        NotFound: nobody went to a household there.
        Forbidden: the actor went to one there, or counts as somebody who did.
        Conflict: a household is still to be visited there, or it is signed already.
    """
    sight = await find(conn, actor, round_id, "update")
    need_open(sight.round)
    if village not in sight.codes:
        raise NotFound(phrase("this area is no village of the round that you may see"))
    await round_store.lock_villages(conn, round_id, [village])
    counts = await household_store.count_households(conn, round_id, [village])
    if not counts:
        raise NotFound(phrase("nobody went to a household of this area"))
    if still := sum(one.households for one in counts if one.state is PersonState.OPEN):
        raise Conflict(
            phrase(
                "{households} households are still to be visited there; write down what came of"
                " each first",
                households=still,
            ),
            code="visits_open",
        )
    hands: dict[UUID | None, str] = {
        person: phrase("went to people there, or wrote down what came of it")
        for person in await round_store.visitors_of(conn, round_id, village)
    }
    await need_second_person(conn, actor, hands, phrase("sign for this area"), by.at)
    note = keyring.encrypt(NOTE, by.reason) if by.reason else None
    if not await round_store.sign_village(conn, round_id, village, actor.id, note, by.at):
        raise Conflict(phrase("this area is signed off already"), code="signed_off")
    if not await round_store.is_signed(conn, round_id):
        return False
    await round_store.set_state(conn, round_id, RoundState.CLOSED, by.at)
    return True
