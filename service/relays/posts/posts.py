"""Handing posts of lists over, with what depends on them."""

from datetime import date, datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from service.accounts.departments import duty_people_store
from service.accounts.departments.department import COUNTY
from service.accounts.departments.duty_people_store import DUTIES, Duty, PersonCiphers
from service.accounts.people.model import By, User
from service.audience.rosters.roster_store import get_roster
from service.audience.vocabulary.roles import POST_ROLES
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid, NotFound
from service.relays.groups import group_store
from service.relays.groups.groups import note_shown
from service.relays.posts import post_store
from service.relays.posts.post import (
    BY_THE_LIST,
    DUTY_OF,
    ListedPerson,
    Post,
    PostHolder,
    PostState,
)
from service.relays.posts.post_store import NewHolder, PostsWanted
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_POSTS = 500
"""So many posts of a list are shown at once."""


class PostHandOver(NamedTuple):
    """Which post goes to whom, from which day on the form, why, and who was told. unit: as the list
    says it, whatever its white space.
    """

    roster: str
    role: str
    unit: str
    contact_id: UUID
    effective_on: date
    reason: str
    told: str


async def list_posts(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    roster: str,
    role: str | None,
    unit: str | None,
    now: datetime,
) -> list[Post]:
    """Up to `MOST_POSTS` posts of a list of the own department, and one more if there are more.

    Raises:
        NotFound: the department has no list of this name.
    """
    if await get_roster(conn, actor.department_id, roster) is None:
        raise NotFound(phrase("your department has no list of this name"))
    wanted = PostsWanted(
        actor.department_id,
        roster,
        POST_ROLES if role is None else (role,),
        None if unit is None else await post_store.unit_key(conn, unit),
        day_in_china(now),
    )
    return await post_store.list_posts(conn, keyring, wanted, MOST_POSTS + 1)


async def person_of(
    conn: Connection, actor: User, phone_hash: bytes, field: str, now: datetime
) -> UUID:
    """The person of a number, on a list of the own department that holds.

    Raises:
        Invalid: there is none.
    """
    today = day_in_china(now)
    found = await group_store.people_by_phone(conn, actor.department_id, [phone_hash], today)
    if phone_hash not in found:
        raise Invalid.at(
            field,
            phrase(
                "nobody on a list of the department that holds has this number: put the person on a"
                " list first"
            ),
        )
    return found[phone_hash]


async def hand_over(
    conn: Connection, keyring: Keyring, actor: User, to: PostHandOver, by: By
) -> Post:
    """Give a post to another person, at once; the time of whoever had it ends at that instant, and
    what the department owes is told to the new one.

    Raises:
        NotFound: the department has no list of this name.
        Invalid: the list has no such post; the person is on no list of the department that holds,
            or may not have what depends on the post; the day is to come.
        Conflict: the list names several for it, or the person holds it already.
    """
    today = day_in_china(by.at)
    if to.effective_on > today:
        raise Invalid.at(
            "effective_on", phrase("give today or a day before: it is handed over at once")
        )
    found = await _find(conn, keyring, actor, to, by.at)
    post_id = await post_store.lock_post(conn, found)
    found = await _find(conn, keyring, actor, to, by.at)
    if not await group_store.holders(conn, actor.department_id, [to.contact_id], today):
        raise Invalid.at(
            "contact_id",
            phrase(
                "nobody of this id is on a list of the department that holds: put the person on a"
                " list first, or extend it"
            ),
        )
    before = await _written_down(conn, post_id, found, by)
    if before == to.contact_id:
        raise Conflict(
            phrase("this person has the post already: nothing is handed over"),
            code="holds_it_already",
        )
    answers_for = await _hand_duties_over(conn, actor, found, before, to.contact_id, by)
    await post_store.append_holder(
        conn,
        post_id,
        NewHolder(
            to.contact_id, by.at, to.effective_on, to.reason, to.told, answers_for, _user(by)
        ),
    )
    return await _find(conn, keyring, actor, to, by.at)


async def _find(
    conn: Connection, keyring: Keyring, actor: User, to: PostHandOver, now: datetime
) -> Post:
    found = await list_posts(conn, keyring, actor, to.roster, to.role, to.unit, now)
    if not found:
        raise Invalid.at(
            "unit", phrase("the list names nobody for this post; write the unit as the list has it")
        )
    post = found[0]
    if post.state is PostState.SHARED or (
        post.state is PostState.NAMED_ANEW and len(post.listed) > 1
    ):
        raise Conflict(
            phrase("the list names several persons for this post: leave one on it first"),
            code="post_is_shared",
        )
    return post


