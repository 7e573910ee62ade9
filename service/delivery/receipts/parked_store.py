"""The SQL of receipts that wait: which channels have some, and what becomes of those that match
nothing, or too much.
"""

from collections.abc import Sequence
from datetime import datetime

from service.delivery.receipts.store import RECEIPT_WAIT
from service.storage import sql
from service.storage.postgres import Connection


async def mark_ambiguous(conn: Connection, ids: Sequence[int]) -> None:
    """These receipts fit more than one uncertain hand-off: a person decides, unless they fit one
    only later.
    """
    await sql.execute(
        conn,
        "UPDATE receipts_unmatched SET why = 'ambiguous' WHERE id = ANY(:ids) AND why = 'parked'",
        ids=list(ids),
    )


async def channels_with_receipts(conn: Connection) -> tuple[list[int], list[int]]:
    """Channels with receipts to fold, and channels with some that have met nothing so far."""
    inbox = await conn.fetch("SELECT DISTINCT channel_id FROM receipt_inbox")
    parked = await conn.fetch(
        "SELECT DISTINCT channel_id FROM receipts_unmatched WHERE why IN ('parked', 'ambiguous')"
    )
    return [row["channel_id"] for row in inbox], [row["channel_id"] for row in parked]


async def expire_parked(conn: Connection, now: datetime) -> None:
    """Receipts that met nothing in 72 h stay listed, for a person."""
    await sql.execute(
        conn,
        """
        UPDATE receipts_unmatched SET why = 'unmatched'
        WHERE why = 'parked' AND received_at < :before
        """,
        before=now - RECEIPT_WAIT,
    )
