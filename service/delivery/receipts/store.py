"""The SQL of what came back: the inbox, its folding into the ledger, parked receipts.

One folder a channel works at a time (an advisory lock), so the only other writer of a message it
touches is the connection that records its submit's answer; and after a message has been given to a
second channel, that one's folder and connection.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.channels.config.codes import NO_CODES
from service.channels.config.codes_store import load_receipt_codes
from service.channels.contract.gateway import Inbound, Receipt
from service.crypto import Keyring
from service.ledger.fragments import count_ends
from service.ledger.reasons import Reason
from service.ledger.run_facts import note_late
from service.ledger.states import FINAL_AFTER_HANDOFF, MessageState, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record

ARRIVE = state_move(MessageState.DELIVERED, only=[MessageState.SUBMITTED])

_WITHOUT_RESULT = (MessageState.SUBMITTED, MessageState.UNCERTAIN, MessageState.UNKNOWN)
FOLD = state_move(*FINAL_AFTER_HANDOFF, only=_WITHOUT_RESULT)
"""What a receipt makes of a text that was handed off."""

RECEIPT_WAIT = timedelta(hours=72)
"""How long a receipt may take; carriers keep a text 72 h at most; then it is `unknown`."""


@dataclass(frozen=True, slots=True)
class ReceiptChange:
    """What receipts make of one message.

    attempt: the hand-off that they report on; None: the present one, whichever it is.
    second: whether the message had been given to a second channel. certain: as of a `Failure`.
    """

    run_id: uuid.UUID
    no: int
    state: str
    reason: str | None
    code: str | None
    attempt: int | None = None
    second: bool = False
    certain: bool = True


async def insert_receipts(
    conn: Connection, keyring: Keyring, receipts: Sequence[tuple[int, Receipt]], now: datetime
) -> None:
    """Append receipts to the inbox, each as the operator reads its code.

    This is the one way in, for links and callbacks alike, so the codes are read here and now.
    """
    codes = await load_receipt_codes(conn)
    if codes:
        receipts = [(number, codes.get(number, NO_CODES).receipt(r)) for number, r in receipts]
    await conn.copy_records_to_table(
        "receipt_inbox",
        columns=_INBOX,
        records=[
            (
                channel_id,
                r.ref,
                keyring.phone_index(r.recipient) if r.recipient else None,
                r.state.value,
                r.reason,
                r.code,
                r.done_at,
                now,
            )
            for channel_id, r in receipts
        ],
    )


_INBOX = (
    *("channel_id", "ref", "phone_hash", "state", "reason", "code", "done_at"),
    "received_at",
)


async def insert_inbound(
    conn: Connection, keyring: Keyring, texts: Sequence[tuple[int, Inbound]], now: datetime
) -> None:
    """Append texts from handsets."""
    await sql.executemany(
        conn,
        """
        INSERT INTO inbound (channel_id, sender_hash, sender_cipher, recipient, text_cipher,
                             reference, part, part_count, received_at)
        VALUES (:channel_id, :sender_hash, :sender_cipher, :recipient, :text_cipher, :reference,
                :part, :part_count, :now)
        """,
        [
            {
                "channel_id": channel_id,
                "sender_hash": keyring.phone_index(text.sender),
                "sender_cipher": keyring.encrypt("phone", text.sender),
                "recipient": text.recipient,
                "text_cipher": keyring.encrypt("inbound", text.text),
                "reference": text.reference,
                "part": text.number,
                "part_count": text.total,
                "now": now,
            }
            for channel_id, text in texts
        ],
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch out of the inbox: how many, the last one's id, and those that need a thought.

    channel: its name. delays: the seconds from the hand-off to each receipt that met its text.
    """

    count: int
    last: int
    rows: list[Record]
    channel: str
    delays: list[float]


