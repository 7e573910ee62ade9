"""Who may be the second person to what somebody did: the one decision of every place that asks.

Whoever made a key of a user, or gave the password, could act as that user. So both count as one
person, and so do two users of whom a third holds a secret each. It is so for 92 days after the key
or password has ended, too. The decision is the function `share_a_person` of the database; triggers
hold every table that has a second person to it as well.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.people import store
from service.accounts.people.model import Right, User
from service.errors import Conflict, Forbidden
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST = 1_000
"""So many users are looked at, the newest, for those who could be the second person."""


async def need_second_person(
    conn: Connection, actor: User, hands: Mapping[UUID | None, str], act: str, now: datetime
) -> None:
    """Refuse an actor who counts as one of those who did something, or stands in for one.

    hands: who did it, and what, as a verb with its object. act: what the second person does.

    Raises:
        Forbidden: names what the actor, or somebody who counts as the actor, did.
    """
    done = {person: what for person, what in hands.items() if person is not None}
    if actor.id in done:
        raise _refusal(phrase("you {done}: somebody else must {act}", done=done[actor.id], act=act))
    if actor.deputy_for in done:
        raise _refusal(
            phrase(
                "whom you stand in for {done}: somebody else must {act}",
                done=done[actor.deputy_for],
                act=act,
            )
        )
    seat = [person for person in (actor.id, actor.deputy_for) if person is not None]
    shared = await store.find_shared_person(conn, seat, list(done), now)
    if shared is not None:
        raise _refusal(
            phrase(
                "you count as one person with whoever {done}: one of you made the other's key or"
                " gave the password, or one person did so for both; somebody else must {act}, who"
                " has a key or password from another administrator, a third one if need be, or a"
                " password from whoever runs the machine (`tocsin password`)",
                done=done[shared],
                act=act,
            )
        )


async def second_persons(
    conn: Connection, right: Right, hands: Sequence[UUID], now: datetime
) -> list[User]:
    """The users who have a right and could be the second person to what some did, by name."""
    users = await store.list_users(conn, None, None, MOST)
    return sorted(
        [
            user
            for user in users
            if user.disabled_at is None
            and user.may(right)
            and await store.find_shared_person(conn, [user.id], hands, now) is None
        ],
        key=lambda user: user.name,
    )


async def need_another_side(
    conn: Connection, actor: User, hands: Mapping[UUID | None, str], act: str, now: datetime
) -> None:
    """Refuse an actor who is one of those who did something, or of whom one holds a secret of the
    other. It is asked between departments whose own second persons were asked already: a third one
    who made the accounts of both is none of them.

    Raises:
        Forbidden: names what the actor, or somebody who could act as the actor, did.
    """
    done = {person: what for person, what in hands.items() if person is not None}
    seat = [person for person in (actor.id, actor.deputy_for) if person is not None]
    found = await store.find_who_can_act_as(conn, seat, list(done), now)
    if found is not None:
        raise _refusal(
            phrase(
                "you are, or could act as, whoever {done}, or that person as you: somebody"
                " else must {act}",
                done=done[found],
                act=act,
            )
        )


async def need_maker(conn: Connection, maker_id: UUID | None, user: User) -> None:
    """Refuse a secret of which somebody knows who may not (any more) do all that it gives: the
    user may have got more since it was made.

    maker_id: who made it; None: whoever runs the machine.

    Raises:
        Conflict: it must be made anew, by somebody who may.
    """
    if maker_id is None or maker_id == user.id:
        return
    maker = await store.get_user(conn, maker_id, None)
    try:
        maker.may_grant(user.roles, user.rights)
    except Forbidden as error:
        raise _unworthy() from error
    if maker.disabled_at is not None:
        raise _unworthy()


def _unworthy() -> Conflict:
    return Conflict(
        phrase(
            "whoever made it has not all the rights of its user, or is out of service:"
            " somebody who has them must make it anew"
        ),
        code="wrong_state",
    )


def _refusal(why: str) -> Forbidden:
    return Forbidden(why, code="second_person_needed")
