"""Beginning a relay, what people say of places in it, and ending it before its end."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import COUNTY
from service.accounts.people.model import By, User
from service.audience.areas.area_store import area_names
from service.audience.vocabulary.roles import ROLES
from service.cases.week import parse_week
from service.clock import day_in_china
from service.delivery.notices.robot_unit_store import owe_robots_of_relay
from service.dispatch.direct import direct
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.ledger.message_class import NOTICE
from service.relays import area_owner_store, node_store, relay_store, texts
from service.relays.posts.post_store import holders_of_role
from service.relays.relay_store import ApprovedText, NewRelay, Relay
from service.relays.tree import (
    LATE_ANSWERS,
    MOST_LEVELS,
    OWNERS,
    DoneVia,
    NewNode,
    NodeState,
    RelayState,
    freeze,
    with_holders,
)
from service.relays.values import SAMPLE, VARIABLES
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

LONGEST = LATE_ANSWERS * 2
"""From its beginning to its due time."""
MOST_NODES = 20_000


class AskedRelay(NamedTuple):
    """What somebody wants passed on. levels: roles from the top down, with that of the owners."""

    template_id: UUID
    version: int
    week: str
    area_code: str | None
    levels: list[str]
    due_at: datetime


class FrozenTree(NamedTuple):
    """A relay that can begin: what it is, its text, and its places."""

    new: NewRelay
    text: ApprovedText
    nodes: list[NewNode]


async def start(conn: Connection, actor: User, asked: AskedRelay, by: By) -> UUID:
    """Begin a relay of the own department: freeze the tree of its people and groups.

    Raises:
        Invalid, Forbidden: as for `tree_of`.
        Conflict: the same text goes, or went, to these groups in that week.
    """
    if by.user_id is None:
        raise ValueError("a person begins a relay")
    frozen = await tree_of(conn, actor, asked, by.at, lock=True)
    made = await relay_store.insert_relay(conn, frozen.new, frozen.nodes, (by.user_id, by.at))
    if made is None:
        raise Conflict(
            phrase("this text was passed on to these groups in that week already"),
            code="relayed_already",
        )
    await owe_robots_of_relay(conn, made, frozen.new.department_id, by.at)
    return made


async def tree_of(
    conn: Connection, actor: User, asked: AskedRelay, now: datetime, *, lock: bool
) -> FrozenTree:
    """The tree of a relay that begins now, as it is frozen, and as a preview counts it. lock: its
    groups are handed over to nobody else before the end of the transaction.

    Raises:
        Invalid: a field is wrong, or there is no active group.
        Forbidden: the area is another department's, and that is not below the actor's.
    """
    _check(asked, now)
    if asked.area_code is not None:
        await _check_area(conn, actor, asked.area_code)
    version = await _text(conn, actor.department_id, asked)
    new = NewRelay(
        actor.department_id,
        version.id,
        asked.week,
        asked.area_code,
        asked.levels[:-1],
        asked.due_at,
    )
    return FrozenTree(new, version, await _nodes(conn, new, day_in_china(now), lock=lock))


async def _text(conn: Connection, department_id: UUID, asked: AskedRelay) -> ApprovedText:
    version = await relay_store.approved_text(conn, asked.template_id, asked.version, department_id)
    if version is None:
        raise Invalid.at(
            "template_id",
            phrase("there is no approved text of your department of this template and version"),
        )
    if version.message_class != NOTICE:
        raise Invalid.at("template_id", phrase("take a template of the class service"))
    texts.check_variables(version.text, VARIABLES, "template_id")
    given = await texts.given_text(conn, department_id, version.text)
    try:
        given.check({name: SAMPLE[name] for name in given.wanted})
    except Invalid as error:
        raise Invalid.at("template_id", error.message) from error
    return version


async def _check_area(conn: Connection, actor: User, code: str) -> None:
    """Refuse areas of others: a relay into these is begun by them, or from above.

    An area is somebody else's if it lies in theirs, or theirs in it, and in none of the actor's and
    of those below. The county is above all.
    """
    if not await area_names(conn, [code]):
        raise Invalid.at("area", phrase("there is no area of this code"))
    if actor.department_kind == COUNTY:
        return
    own = [actor.department_id, *actor.below]
    other = await area_owner_store.whose_area(conn, code, own)
    if other is not None:
        raise Forbidden(
            phrase(
                "a relay into an area of {department} is begun by it or from above; leave the area"
                " out for all groups of your department",
                department=other,
            )
        )


async def _nodes(conn: Connection, new: NewRelay, today: date, *, lock: bool) -> list[NewNode]:
    groups = await relay_store.active_groups(conn, new.department_id, new.area_code, lock=lock)
    if not groups:
        raise Invalid.at("area", phrase("there is no active group; register groups first"))
    levels = [
        with_holders(
            await relay_store.people_of_role(conn, new.department_id, role, new.area_code, today),
            await holders_of_role(conn, new.department_id, role, new.area_code, today),
        )
        for role in new.levels
    ]
    codes = {one.area_code for people in levels for one in people}
    around = await relay_store.areas_around(conn, sorted(codes | {g.area_code for g in groups}))
    nodes = freeze(levels, groups, around)
    if len(nodes) > MOST_NODES:
        raise Invalid.at(
            "area",
            phrase("more than {most:,} people and groups; take a smaller area", most=MOST_NODES),
        )
    return nodes


def _check(asked: AskedRelay, now: datetime) -> None:
    if parse_week(asked.week) is None:
        raise Invalid.at("week", phrase("write a week as in 2027-W03"))
    if asked.due_at <= now or asked.due_at > now + LONGEST:
        raise Invalid.at(
            "due_at",
            phrase("give a time that is to come, at most {days} days ahead", days=LONGEST.days),
        )
    levels = asked.levels
    if unknown := sorted(set(levels) - ROLES.keys()):
        raise Invalid.at("levels", phrase("there is no role {unknown}", unknown=listing(unknown)))
    if not levels or levels[-1] != OWNERS or len(set(levels)) < len(levels):
        raise Invalid.at(
            "levels",
            phrase(
                "name roles from the top down, each once, and {owners} as the last", owners=OWNERS
            ),
        )
    if len(levels) > MOST_LEVELS:
        raise Invalid.at("levels", phrase("name at most {most} levels", most=MOST_LEVELS))


async def find(conn: Connection, actor: User, relay_id: UUID, *, lock: bool = False) -> Relay:
    """A relay of which somebody may see what it came to. lock: nobody else is at it.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    if lock:
        await relay_store.lock_relay(conn, relay_id)
    found = await relay_store.find_relay(conn, relay_id)
    if found is None or not actor.sees_counts(found.department_id):
        raise NotFound(phrase("there is no relay {relay_id}", relay_id=relay_id))
    return found


