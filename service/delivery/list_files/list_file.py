"""Drawing a list: what a carrier that sends by itself is given, and when.

A channel of the kind list_file is held by no connection, and its texts wait in the queue. A person
of the carrier draws a list: connections take the channel, and the hand-off goes its usual way, with
all locks, caps, hours and opt-outs; each text that the channel accepts stands on the list. When two
looks in a row find nothing new, no connection takes the channel any more; when none holds it, the
list is written down and ready. So a text is on one list at most, and a process that dies while a
list is drawn leaves nothing behind: what it had marked stood on no list, never left, and goes back
into the queue.
"""

import logging
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By, User
from service.delivery.list_files import list_file_store as store
from service.delivery.list_files.list_file_store import ListFile
from service.delivery.uncertain.uncertain import give_back_never_left
from service.errors import Conflict, Forbidden, NotFound
from service.storage.postgres import Connection, Pool, Record, transaction

log = logging.getLogger(__name__)

QUIET_LOOKS = 2
"""After so many looks that found nothing new a list is closed."""

LOOKS_WITHOUT_CONNECTION = 24
"""So many looks (two minutes) a list waits for a process that serves its channel."""


async def need_carrier(conn: Connection, actor: User, carrier: str | None) -> None:
    """Refuse whoever is not of this carrier: its subscribers' numbers leave for it alone.

    Raises:
        Forbidden: the actor's department is not this carrier.
    """
    if carrier is None or await store.carrier_of(conn, actor.department_id) != carrier:
        raise Forbidden(
            f"only somebody of the carrier itself ({carrier or 'operated_by is not set'}) draws,"
            " fetches or answers its lists",
            code="not_your_base",
        )


async def draw(conn: Connection, actor: User, channel_id: int, by: By) -> ListFile:
    """Begin to draw a list of what waits on a channel.

    Raises:
        NotFound: there is no channel of this kind.
        Forbidden: the actor is not of the channel's carrier.
        Conflict: the channel is switched off, or a list of it is being drawn.
    """
    channel = await store.get_list_channel(conn, channel_id)
    if channel is None:
        raise NotFound(f"there is no channel {channel_id} whose texts leave as lists")
    await need_carrier(conn, actor, channel.carrier)
    if not channel.enabled:
        raise Conflict(
            f"the channel {channel.name} is switched off; an administrator switches it on",
            code="channel_off",
        )
    made = await store.insert_list(conn, channel, by)
    if made is None:
        raise Conflict(
            f"a list of {channel.name} is being drawn; wait until it is ready",
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
        raise NotFound(f"there is no list {list_id}")
    return found


async def look_at_lists(pool: Pool, now: datetime) -> list[int]:
    """Look at each list that is being drawn, and close or finish it; returns the channels that have
    something to hand off again.
    """
    async with pool.acquire() as conn:
        found = await store.open_lists(conn)
    channels = []
    for one in found:
        async with transaction(pool) as conn:
            if one["state"] == "drawing":
                await _look(conn, one)
            elif await _finish(conn, one, now):
                channels.append(one["channel_id"])
    return channels


async def _look(conn: Connection, one: Record) -> None:
    seen = await store.count_new(conn, one)
    quiet = await store.note_look(conn, one["id"], seen)
    enough = QUIET_LOOKS if seen or one["up"] else LOOKS_WITHOUT_CONNECTION
    if quiet >= enough:
        await store.begin_to_close(conn, one["id"])


async def _finish(conn: Connection, one: Record, now: datetime) -> bool:
    """Write down a list once nobody holds its channel; whether anything went back to the queue."""
    if not await store.lock_closing(conn, one["id"]):
        return False
    by = By(one["drawn_by"], "it stood on no list, so it never left", now)
    given_back = await give_back_never_left(conn, one["channel_id"], by)
    lines = await store.write_lines(conn, one, now)
    log.info("list drawn", extra={"list": str(one["id"]), "lines": lines, "back": given_back})
    return given_back > 0