async def _written_down(conn: Connection, post_id: UUID, found: Post, by: By) -> UUID:
    """Who has the post now; whom only the list names is written into the history first."""
    person = found.person
    if isinstance(person, ListedPerson):
        since = min(person.named_at, by.at - timedelta(microseconds=1))
        await post_store.append_holder(
            conn,
            post_id,
            NewHolder(
                person.contact_id,
                since,
                day_in_china(since),
                BY_THE_LIST,
                "",
                (),
                person.named_by or _user(by),
            ),
        )
        return person.contact_id
    if found.holder is None:
        raise LookupError("a post has a holder")
    return found.holder.contact_id


async def _hand_duties_over(
    conn: Connection, actor: User, post: Post, old: UUID, new: UUID, by: By
) -> list[UUID]:
    """Who answered for departments by the post does so no more, and the new one does."""
    if post.role not in DUTY_OF:
        return []
    duty = cast("Duty", DUTY_OF[post.role])
    # As with obligations: the county's list is of all departments, another's of those below it.
    scope = None if actor.department_kind == COUNTY else [actor.department_id, *actor.below]
    departments = await post_store.departments_answered_for(conn, post, old, duty, scope)
    if not departments:
        return []
    ciphers = await duty_people_store.find_contact(conn, new, actor.department_id)
    if ciphers is None or ciphers[0] is None:
        raise Invalid.at(
            "contact_id", phrase("this person has no name on file; reminders need one: add it")
        )
    (other,) = set(DUTIES) - {duty}
    for department_id in departments:
        known = await duty_people_store.on_duty(conn, department_id)
        if other in known and known[other].phone_hash == ciphers[2]:
            raise Invalid.at(
                "contact_id",
                phrase(
                    "this person is the department's liaison or its leader in charge already, and"
                    " the other is somebody else: name another person there first"
                ),
            )
        await duty_people_store.end_duty(conn, department_id, duty, by.at)
        person = PersonCiphers(ciphers[0], ciphers[1], ciphers[2])
        await duty_people_store.begin_duty(conn, department_id, duty, person, (_user(by), by.at))
    return departments


async def list_history(
    conn: Connection, keyring: Keyring, actor: User, roster: str, post_id: UUID
) -> list[PostHolder]:
    """Who has held a post of the own department, from the first on.

    Raises:
        NotFound: no such post of this list was handed over.
    """
    await _need_post(conn, actor, roster, post_id)
    return await post_store.list_holders(conn, keyring, post_id)


async def take_form(
    conn: Connection, keyring: Keyring, actor: User, roster: str, post_id: UUID, no: int, by: By
) -> tuple[tuple[str, str], PostHolder, PostHolder]:
    """Role and unit of a post, the old and the new holder of a hand-over, for its form, with names
    in full; that they were shown is noted for both.

    no: of the new holder in the history.

    Raises:
        NotFound: as for `list_history`; or the history has no hand-over of this number.
        Conflict: one of both is kept no more.
    """
    post = await _need_post(conn, actor, roster, post_id)
    holders = await post_store.list_holders(conn, keyring, post_id, [no - 1, no])
    if no < 2 or len(holders) < 2:
        raise NotFound(phrase("the history of this post has no hand-over {no}", no=no))
    if any(holder.name is None for holder in holders):
        raise Conflict(
            phrase("one of both is on file no more, and the form names them"), code="not_kept"
        )
    both = [one.contact_id for one in holders]
    await note_shown(conn, keyring, actor, both, "岗位交接单 / hand-over form of a post", by.at)
    return post, holders[0], holders[1]


async def _need_post(conn: Connection, actor: User, roster: str, post_id: UUID) -> tuple[str, str]:
    found = await post_store.find_post(conn, actor.department_id, roster, post_id)
    if found is None:
        raise NotFound(phrase("no post {post_id} of this list was handed over", post_id=post_id))
    return found


def _user(by: By) -> UUID:
    if by.user_id is None:
        raise ValueError("a person hands a post over")
    return by.user_id
