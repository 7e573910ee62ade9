"""The SQL of opt-outs whose senders had no text from us: told, counted, held, and decided of."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.delivery.inbound.replies_store import SenderStop
from service.storage import sql
from service.storage.postgres import Connection

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Strays(NamedTuple):
    """How many people have sent stray opt-outs over a channel in the last hour and in 24 hours,
    without those whom a person let count.
    """

    hour: int
    day: int


class OptOutHold(NamedTuple):
    """Opt-outs that are held. texts, people: so many of so many senders. decision: `count`, `drop`;
    None: they wait for a person.
    """

    id: UUID
    channel_id: int
    channel: str
    began_at: datetime
    last_at: datetime
    texts: int
    people: int
    decision: str | None
    reason: str | None
    decided_by: UUID | None
    decided_at: datetime | None


async def had_no_text(
    conn: Connection, asked: Sequence[tuple[UUID, int, bytes, datetime]]
) -> list[UUID]:
    """Which of these texts (id, channel, sender, received at) are from people to whom nothing was
    handed off over the channel before, as long as ledgers are kept; our replies are nothing.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT q.id
        FROM unnest(:text_ids::uuid[], :channel_ids::smallint[], :phone_hashes::bytea[],
                    :received_ats::timestamptz[])
            AS q(id, channel_id, phone_hash, received_at)
        WHERE NOT EXISTS (
            SELECT FROM texts_to(q.phone_hash, '-infinity') m
            WHERE m.channel_id = q.channel_id AND m.state <> 'rejected'
              AND m.marked_at <= q.received_at
              AND EXISTS (SELECT FROM runs WHERE id = m.run_id AND kind <> 'reply'))
        """,
        text_ids=[text_id for text_id, _, _, _ in asked],
        channel_ids=[channel_id for _, channel_id, _, _ in asked],
        phone_hashes=[phone_hash for _, _, phone_hash, _ in asked],
        received_ats=[received_at for _, _, _, received_at in asked],
    )
    return [row["id"] for row in rows]


async def note_strays(conn: Connection, texts: Collection[UUID], now: datetime) -> None:
    """Note that the senders of these opt-outs had no text over their channel."""
    await sql.execute(
        conn,
        "UPDATE inbound_texts SET stray_at = :now WHERE id = ANY(:texts)",
        texts=list(texts),
        now=now,
    )


async def count_strays(
    conn: Connection, channels: Collection[int], now: datetime
) -> dict[int, Strays]:
    """How many people there were by channel."""
    rows = await sql.fetch(
        conn,
        """
        SELECT t.channel_id, count(DISTINCT t.sender_hash) AS day,
               count(DISTINCT t.sender_hash) FILTER (WHERE t.stray_at > :hour) AS hour
        FROM inbound_texts t LEFT JOIN opt_out_holds h ON h.id = t.hold_id
        WHERE t.channel_id = ANY(:channels) AND t.stray_at > :day
          AND h.decision IS DISTINCT FROM 'count'
        GROUP BY t.channel_id
        """,
        channels=list(channels),
        hour=now - HOUR,
        day=now - DAY,
    )
    return {row["channel_id"]: Strays(row["hour"], row["day"]) for row in rows}


async def judged_lately(
    conn: Connection, channels: Collection[int], since: datetime, now: datetime
) -> dict[int, datetime]:
    """Which of these channels have an open hold, and had too many strays when they were counted
    between these instants; and when that was.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT channel_id, counted_at FROM opt_out_holds
        WHERE channel_id = ANY(:channels) AND decided_at IS NULL AND counted_at > :since
          AND counted_at <= :now
        """,
        channels=list(channels),
        since=since,
        now=now,
    )
    return {row["channel_id"]: row["counted_at"] for row in rows}


async def hold_texts(
    conn: Connection, channel_id: int, texts: Collection[UUID], now: datetime, counted_at: datetime
) -> None:
    """Put opt-outs of a channel into its open hold, which begins if there is none.

    counted_at: when the channel's strays were counted and were too many.
    """
    hold: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO opt_out_holds (channel_id, began_at, last_at, counted_at)
        VALUES (:channel_id, :now, :now, :counted_at)
        ON CONFLICT (channel_id) WHERE decided_at IS NULL
            DO UPDATE SET last_at = excluded.last_at, counted_at = excluded.counted_at
        RETURNING id
        """,
        channel_id=channel_id,
        now=now,
        counted_at=counted_at,
    )
    await sql.execute(
        conn,
        "UPDATE inbound_texts SET hold_id = :hold WHERE id = ANY(:texts)",
        texts=list(texts),
        hold=hold,
    )


_HOLD = """
    SELECT h.id, h.channel_id, coalesce(c.name, h.channel_id::text) AS channel, h.began_at,
           h.last_at, count(t.id) AS texts, count(DISTINCT t.sender_hash) AS people, h.decision,
           h.reason, h.decided_by, h.decided_at
    FROM opt_out_holds h LEFT JOIN channels c ON c.id = h.channel_id
    LEFT JOIN inbound_texts t ON t.hold_id = h.id
"""


async def list_holds(conn: Connection, before: UUID | None, limit: int) -> list[OptOutHold]:
    """A page of all holds, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_HOLD} WHERE h.id IN (
            SELECT id FROM opt_out_holds WHERE :before::uuid IS NULL OR id < :before
            ORDER BY id DESC LIMIT :limit)
        GROUP BY h.id, c.name ORDER BY h.id DESC
        """,  # noqa: S608  # a constant
        before=before,
        limit=limit,
    )
    return [OptOutHold(*row) for row in rows]


async def get_hold(conn: Connection, hold_id: UUID) -> OptOutHold | None:
    """One hold."""
    row = await sql.fetchrow(
        conn, f"{_HOLD} WHERE h.id = :hold_id GROUP BY h.id, c.name", hold_id=hold_id
    )
    return OptOutHold(*row) if row else None


async def decide_hold(
    conn: Connection, hold_id: UUID, decision: str, reason: str, user_id: UUID, now: datetime
) -> bool:
    """Note what a person decided of a hold; False: that was done before. Nothing more is added."""
    decided: UUID | None = await sql.fetchval(
        conn,
        """
        UPDATE opt_out_holds SET decision = :decision, reason = :reason, decided_by = :user_id,
            decided_at = :now
        WHERE id = :hold_id AND decided_at IS NULL RETURNING id
        """,
        hold_id=hold_id,
        decision=decision,
        reason=reason,
        user_id=user_id,
        now=now,
    )
    return decided is not None


async def stops_of(conn: Connection, hold_id: UUID) -> list[SenderStop]:
    """What the opt-outs of a hold stop, once they count."""
    rows = await sql.fetch(
        conn,
        "SELECT sender_hash, id FROM inbound_texts WHERE hold_id = :hold_id ORDER BY id",
        hold_id=hold_id,
    )
    return [SenderStop(row["sender_hash"], row["id"]) for row in rows]
