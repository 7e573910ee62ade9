"""Opt-outs of people who had no text from us: in bulk they wait for a person.

A text from a handset is the carrier's word alone: whoever can write into its gateway names any
sender, and could so end publicity for a county. An opt-out that follows a text of ours counts at
once, whoever else writes. One that follows none over its channel is a stray; a few of them are
usual (somebody was told of us, a number has a new owner). If more people send them than is usual in
an hour and in a day, those that are read from then on stop nothing until a person lets them count,
or drops them. See docs/decisions/0261-stray-opt-outs-in-bulk-wait.md.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.audience.population_store import COUNTED_FOR, count_population
from service.delivery.inbound import replies_store
from service.delivery.inbound import strays_store as store
from service.delivery.inbound.inbound_store import NewText
from service.delivery.inbound.keywords import InboundKind
from service.delivery.inbound.strays_store import OptOutHold
from service.errors import Conflict, NotFound
from service.storage.locks import lock_suppressions, wait_for_reader
from service.storage.postgres import Connection
from service.words.phrase import phrase

StrayDecision = Literal["count", "drop"]
BY_HOLD = "opted out in bulk, which a person let count"


class StrayBounds(NamedTuple):
    """How many people may send strays over one channel. share: of all people in the lists, in 24
    hours. an_hour: in an hour; both must be passed.
    """

    share: float = 0.01
    an_hour: int = 50


BOUNDS = StrayBounds()
HELD_FOR = timedelta(minutes=1)
"""How long a channel that had too many strays counts as one, before they are counted again."""


async def hold_strays(
    conn: Connection, texts: Sequence[NewText], bounds: StrayBounds, now: datetime
) -> set[UUID]:
    """Find the strays among texts that were just written, and hold those of a channel that has too
    many; returns which texts are held. The caller is the one reader.
    """
    asked = [
        (t.id, t.channel_id, t.sender_hash, t.received_at)
        for t in texts
        if t.kind == InboundKind.OPT_OUT and t.answered is None
    ]
    if not asked:
        return set()
    found = set(await store.had_no_text(conn, asked))
    await store.note_strays(conn, found, now)
    by_channel: dict[int, list[UUID]] = defaultdict(list)
    for text_id, channel_id, _, _ in asked:
        if text_id in found:
            by_channel[channel_id].append(text_id)
    held: set[UUID] = set()
    for channel_id, counted_at in (await _too_many(conn, by_channel.keys(), bounds, now)).items():
        await store.hold_texts(conn, channel_id, by_channel[channel_id], now, counted_at)
        held.update(by_channel[channel_id])
    return held


async def _too_many(
    conn: Connection, channels: Set[int], bounds: StrayBounds, now: datetime
) -> dict[int, datetime]:
    """Which of these channels have more strays than is usual, and when that was counted. What an
    attack makes large is counted once in a while only: the strays of a channel that has too many,
    and all people.
    """
    held = await store.judged_lately(conn, channels, now - HELD_FOR, now)
    counted = await store.count_strays(conn, channels - held.keys(), now)
    many = {channel for channel, found in counted.items() if found.hour > bounds.an_hour}
    if many:
        most = bounds.share * await count_population(conn, now - COUNTED_FOR, now)
        many = {channel for channel in many if counted[channel].day > most}
    return held | dict.fromkeys(many, now)


async def decide(
    conn: Connection, user: User, hold_id: UUID, decision: StrayDecision, reason: str, now: datetime
) -> OptOutHold:
    """Let the opt-outs of a hold count, so that their senders get no publicity from now on, or drop
    them: then they stop nothing.

    Raises:
        NotFound: there is none of this id, or the user does not see the whole county.
        Conflict: it was decided before.
    """
    await _visible(conn, user, hold_id)
    await wait_for_reader(conn)
    if not await store.decide_hold(conn, hold_id, decision, reason, user.id, now):
        raise Conflict(phrase("it was decided before"), code="decided_already")
    if decision == "count":
        stops = await store.stops_of(conn, hold_id)
        await replies_store.suppress_senders(conn, stops, note=BY_HOLD, user_id=user.id, now=now)
        await lock_suppressions(conn)
    return await _visible(conn, user, hold_id)


async def _visible(conn: Connection, user: User, hold_id: UUID) -> OptOutHold:
    hold = await store.get_hold(conn, hold_id) if user.scope is None else None
    if hold is None:
        raise NotFound(phrase("there are no held opt-outs {hold_id}", hold_id=hold_id))
    return hold