async def find_own(conn: Connection, actor: User, relay_id: UUID, *, lock: bool = False) -> Relay:
    """A relay whose people somebody may see.

    Raises:
        NotFound: as for `find`.
        Forbidden: it is another department's.
    """
    found = await find(conn, actor, relay_id, lock=lock)
    if not actor.sees(found.department_id):
        raise Forbidden(phrase("its people are shown to its own department alone"))
    return found


async def set_done(
    conn: Connection, actor: User, relay_id: UUID, no: int, via: DoneVia, by: By
) -> None:
    """Say that a place has passed the text on; saying it again changes nothing.

    Raises:
        NotFound, Forbidden: as for `find_own`; there is no such place.
        Conflict: the relay is over for good.
        Invalid: nobody is above the place who could say so.
    """
    if by.user_id is None:
        raise ValueError("a person says so")
    found = await find_own(conn, actor, relay_id, lock=True)
    node = await node_store.find_node(conn, relay_id, no)
    if node is None:
        raise NotFound(phrase("this relay has no place {no}", no=no))
    if found.state is RelayState.CANCELLED or by.at > found.due_at + LATE_ANSWERS:
        raise Conflict(phrase("the relay is over"), code="relay_over")
    if via is DoneVia.PARENT and not node.has_parent:
        raise Invalid.at("via", phrase("nobody is above this place: say page"))
    if node.state == NodeState.DONE:
        return
    await node_store.set_done(conn, relay_id, no, via, (by.user_id, by.at))
    await relay_store.look_again(conn, relay_id, by.at)


async def cancel(conn: Connection, actor: User, relay_id: UUID, by: By) -> None:
    """End a relay before its end: nobody further gets its text, and what has not left is cancelled.

    Raises:
        NotFound, Forbidden: as for `find_own`.
        Conflict: it is over.
    """
    found = await find_own(conn, actor, relay_id, lock=True)
    if found.state is not RelayState.GOING:
        raise Conflict(phrase("the relay is over"), code="relay_over")
    await relay_store.end_relay(conn, relay_id, RelayState.CANCELLED, by.reason, None, by.at)
    for run_id in await relay_store.runs_of(conn, relay_id):
        await direct.cancel(conn, run_id, by.at)
