"""Erasing a person, by number: at once, over all that the caller sees, and nothing leaves after it.

Contact, list entries, places among guests and duties go, what waits is cancelled, nobody visits any
more. What was sent keeps its cipher, locked, until the record duty is over; counts and the keyed
hashes of suppressions stay.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By, User
from service.crypto import Keyring
from service.privacy import erasure_store
from service.privacy.lookups import REASON
from service.storage.locks import lock_erasures, lock_suppressions
from service.storage.postgres import Connection


class Erased(NamedTuple):
    """What an erasure amounted to.

    pending: contacts that an import or an edit holds at this moment; gone as soon as it ends.
    visits: follow-ups in which the person was to be visited, or notes of visits went. kept: texts
    that keep the number for the record duty, at the latest until `kept_until`.
    """

    id: UUID
    contacts: int
    links: int
    guests: int
    duties: int
    pending: int
    cancelled: int
    visits: int
    kept: int
    kept_until: datetime | None


async def erase(
    conn: Connection, keyring: Keyring, user: User, phone: str, by: By, *, duty: timedelta
) -> Erased:
    """Erase whoever has this number (E.164); needs a transaction.

    Once it is committed no hand-off to the number begins, but of runs that are made later (as after
    an opt-out, invariant I7), and no file that is older brings the person back. `duty` is how long
    what was sent keeps its number.
    """
    phone_hash, scope = keyring.phone_index(phone), user.scope
    reason = keyring.encrypt(REASON, by.reason)
    erasure_id = await erasure_store.insert_erasure(
        conn, phone_hash, scope, (user.id, reason), by.at
    )
    visits = await erasure_store.end_visits(conn, phone_hash, scope)
    await lock_erasures(conn)
    contacts, links, pending = await erasure_store.delete_contacts(conn, phone_hash, scope)
    guests = await erasure_store.delete_guests(conn, phone_hash, scope)
    duties = await erasure_store.end_duties(conn, phone_hash, scope, by.at)
    await erasure_store.forget_corrections(conn, phone_hash, scope, by.at)
    if scope is None:
        await erasure_store.forget_learned(conn, phone_hash)
    # No rows are locked before this: marks hold it while they wait for rows.
    await lock_suppressions(conn)
    cancelled = await erasure_store.cancel_queued(conn, phone_hash, scope, by.at)
    kept, last = await erasure_store.count_kept(conn, phone_hash, scope)
    counts = {"contacts": contacts, "links": links, "guests": guests, "duties": duties}
    counts |= {"pending": pending, "cancelled": cancelled, "visits": visits, "kept": kept}
    await erasure_store.note_counts(conn, erasure_id, counts)
    return Erased(id=erasure_id, **counts, kept_until=last + duty if last is not None else None)
