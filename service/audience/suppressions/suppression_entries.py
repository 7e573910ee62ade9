"""Bounds on what a department's persons put on the lists of numbers that are not sent to.

A number that is protected, dead or of somebody who complained gets nothing from any department, and
no warning either. So one person who enters many of them could silence a county. A few a day count
at once; what is more waits, and stops nothing, until an administrator of the county who did not
enter it lets it count. Each entry is written down, and the county can take it back as a whole. See
docs/decisions/0275-suppressions-in-bulk-wait.md.

Opt-outs are written down and never held: they stop no warning, and a refusal is to be heard at
once.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.manage import need_the_county
from service.accounts.people.model import User
from service.accounts.people.second_person import need_second_person
from service.audience.population_store import COUNTED_FOR, count_population
from service.audience.suppressions import suppression_entry_store as store
from service.audience.suppressions.suppression_entry_store import SuppressionEntry
from service.audience.suppressions.suppression_store import NewSuppression
from service.errors import Conflict, NotFound
from service.ledger.reasons import Reason
from service.settings import Settings
from service.storage.locks import lock_entries, lock_suppressions
from service.storage.postgres import Connection
from service.words.phrase import phrase


class EntryBounds(NamedTuple):
    """How many numbers a person, and a department, may stop for everybody without a second person:
    a_day: in 24 hours. share: of all people in the lists, in 30 days, but never less than a_day.
    """

    a_day: int
    share: float


def bounds_of(settings: Settings) -> EntryBounds:
    """The bounds that the settings say."""
    return EntryBounds(settings.suppressions_a_day, settings.suppressions_share)


async def write_down(
    conn: Connection,
    user: User,
    phone_hashes: Collection[bytes],
    new: NewSuppression,
    bounds: EntryBounds,
    now: datetime,
) -> tuple[NewSuppression, SuppressionEntry | None]:
    """Write down what a user is about to enter. Returns what is to be entered, which names its
    entry, and None; or the entry that waits: then nothing is to be entered.

    phone_hashes: each once. The caller's transaction enters the rest of it.
    """
    await lock_entries(conn)
    found = await store.find_new(conn, phone_hashes, new, user.department_id, now)
    if not found:
        return new, None
    held = new.reason != Reason.OPTED_OUT and await _too_many(conn, user, len(found), bounds, now)
    entry_id = await store.insert_entry(conn, user, new, len(found), now, held=held)
    if not held:
        return replace(new, entry_id=entry_id), None
    await store.insert_held(conn, entry_id, found)
    return new, await visible_entry(conn, None, entry_id)


async def _too_many(
    conn: Connection, user: User, more: int, bounds: EntryBounds, now: datetime
) -> bool:
    """Whether so many more are in bulk."""
    day, month = await store.count_entered(conn, user, now)
    if day + more > bounds.a_day:
        return True
    if month + more <= bounds.a_day:
        return False
    return month + more > bounds.share * await count_population(conn, now - COUNTED_FOR, now)


async def let_count(
    conn: Connection, user: User, entry_id: UUID, reason: str, now: datetime
) -> SuppressionEntry:
    """Let an entry that waits stop what it says, as the second person.

    Raises:
        NotFound: there is none of this id in the user's scope.
        Forbidden: the user does not run the county, or counts as who entered it.
        Conflict: it does not wait, or its end has passed.
    """
    entry = await visible_entry(conn, user.scope, entry_id)
    need_the_county(user, phrase("let suppressions in bulk count"))
    await lock_entries(conn)
    entry = await visible_entry(conn, user.scope, entry_id)
    if not entry.held or entry.decision is not None:
        raise Conflict(phrase("it does not wait for anybody"), code="decided_already")
    if entry.expires_at is not None and entry.expires_at <= now:
        raise Conflict(phrase("its end has passed; drop it"), code="wrong_state")
    await need_second_person(
        conn,
        user,
        {entry.entered_by: phrase("entered these numbers")},
        phrase("let them count"),
        now,
    )
    await store.decide_entry(conn, entry_id, "count", reason, user.id, now)
    await store.let_held_count(conn, entry_id, now)
    await lock_suppressions(conn)
    return await visible_entry(conn, None, entry_id)


async def drop(
    conn: Connection, user: User, entry_id: UUID, reason: str, now: datetime
) -> SuppressionEntry:
    """Drop an entry: what waits never counts, and what counts by it alone is lifted.

    Raises:
        NotFound: there is none of this id in the user's scope.
        Conflict: it was dropped before.
    """
    await visible_entry(conn, user.scope, entry_id)
    await lock_entries(conn)
    entry = await visible_entry(conn, user.scope, entry_id)
    if entry.decision == "drop":
        raise Conflict(phrase("it was dropped before"), code="decided_already")
    await store.decide_entry(conn, entry_id, "drop", reason, user.id, now)
    await store.forget_held(conn, entry_id)
    await store.take_back(conn, entry_id)
    return await visible_entry(conn, user.scope, entry_id)


async def visible_entry(conn: Connection, scope: UUID | None, entry_id: UUID) -> SuppressionEntry:
    """An entry of a department (None: of any).

    Raises:
        NotFound: there is none of this id in the scope.
    """
    entry = await store.get_entry(conn, entry_id, scope)
    if entry is None:
        raise NotFound(phrase("there is no entry {entry_id}", entry_id=entry_id))
    return entry