async def take_receipts(
    conn: Connection, channel_id: int, limit: int, now: datetime, after: int = 0
) -> Taken:
    """Take the oldest receipts after an id out of the inbox.

    Most say that a text of one part has arrived, of which nothing was known: these messages are
    moved here and now. The others come back, each with the part and message it belongs to.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH taken AS MATERIALIZED (
            DELETE FROM receipt_inbox WHERE id = ANY (ARRAY(
                SELECT id FROM receipt_inbox WHERE channel_id = :channel_id AND id > :after
                ORDER BY id LIMIT :limit))
            RETURNING *
        ), matched AS MATERIALIZED (
            SELECT t.*, p.run_id, p.no, p.part, p.attempt, p.state::text AS part_state,
                   m.state::text AS message_state, m.attempt AS message_attempt,
                   m.part_count, m.first_channel_id, m.ctid AS row, m.submitted_at,
                   count(*) OVER (PARTITION BY p.run_id, p.no) AS alike
            FROM taken t
            LEFT JOIN LATERAL (
                SELECT run_id, no, part, attempt, state FROM parts
                WHERE channel_id = t.channel_id AND ref = t.ref
                  AND (t.phone_hash IS NULL OR phone_hash = t.phone_hash) OFFSET 0) p ON true
            LEFT JOIN LATERAL (
                SELECT ctid, state, attempt, part_count, first_channel_id, submitted_at
                FROM messages
                WHERE run_id = p.run_id AND no = p.no OFFSET 0) m ON true
        ), arrived AS (
            UPDATE messages m SET state = 'delivered', reason = NULL, code = r.code, final_at = :now
            FROM matched r
            WHERE m.ctid = r.row AND m.state IN {ARRIVE.sources_sql} AND r.state = 'delivered'
              AND r.alike = 1 AND r.part_count = 1 AND r.attempt = r.message_attempt
              AND r.first_channel_id IS NULL
            RETURNING r.id, m.run_id, m.no, m.phone_hash, m.channel_id, m.state,
                      old.state AS before
        ), counted AS ({count_ends("arrived")}), settled AS (
            DELETE FROM uncertain u USING arrived a WHERE u.run_id = a.run_id AND u.no = a.no
        ), revived AS (  -- as `dead_numbers.revive`; what was counted before counts no more
            DELETE FROM suppressions s USING arrived a
            WHERE s.phone_hash = a.phone_hash AND s.reason = '{Reason.DEAD_NUMBER}'
              AND s.source = 'receipts'
        )
        SELECT t.count, t.last, d.delays, r.*,
               (SELECT name FROM channels WHERE id = :channel_id) AS channel
        FROM (SELECT count(*) AS count, max(id) AS last FROM taken) t
        CROSS JOIN (
            SELECT array_agg(extract(epoch FROM received_at - submitted_at)::real) AS delays
            FROM matched WHERE attempt = message_attempt AND state <> 'buffered'
              AND received_at >= submitted_at) d
        LEFT JOIN matched r ON NOT EXISTS (SELECT FROM arrived a WHERE a.id = r.id)
        ORDER BY r.id
        """,  # noqa: S608  # constants
        channel_id=channel_id,
        limit=limit,
        after=after,
        now=now,
    )
    known = [row for row in rows if row["id"] is not None]
    first = rows[0]
    return Taken(
        first["count"], first["last"] or 0, known, first["channel"] or "", first["delays"] or []
    )


