"""Drawing a list: what a carrier that sends by itself is given, and when.

A channel of the kind list_file is held by no connection, and its texts wait in the queue. A person
of the carrier draws a list: connections take the channel, and the hand-off goes its usual way, with
all locks, caps, hours and opt-outs; each text that the channel accepts stands on the list. When two
looks in a row find nothing new, no connection takes the channel any more; when none holds it, the
list is written down and ready. So a hand-off is on one list at most, and a process that dies while
a list is drawn leaves nothing behind: what it had marked stood on no list, never left, and goes
back into the queue.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from service.accounts.people.model import By, User
from service.audience.contacts.contact_store import subscriber_base
from service.channels.config.store import get_channel
from service.channels.contract.model import LISTS, operator_of
from service.crypto import Keyring
from service.delivery.list_files import list_file_store as store
from service.delivery.list_files.list_file_store import ListFile
from service.delivery.uncertain.uncertain import give_back_never_left
from service.dispatch.limits import caps_store, joint_store
from service.envelope import check_valid
from service.errors import Conflict, Forbidden, NotFound
from service.storage.postgres import (
    COUNT_SECONDS,
    UNREACHABLE,
    Connection,
    Pool,
    Record,
    TooSlow,
    transaction,
)
from service.words.phrase import phrase
from service.words.terms import term

log = logging.getLogger(__name__)

QUIET_LOOKS = 2
"""After so many looks that found nothing new a list is closed."""

LOOKS_WITHOUT_CONNECTION = 24
"""So many looks (two minutes) a list waits for a process that serves its channel."""

MOST_LOOKS = 120
"""So many looks (ten minutes) a list is drawn at most; what still comes stands on the next one."""

FETCH_WITHIN = timedelta(hours=24)
"""How long a list may be fetched for the first time: after that its texts never leave."""


async def need_carrier(conn: Connection, actor: User, carrier: str | None) -> str:
    """Refuse whoever is not of this carrier: its subscribers' numbers leave for it alone. Returns
    the carrier.

    Raises:
        Forbidden: the actor's department is not this carrier.
    """
    if carrier is None or await subscriber_base(conn, actor.department_id) != carrier:
        raise Forbidden(
            phrase(
                "only somebody of the carrier itself ({carrier}) draws, fetches or answers"
                " its lists",
                carrier=term(carrier) if carrier else phrase("operated_by is not set"),
            ),
            code="not_your_base",
        )
    return carrier


async def draw(
    conn: Connection, keyring: Keyring, actor: User, channel_id: int, by: By
) -> ListFile:
    """Begin to draw a list of what waits on a channel.

    Raises:
        NotFound: there is no channel of this kind.
        Forbidden: the actor is not of the channel's carrier.
        Conflict: the channel is switched off, its certificate is not valid now, or a list of it is
            being drawn.
    """
    channel = await get_channel(conn, keyring, channel_id)
    if channel.kind not in LISTS:
        raise NotFound(
            phrase(
                "there is no channel {channel_id} whose texts leave as lists", channel_id=channel_id
            )
        )
    operator = operator_of(channel.kind, channel.carriers, channel.operated_by)
    carrier = await need_carrier(conn, actor, operator)
    if not channel.enabled:
        raise Conflict(
            phrase(
                "the channel {channel} is switched off; an administrator switches it on",
                channel=channel.name,
            ),
            code="channel_off",
        )
    check_valid(channel.config.model_dump()["certificate"], by.at)
    made = await store.insert_list(conn, channel_id, carrier, by)
    if made is None:
        raise Conflict(
            phrase(
                "a list of {channel} is being drawn; wait until it is ready",
                channel=channel.name,
            ),
            code="list_being_drawn",
        )
    return await load_list(conn, made)


async def load_list(conn: Connection, list_id: UUID, *, lock: bool = False) -> ListFile:
    """A list as it stands.

    Raises:
        NotFound: there is none of this id.
    """
    found = await store.get_list(conn, list_id, lock=lock)
    if found is None:
        raise NotFound(phrase("there is no list {list_id}", list_id=list_id))
    return found


async def look_at_lists(pool: Pool, now: datetime) -> None:
    """Look at each list that is being drawn, and close or finish it; let those lapse that nobody
    has fetched in time. One that fails holds up no other.
    """
    async with pool.acquire() as conn:
        drawn = await store.open_lists(conn)
        late = await store.unfetched_lists(conn, now - FETCH_WITHIN)
    for act in (
        *(partial(_look, one=one) for one in drawn if one["state"] == "drawing"),
        *(partial(_finish, one=one, now=now) for one in drawn if one["state"] == "closing"),
        *(partial(_lapse, list_id=list_id, now=now) for list_id in late),
    ):
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                await act(conn)
        except Exception as error:
            if isinstance(error, UNREACHABLE) and not isinstance(error, TooSlow):
                raise
            log.exception("a list is not looked after")


async def _look(conn: Connection, *, one: Record) -> None:
    up: bool = one["up"]
    seen = await store.count_new(conn, one)
    looks = await store.note_look(conn, one["id"], seen, up=up)
    nobody = not (up or seen) and looks.all >= LOOKS_WITHOUT_CONNECTION
    if nobody or looks.quiet >= QUIET_LOOKS or looks.all >= MOST_LOOKS:
        await store.begin_to_close(conn, one["id"])


async def _finish(conn: Connection, *, one: Record, now: datetime) -> None:
    """Write down a list once nobody holds its channel."""
    if not await store.lock_closing(conn, one["id"]):
        return
    by = By(one["drawn_by"], "it stood on no list, so it never left", now)
    given_back = await give_back_never_left(conn, one["channel_id"], by)
    lines = await store.write_lines(conn, one, now)
    log.info("list drawn", extra={"list": str(one["id"]), "lines": lines, "back": given_back})


async def _lapse(conn: Connection, *, list_id: UUID, now: datetime) -> None:
    found = await store.get_list(conn, list_id, lock=True)
    if found is None or found.fetched_at is not None or found.state != "ready":
        return
    await take_off(conn, list_id, now)
    await store.set_lapsed(conn, list_id)


async def take_off(
    conn: Connection,
    list_id: UUID,
    now: datetime,
    *,
    runs: Sequence[UUID] | None = None,
    lines: Sequence[int] | None = None,
) -> None:
    """Take texts off a list that nobody has fetched: all, those of runs, or those of lines. They
    never left, so they are refused, and give their places back.
    """
    keys = await store.lapse(conn, list_id, now, runs=runs, lines=lines)
    await caps_store.give_back(conn, keys)
    await joint_store.give_back(conn, keys)
