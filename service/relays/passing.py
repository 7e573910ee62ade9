"""Passing on: what the scheduler does for each relay each minute.

One relay after another, each turn of one a transaction under the lock of the relay: the answers are
read, and whoever is due gets the text. The run and the note of whom it went to are one transaction,
so whatever dies in between, nobody gets the text twice and nobody is left out.
"""

import logging
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.clock import Clock, day_in_china
from service.crypto import Keyring, Undecipherable
from service.errors import Conflict
from service.messages.offers.withdrawal import check_words_stand
from service.relays import node_store, relay_store, texts
from service.relays.node_store import NodePerson
from service.relays.relay_store import Relay
from service.relays.tree import LATE_ANSWERS, RelayState, asked_again_at
from service.relays.values import instead_of, values_of
from service.storage.postgres import (
    COLLISIONS,
    COUNT_SECONDS,
    Connection,
    Overtaken,
    Pool,
    transaction,
)

SOON, SELDOM = timedelta(minutes=1), timedelta(minutes=10)
"""Between two looks: at a relay that goes on, and at one that is over or cannot go on."""

MOST = 500
"""One turn of the scheduler looks at so many relays at most."""
PEOPLE = 1_000
"""So many places get the text in one transaction."""

log = logging.getLogger(__name__)


class _Sent(NamedTuple):
    """Whom a text went to: each with the number in the run, or None and the reason."""

    run_id: UUID | None
    people: list[tuple[NodePerson, int | None, str]]
    channels: Sequence[int]


async def pass_on(pool: Pool, keyring: Keyring, clock: Clock) -> set[int]:
    """Look at each relay that is due; returns the channels that have work now."""
    channels: set[int] = set()
    for _ in range(MOST):
        now = clock.now()
        due: UUID | None = None
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                relay = await relay_store.lock_due(conn, now)
                if relay is None:
                    break
                due = relay.id
                channels |= await _look(conn, keyring, relay, clock)
        except COLLISIONS as error:
            log.info("a relay is looked at again", extra={"why": str(error)})
        except Exception:
            if due is None:
                raise
            # The others must not wait for this one.
            log.exception("relay not looked at", extra={"relay_id": str(due)})
            async with transaction(pool) as conn:
                await relay_store.look_again(conn, due, now + SELDOM)
    return channels


async def _look(conn: Connection, keyring: Keyring, relay: Relay, clock: Clock) -> set[int]:
    """Read what was answered, and give the text to whoever is due."""
    now = clock.now()
    await node_store.read_answers(conn, relay.id)
    await node_store.note_lost(conn, relay.id)
    await node_store.note_silent(conn, relay.id, relay.due_at, now)
    channels: set[int] = set()
    more, held = False, ""
    if relay.state is RelayState.GOING:
        try:
            async with conn.transaction():
                await check_words_stand(conn, [relay.template_version_id])
                channels, more = await _give(conn, keyring, relay, clock)
        except Conflict as refusal:
            held = refusal.code
    stands = await node_store.tree_now(conn, relay.id)
    if stands.level_one and relay.level_one_at is None:
        await node_store.note_level_one(conn, relay.id, now)
    await _look_again(conn, relay, stands, clock, held, more=more)
    return channels


async def _give(
    conn: Connection, keyring: Keyring, relay: Relay, clock: Clock
) -> tuple[set[int], bool]:
    """Write the runs of those who are due and of those who are asked once more; returns the
    channels that have work, and whether more are due.
    """
    now = clock.now()
    today = day_in_china(now)
    channels: set[int] = set()
    people = await node_store.lock_next(conn, relay.id, now, today, PEOPLE)
    for level in sorted({one.level for one in people}):
        on_level = [one for one in people if one.level == level]
        sent = await _send(conn, keyring, relay, on_level, clock)
        if sent.run_id is not None:
            await node_store.insert_run(conn, relay.id, sent.run_id, level, again=False)
        noted = await node_store.note_sent(conn, relay.id, sent.run_id, sent.people, now)
        if noted != len(on_level):
            raise Overtaken(f"of {len(on_level)} places, {noted} waited")
        channels.update(sent.channels)
    not_yets = await node_store.not_yets(conn, relay.id)
    numbers = [no for no, at in not_yets if asked_again_at(at) <= now][:PEOPLE]
    again = await node_store.lock_to_ask_again(conn, relay.id, today, numbers) if numbers else []
    for level in sorted({one.level for one in again}):
        on_level = [one for one in again if one.level == level]
        sent = await _send(conn, keyring, relay, on_level, clock)
        if sent.run_id is not None:
            await node_store.insert_run(conn, relay.id, sent.run_id, level, again=True)
        await node_store.note_asked_again(conn, relay.id, sent.run_id, sent.people, now)
        channels.update(sent.channels)
    # Whoever could not be reached lets those below go on at once.
    return channels, bool(people)