async def mark_parts(conn: Connection, rows: Sequence[tuple[Record, str]]) -> list[Record]:
    """Note the state of parts of long texts; returns each message's parts as they now stand.

    A part's first final state stays, but `unknown` yields.
    """
    await sql.execute(
        conn,
        """
        UPDATE parts p SET state = r.state::message_state, reason = r.reason, code = r.code
        FROM unnest(:channel_ids::smallint[], :refs::bytea[], :run_ids::uuid[], :nos::int[],
                    :states::text[], :reasons::text[], :codes::text[])
            AS r(channel_id, ref, run_id, no, state, reason, code)
        WHERE p.channel_id = r.channel_id AND p.ref = r.ref AND p.run_id = r.run_id
          AND p.no = r.no AND (p.state IS NULL OR p.state = 'unknown')
        """,
        channel_ids=[row["channel_id"] for row, _ in rows],
        refs=[row["ref"] for row, _ in rows],
        run_ids=[row["run_id"] for row, _ in rows],
        nos=[row["no"] for row, _ in rows],
        states=[state for _, state in rows],
        reasons=[row["reason"] for row, _ in rows],
        codes=[row["code"] for row, _ in rows],
    )
    keys = sorted({(row["run_id"], row["no"]) for row, _ in rows})
    return await sql.fetch(
        conn,
        """
        SELECT DISTINCT m.run_id, m.no, m.part_count, m.attempt, m.first_channel_id, p.part, p.ref,
               p.state::text, p.reason, p.code, c.receipts = 'last' AS last_only
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no), LATERAL (
            SELECT run_id, no, part_count, attempt, first_channel_id FROM messages
            WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        CROSS JOIN LATERAL (
            SELECT channel_id, part, ref, state, reason, code FROM parts
            WHERE run_id = m.run_id AND no = m.no AND attempt = m.attempt OFFSET 0) p
        JOIN channels c ON c.id = p.channel_id
        """,
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
    )


async def apply_changes(
    conn: Connection, changes: Sequence[ReceiptChange], now: datetime
) -> set[tuple[uuid.UUID, int]]:
    """Move messages along; returns those that moved. A final state other than `unknown` stays."""
    ordered = sorted(changes, key=lambda c: (c.run_id, c.no))
    rows = await sql.fetch(
        conn,
        f"""
        WITH moved AS (
            UPDATE messages m SET
                state = c.state::message_state, reason = c.reason, code = c.code, final_at = :now
            FROM unnest(:run_ids::uuid[], :nos::int[], :states::text[], :reasons::text[],
                        :codes::text[], :attempts::int[])
                AS c(run_id, no, state, reason, code, attempt)
            WHERE m.run_id = c.run_id AND m.no = c.no AND m.attempt = coalesce(c.attempt, m.attempt)
              AND m.state IN {FOLD.sources_sql}
            RETURNING m.run_id, m.no, m.channel_id, m.state, old.state AS before
        ), counted AS ({count_ends("moved")}), late AS ({note_late("moved")}), settled AS (
            DELETE FROM uncertain u USING moved WHERE u.run_id = moved.run_id AND u.no = moved.no
        )
        SELECT run_id, no FROM moved
        """,  # noqa: S608  # constants
        run_ids=[c.run_id for c in ordered],
        nos=[c.no for c in ordered],
        states=[c.state for c in ordered],
        reasons=[c.reason for c in ordered],
        codes=[c.code for c in ordered],
        now=now,
        attempts=[c.attempt for c in ordered],
    )
    return {(row["run_id"], row["no"]) for row in rows}


async def insert_unmatched(
    conn: Connection, receipts: Sequence[Record], why: Sequence[str]
) -> None:
    """Keep receipts that found nothing to change, each with the reason."""
    await sql.execute(
        conn,
        """
        INSERT INTO receipts_unmatched
            (id, channel_id, ref, phone_hash, state, reason, code, done_at, received_at, why)
        SELECT * FROM unnest(:ids::bigint[], :channel_ids::smallint[], :refs::bytea[],
            :phone_hashes::bytea[], :states::text[], :reasons::text[], :codes::text[],
            :done_ats::timestamptz[], :received_ats::timestamptz[], :why::text[])
        ON CONFLICT DO NOTHING  -- one receipt may contradict two messages of one reference
        """,
        ids=[r["id"] for r in receipts],
        channel_ids=[r["channel_id"] for r in receipts],
        refs=[r["ref"] for r in receipts],
        phone_hashes=[r["phone_hash"] for r in receipts],
        states=[r["state"] for r in receipts],
        reasons=[r["reason"] for r in receipts],
        codes=[r["code"] for r in receipts],
        done_ats=[r["done_at"] for r in receipts],
        received_ats=[r["received_at"] for r in receipts],
        why=list(why),
    )


