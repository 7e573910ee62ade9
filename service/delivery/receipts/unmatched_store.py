"""The SQL of receipts that met nothing in the ledger, contradict it, or could not be read: keeping
those, listing, laying aside.
"""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from service.accounts.people.model import By
from service.channels.contract.gateway import RawDelivery
from service.crypto import Keyring
from service.ledger.message_id import message_id_sql
from service.storage import sql
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class Kept:
    """Which receipts that met nothing: why they are kept, on which channel; None: any.

    scope: only those that speak of a text of this department; None: all.
    """

    why: str | None = None
    channel_id: int | None = None
    scope: uuid.UUID | None = None


OCTETS = "octets"
"""The kind of cipher of what could not be read."""


async def insert_unreadable(
    conn: Connection, keyring: Keyring, raw: Sequence[tuple[int, RawDelivery]], now: datetime
) -> None:
    """Keep what carriers handed on and nobody could read, encrypted.

    What comes again, under whatever sequence number, is counted and not kept twice.
    """
    await sql.executemany(
        conn,
        """
        INSERT INTO receipts_unmatched
            (id, channel_id, ref, state, reason, code, received_at, why,
             octets_cipher, octets_count, octets_hash)
        VALUES (nextval(pg_get_serial_sequence('receipt_inbox', 'id')), :channel_id, '',
                'unreadable', :why,
                '', :now, 'unreadable', :octets_cipher, :octets_count, :octets_hash)
        ON CONFLICT (channel_id, octets_hash) WHERE why = 'unreadable'
        DO UPDATE SET copies = receipts_unmatched.copies + 1
        """,
        [
            {
                "channel_id": channel_id,
                "why": item.why.value,
                "now": now,
                "octets_cipher": keyring.encrypt_bytes(OCTETS, item.octets),
                "octets_count": len(item.octets),
                "octets_hash": keyring.index(OCTETS, item.content.hex()),
            }
            for channel_id, item in sorted(raw, key=lambda pair: (pair[0], pair[1].content))
        ],
    )


# The texts that a receipt may speak of: those with its reference, else the uncertain ones to its
# phone.
_KEPT = f"""
    SELECT x.id, x.channel_id, c.name AS channel, x.ref, x.state, x.reason, x.code, x.done_at,
           x.received_at, x.why, x.octets_count AS octets, x.copies, t.ids AS messages,
           t.phone_cipher
    FROM receipts_unmatched x
    JOIN channels c ON c.id = x.channel_id
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(DISTINCT {message_id_sql("m")}), '{{}}') AS ids,
               (array_agg(m.phone_cipher))[1] AS phone_cipher,
               array_agg(r.department_id) AS departments
        FROM (
            SELECT p.run_id, p.no FROM parts p
            WHERE p.channel_id = x.channel_id AND p.ref = x.ref
              AND (x.phone_hash IS NULL OR p.phone_hash = x.phone_hash)
            UNION
            SELECT u.run_id, u.no FROM uncertain u
            WHERE u.channel_id = x.channel_id AND u.phone_hash = x.phone_hash
              AND u.marked_at <= x.received_at
        ) k
        JOIN messages m ON m.run_id = k.run_id AND m.no = k.no
        JOIN runs r ON r.id = k.run_id
    ) t
    WHERE (:why::text IS NULL OR x.why = :why)
      AND (:channel_id::smallint IS NULL OR x.channel_id = :channel_id)
      AND (:scope::uuid IS NULL OR :scope = ANY (t.departments))
"""  # noqa: S608  # our own columns


async def list_kept(conn: Connection, kept: Kept, after: int, limit: int) -> list[Record]:
    """A page of the receipts that met nothing or contradict, in the order in which they came."""
    return await sql.fetch(
        conn,
        f"{_KEPT} AND x.id > :after ORDER BY x.id LIMIT :limit",
        **asdict(kept),
        after=after,
        limit=limit,
    )


async def stream_kept(conn: Connection, kept: Kept) -> AsyncIterator[Record]:
    """All of them, read as they are sent. In a transaction."""
    rows = sql.cursor(conn, f"{_KEPT} ORDER BY x.id", **asdict(kept), prefetch=1_000)
    async for row in rows:
        yield row


async def lock_kept(
    conn: Connection, ids: Sequence[int], scope: uuid.UUID | None
) -> list[tuple[int, str]]:
    """Lock those of these receipts that are kept and in scope; each with why it is kept."""
    rows = await sql.fetch(
        conn,
        f"{_KEPT} AND x.id = ANY(:ids::bigint[])",
        **asdict(Kept(scope=scope)),
        ids=list(ids),
    )
    visible = [row["id"] for row in rows]
    locked = await sql.fetch(
        conn,
        "SELECT id, why FROM receipts_unmatched WHERE id = ANY(:visible) ORDER BY id FOR UPDATE",
        visible=visible,
    )
    return [(row["id"], row["why"]) for row in locked]


async def dismiss(conn: Connection, ids: Sequence[int], by: By) -> int:
    """Lay receipts aside, as they were, with who did it and why; returns how many.

    `lock_kept` first; a CHECK refuses one that is parked.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH gone AS (
            DELETE FROM receipts_unmatched WHERE id = ANY(:ids) RETURNING *
        )
        INSERT INTO receipts_dismissed
            (id, channel_id, ref, phone_hash, state, reason, code, done_at, received_at, why,
             octets_cipher, octets_count, copies, dismissed_because, dismissed_by, dismissed_at)
        SELECT id, channel_id, ref, phone_hash, state, reason, code, done_at, received_at, why,
               octets_cipher, octets_count, copies, :reason, :user_id, :at
        FROM gone
        RETURNING id
        """,
        ids=list(ids),
        reason=by.reason,
        user_id=by.user_id,
        at=by.at,
    )
    return len(rows)
