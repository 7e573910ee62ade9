"""Numbers that carriers call empty: after two such answers nothing is sent there any more.

One answer may be a fault of a carrier's register, so two count that came of different runs on
different days in China, with no delivery since the first of them. The number is suppressed for all
classes; its provenance are the days of the answers. That ends by itself, for carriers give a number
to somebody else after some months; a receipt that says `delivered` ends it at once, and so does a
person, and then the count begins anew.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from service.clock import day_in_china
from service.dispatch.retries import dead_numbers_store as store
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.storage.postgres import Connection

log = logging.getLogger(__name__)

COUNTED_FOR = timedelta(days=180)
"""How long an answer counts. Half a year: long enough for two campaigns of a season."""

STOPPED_FOR = timedelta(days=180)
"""How long a number rests. A given-up number stays empty for 90 days at least before it is given to
somebody else."""


async def note(conn: Connection, keys: Collection[MessageKey], now: datetime) -> None:
    """Count that these texts failed for an empty number, and suppress where that is enough."""
    if not keys:
        return
    phones = await store.insert_reports(conn, keys, Reason.EMPTY_NUMBER, day_in_china(now), now)
    dead = await store.suppress_dead(conn, phones, now - COUNTED_FOR, now + STOPPED_FOR, now)
    if dead:
        log.info("numbers are taken for dead", extra={"numbers": dead})


async def revive(conn: Connection, keys: Collection[MessageKey]) -> None:
    """These texts have arrived: their numbers are alive, whatever was counted or suppressed."""
    if keys:
        await store.forget_reports(conn, keys)


async def forget(conn: Connection, now: datetime) -> None:
    """Delete the answers that count no more."""
    await store.delete_old(conn, now - COUNTED_FOR)