async def rematch(conn: Connection, channel_id: int, refs: Sequence[bytes] | None) -> int:
    """Put parked receipts whose part is known by now back into the inbox; returns how many.

    With `refs` only those, right after either side's commit; without, all of them (the sweep).
    """
    rows = await sql.fetch(
        conn,
        """
        WITH hit AS (
            DELETE FROM receipts_unmatched u WHERE u.why IN ('parked', 'ambiguous')
              AND u.channel_id = :channel_id AND (:refs::bytea[] IS NULL OR u.ref = ANY(:refs))
              AND EXISTS (
                SELECT FROM parts p WHERE p.channel_id = u.channel_id AND p.ref = u.ref
                  AND (u.phone_hash IS NULL OR p.phone_hash = u.phone_hash))
            RETURNING u.*
        )
        INSERT INTO receipt_inbox
            (channel_id, ref, phone_hash, state, reason, code, done_at, received_at)
        SELECT channel_id, ref, phone_hash, state, reason, code, done_at, received_at FROM hit
        RETURNING 1
        """,
        channel_id=channel_id,
        refs=refs,
    )
    return len(rows)


async def parked_for_uncertain(
    conn: Connection, channel_id: int, received_before: datetime, decided_after: datetime
) -> list[Record]:
    """Parked receipts for phones with uncertain hand-offs on this channel, one row a pairing; also
    those that fitted several and may fit one by now.

    While another text to that phone is on its way on the channel, the receipt may be its: its
    answer can take as long as the carrier likes. Nor is it looked at where it may be of a hand-off
    that was decided: `uncertain.sweep_decided` has judged that.
    """
    return await sql.fetch(
        conn,
        """
        SELECT r.id, r.ref, r.phone_hash, r.state, r.reason, r.code, u.run_id, u.no, u.attempt,
               m.part_count, c.receipts = 'last' AS last_only,
               ARRAY(SELECT p.part FROM parts p
                     WHERE p.run_id = u.run_id AND p.no = u.no AND p.attempt = u.attempt) AS known
        FROM receipts_unmatched r
        JOIN channels c ON c.id = r.channel_id
        JOIN uncertain u ON u.channel_id = r.channel_id AND u.phone_hash = r.phone_hash
            AND u.marked_at <= r.received_at
        CROSS JOIN LATERAL (
            SELECT part_count FROM messages WHERE run_id = u.run_id AND no = u.no OFFSET 0) m
        WHERE r.why IN ('parked', 'ambiguous') AND r.channel_id = :channel_id
          AND r.received_at <= :received_before
          AND NOT EXISTS (
            SELECT FROM texts_to(r.phone_hash, '-infinity') o
            WHERE o.state = 'submitting' AND o.channel_id = :channel_id)
          AND (r.why = 'parked' OR r.received_at > :decided_after AND NOT EXISTS (
            SELECT FROM doubts_decided d
            WHERE d.channel_id = :channel_id AND d.phone_hash = r.phone_hash
              AND d.marked_at <= r.received_at AND d.decided_at > :decided_after))
        ORDER BY r.id, u.run_id, u.no
        """,
        channel_id=channel_id,
        received_before=received_before,
        decided_after=decided_after,
    )


async def adopt(
    conn: Connection, channel_id: int, pairings: Sequence[tuple[Record, int]], now: datetime
) -> None:
    """Take a receipt's reference as that of a part of its uncertain message; (pairing, part)."""
    await sql.executemany(
        conn,
        """
        INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
        VALUES (:channel_id, :ref, :phone_hash, :run_id, :no, :part, :attempt, :now)
        """,
        [
            {
                "channel_id": channel_id,
                **{name: row[name] for name in ("ref", "phone_hash", "run_id", "no", "attempt")},
                "part": part,
                "now": now,
            }
            for row, part in pairings
        ],
    )
