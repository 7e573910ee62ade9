"""Whether the reader may be the second person to what somebody proposed, and else why not.

The operation decides; this says beforehand what it would say, so that no button is shown only to be
refused. Who made a key of somebody or gave the password counts as that person
(`service.accounts.people.second_person`).
"""

from dataclasses import dataclass
from uuid import UUID

from service.api.accounts import me, users
from service.console.asking import Desk
from service.errors import NotFound
from service.words.phrase import Phrase, phrase


@dataclass(frozen=True, slots=True)
class SecondPerson:
    """Whether the reader may confirm. why: why not, and who can; "" where they may."""

    may: bool
    why: str = ""


_ADMINISTRATOR = phrase("another administrator of the county")


async def second_person(
    desk: Desk, first: UUID, *, allowed: bool, who: Phrase = _ADMINISTRATOR
) -> SecondPerson:
    """Whether the reader may confirm what `first` proposed.

    allowed: whether their rights suffice. who: who else may.
    """
    if first == desk.user.id:
        return SecondPerson(False, phrase("You proposed it: {who} confirms it.", who=who))
    if not allowed:
        return SecondPerson(False, phrase("It waits: {who} confirms it.", who=who))
    if await _count_as_one(desk, first):
        return SecondPerson(
            False,
            phrase(
                "You count as one person with whoever proposed it, since one of you made a key of"
                " the other or gave the password, or a third one did so for both. It waits for"
                " {who} with a key or password from somebody else.",
                who=who,
            ),
        )
    return SecondPerson(True)


async def _count_as_one(desk: Desk, first: UUID) -> bool:
    """Whether the reader counts as one person with somebody whom they can see."""
    own = await desk.get(me.get_me)
    try:
        other = await desk.get(users.get_user, user_id=first)
    except NotFound:
        return False
    return bool({own.id, *own.held_by} & {other.id, *other.held_by})
