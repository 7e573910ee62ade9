"""Look-ups of a number: each is a disclosure to the person concerned, and they are limited.

A masked number leaves four digits open, which is 10,000 questions. So one person may look up only
so many different numbers an hour, through whichever keys and operations.
"""

from datetime import timedelta
from math import ceil
from uuid import UUID

from service.accounts.people.model import By, User
from service.crypto import Keyring
from service.errors import TooMany
from service.privacy import lookups_store, store
from service.privacy.store import Disclosure
from service.storage.locks import lock_lookups
from service.storage.postgres import Connection
from service.words.phrase import phrase

REASON = "reason"
"""The kind of cipher of what people give as their reason; it may name somebody."""

SPAN = timedelta(hours=1)


class TooManyLookups(TooMany):
    """More different numbers than one person may look up in an hour; `seconds`: until the next."""

    code = "too_many_lookups"

    def __init__(self, most: int, seconds: int) -> None:
        super().__init__(
            phrase(
                "you have looked up {most} different numbers within an hour, as many as one"
                " person may; try again in {seconds} seconds",
                most=most,
                seconds=seconds,
            ),
            seconds,
        )


async def note_lookup(
    conn: Connection,
    keyring: Keyring,
    user: User,
    looked_up: tuple[bytes, UUID | None],
    by: By,
    most: int,
) -> UUID:
    """Note that a user looks up a number, in the transaction of the answer; returns its id.

    looked_up: the number's hash, and the department whose data it is (None: everybody's). most: how
    many different numbers one person may look up in an hour; the same one again is free.

    Raises:
        TooManyLookups: that was reached.
    """
    phone_hash, holder_id = looked_up
    await lock_lookups(conn, user.id)
    lately = await lookups_store.looked_up_since(conn, user.id, by.at - SPAN)
    if phone_hash not in lately and len(lately) >= most:
        free_at = sorted(lately.values())[len(lately) - most] + SPAN
        raise TooManyLookups(most, max(1, ceil((free_at - by.at).total_seconds())))
    reason = keyring.encrypt(REASON, by.reason)
    new = Disclosure(
        "lookup", None, phone_hash, user.department_id, user.id, reason, by.at, holder_id
    )
    return await store.insert_disclosure(conn, new)