async def _send(
    conn: Connection, keyring: Keyring, relay: Relay, people: Sequence[NodePerson], clock: Clock
) -> _Sent:
    """Write the run of a text to these places; each person gets one, whatever they have."""
    recipients = recipients_of(keyring, people, relay.due_at)
    sent = texts.TextsSent()
    if recipients:
        text = texts.TextOf(
            relay.department_id, relay.template_version_id, relay.text, relay.started_by
        )
        sent = await texts.send(conn, keyring, text, recipients, clock.now())
    told: list[tuple[NodePerson, int | None, str]] = []
    for one in people:
        why = why_not(one, sent.numbers, sent.left_out)
        told.append((one, None if why else sent.numbers[one.phone_hash or b""], why))
    return _Sent(sent.run_id if sent.numbers else None, told, sent.channels)


def recipients_of(
    keyring: Keyring, people: Sequence[NodePerson], due_at: datetime
) -> list[texts.TextRecipient]:
    """Who of these places, which are of one level, is to get the text, each person once."""
    found: dict[bytes, texts.TextRecipient] = {}
    for one in people:
        if one.listed and one.phone_hash is not None and one.phone_cipher is not None:
            values = values_of(name_of(keyring, one), one.groups, one.group_count, due_at)
            found[one.phone_hash] = texts.TextRecipient(
                one.phone_hash, one.phone_cipher, values, instead_of(one.group_count)
            )
    return list(found.values())


def why_not(one: NodePerson, reached: Container[bytes], left_out: Mapping[bytes, str]) -> str:
    """Why a place gets no text, as a code; "": it gets it. reached, left_out: by the hash of the
    phone.
    """
    phone_hash = one.phone_hash or b""
    if one.listed and phone_hash in reached:
        return ""
    return left_out.get(phone_hash, "on_no_list")


def name_of(keyring: Keyring, one: NodePerson) -> str:
    """The name of whoever has a place; "": there is none, or it cannot be read."""
    try:
        return keyring.decrypt("name", one.name_cipher) if one.name_cipher else ""
    except Undecipherable:
        return ""


async def _look_again(
    conn: Connection,
    relay: Relay,
    stands: node_store.TreeNow,
    clock: Clock,
    held: str,
    *,
    more: bool,
) -> None:
    """Say when this relay is looked at next; end it once nobody is to be heard of in time."""
    now = clock.now()
    until = max(relay.due_at, stands.last_sent_at or relay.due_at) + LATE_ANSWERS
    later = now + SELDOM if now + SELDOM <= until else None
    if relay.state is not RelayState.GOING:
        await relay_store.look_again(conn, relay.id, later)
    elif more and not held:
        await relay_store.look_again(conn, relay.id, now, held)
    elif now >= relay.due_at and not stands.waiting and not stands.sent:
        if await node_store.not_yets(conn, relay.id):
            await relay_store.look_again(conn, relay.id, now + SELDOM, held)
        else:
            await relay_store.end_relay(conn, relay.id, RelayState.OVER, "", later, now)
    elif held and now >= until:
        await relay_store.end_relay(conn, relay.id, RelayState.OVER, held, None, now)
    else:
        await relay_store.look_again(conn, relay.id, now + (SELDOM if held else SOON), held)
