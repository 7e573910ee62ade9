"""Receipts of a hand-off that another one of the same text has followed, or is to follow.

One that says `delivered` while the text still waits takes it back: nobody gets it twice. So does
one that says `delivered` or `unknown` of a part of a long text, the rest of which is then missing
for good. Once the text is on its way again a receipt `delivered` is kept as a conflict, and noted,
should the text come back unsent; an `unknown` is only noted. One that says that the hand-off failed
changes nothing; it is kept if it says something new.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime

from service.dispatch.retries import retry_store
from service.ledger.states import PART_MAY_HAVE_ARRIVED
from service.storage.postgres import Connection, Record

log = logging.getLogger(__name__)

AttemptKey = tuple[uuid.UUID, int, int]
"""A hand-off: run, number and attempt."""


def is_late(row: Record) -> bool:
    """Whether a receipt is of an earlier hand-off; the row is one of `store.take_receipts`.

    Whatever was handed off of a queued message is an earlier one.
    """
    later: bool = row["attempt"] < row["message_attempt"]
    return later or row["message_state"] == "queued"


def may_have_arrived(row: Record) -> bool:
    """Whether a receipt says that its text, or a part of a long one, arrived or may have; the row
    is one of `store.take_receipts`.
    """
    long: bool = row["part_count"] != 1
    return row["state"] == "delivered" or (long and row["state"] in PART_MAY_HAVE_ARRIVED)


async def fold(conn: Connection, rows: Sequence[Record], now: datetime) -> list[Record]:
    """Fold late receipts, all of them final; returns those that are to be kept as conflicts.

    After the other receipts of their batch: campaigns and runs are locked before messages.
    """
    codes = await retry_store.codes_of(conn, {_attempt(row) for row in rows})
    await retry_store.note_late(conn, rows)
    arrived = {(row["run_id"], row["no"]) for row in rows if may_have_arrived(row)}
    back = await retry_store.withdraw(conn, arrived, now) if arrived else set()
    if back:
        log.info("arrived after all, not tried again", extra={"messages": len(back)})
    others = [row for row in rows if (row["run_id"], row["no"]) not in back]
    return [row for row in others if _says_something_new(row, codes.get(_attempt(row)))]


def _says_something_new(row: Record, code: str | None) -> bool:
    """Whether a receipt contradicts what is known of its part, or of its hand-off, which failed
    with `code`; a carrier may as well repeat itself.
    """
    if row["part_count"] == 1 and row["state"] != "delivered":
        return bool(row["code"] != code)
    if row["state"] == "delivered":
        return bool(row["part_state"] != "delivered")
    return row["part_state"] not in (None, "unknown", row["state"])


def _attempt(row: Record) -> AttemptKey:
    return row["run_id"], row["no"], row["attempt"]
