"""The SQL of replies: what causes them, which are due and in whose name, what became of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.suppressions.suppression_store import IS_NEW, merged
from service.ledger.reasons import Reason
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

DueReply = tuple[str, UUID]
"""A reply that is owed: its kind, and its cause."""


class Room(NamedTuple):
    """How many replies one channel takes since an instant. What was due by `given_up` takes none:
    it is not sent any more.
    """

    most: int
    since: datetime
    given_up: datetime


class SenderStop(NamedTuple):
    """Who wants no more publicity, in which text, and of which department no work notices."""

    phone_hash: bytes
    text_id: UUID
    notices_of: UUID | None = None


async def suppress_senders(
    conn: Connection, stops: Sequence[SenderStop], *, note: str, user_id: UUID | None, now: datetime
) -> None:
    """Stop publicity to senders for good, and the notices of a department where one is named; owe
    each one confirmation, which says what has ended.

    Whoever is told that the notices have ended is told with them that publicity has, and not by a
    text more. `lock_suppressions` comes after it.
    """
    await sql.execute(
        conn,
        f"""
        WITH asked AS (
            SELECT DISTINCT ON (phone_hash, notices_of) phone_hash, text_id, notices_of
            FROM unnest(:phone_hashes::bytea[], :text_ids::uuid[], :notices_of::uuid[]) AS
                a(phone_hash, text_id, notices_of)
            ORDER BY phone_hash, notices_of, text_id
        ), wanted AS (
            (SELECT DISTINCT ON (phone_hash) phone_hash, text_id, NULL::uuid AS department_id,
                    '{{public_interest}}'::text[] AS classes
             FROM asked ORDER BY phone_hash, text_id)
            UNION ALL
            SELECT phone_hash, text_id, notices_of, '{{service}}' FROM asked
            WHERE notices_of IS NOT NULL
        ), stopped AS (
            INSERT INTO suppressions AS s
                (phone_hash, reason, note, note_cipher, created_by, created_at, classes, source,
                 department_id)
            SELECT phone_hash, '{Reason.OPTED_OUT}', :note, '', :user_id::uuid,
                   :now::timestamptz, classes,
                   CASE WHEN :user_id::uuid IS NULL THEN 'reply' ELSE 'person' END, department_id
            FROM wanted ORDER BY phone_hash, department_id
            ON CONFLICT (phone_hash, reason, department_id) DO UPDATE SET {merged(":now")}
            RETURNING s.id, s.phone_hash, s.department_id, {IS_NEW}
        )
        INSERT INTO replies_due (kind, cause, text_id, due_at)
        SELECT CASE WHEN s.department_id IS NULL THEN 'opt_out_confirmed'
                    ELSE 'notices_confirmed' END, s.id, w.text_id, :now
        FROM stopped s JOIN wanted w ON w.phone_hash = s.phone_hash
            AND w.department_id IS NOT DISTINCT FROM s.department_id
        WHERE s.department_id IS NOT NULL OR NOT EXISTS (
            SELECT FROM stopped n
            WHERE n.phone_hash = s.phone_hash AND n.department_id IS NOT NULL
              AND (n.is_new OR NOT s.is_new))
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants
        phone_hashes=[stop.phone_hash for stop in stops],
        text_ids=[stop.text_id for stop in stops],
        notices_of=[stop.notices_of for stop in stops],
        note=note,
        user_id=user_id,
        now=now,
    )


async def owe_receipt(conn: Connection, clues: Sequence[UUID], now: datetime) -> None:
    """Owe the senders of clues a word that they were received, once a clue."""
    await sql.execute(
        conn,
        """
        INSERT INTO replies_due (kind, cause, text_id, due_at)
        SELECT 'clue_received', id, id, :now FROM unnest(:clues::uuid[]) AS u(id)
        ON CONFLICT DO NOTHING
        """,
        clues=list(clues),
        now=now,
    )


async def owe_answer(conn: Connection, questions: Sequence[UUID], now: datetime) -> None:
    """Owe the senders of these texts a word whether what they ask about is ours, once a text."""
    await sql.execute(
        conn,
        """
        INSERT INTO replies_due (kind, cause, text_id, due_at)
        SELECT 'text_checked', id, id, :now FROM unnest(:questions::uuid[]) AS u(id)
        ON CONFLICT DO NOTHING
        """,
        questions=list(questions),
        now=now,
    )


async def reply_waits(conn: Connection, due_by: datetime) -> bool:
    """Whether a reply has been due since `due_by`."""
    waits: bool = await sql.fetchval(
        conn,
        "SELECT EXISTS (SELECT FROM replies_due WHERE settled_at IS NULL AND due_at <= :due_by)",
        due_by=due_by,
    )
    return waits


async def replies_due(conn: Connection, now: datetime, limit: int, room: Room) -> list[Record]:
    """The replies that are owed for longest, each with the text that it answers; no more than their
    channel has room for.

    department_id, signature: of those whose text it is to read, else of the county; null if there
    is no department at all. answered_text: what the sender had got from us, if anything.
    lifted: it would confirm an opt-out that holds no more. extension: the one that was written to,
    if it is registered. question_cipher: what was written, where it asks whether a text is ours.
    """
    return await sql.fetch(
        conn,
        """
        WITH taken AS MATERIALIZED (
            SELECT t.channel_id, count(*) AS replies
            FROM replies_due d JOIN inbound_texts t ON t.id = d.text_id
            WHERE d.run_id IS NOT NULL AND d.settled_at > :since GROUP BY t.channel_id
        ), turn AS MATERIALIZED (
            SELECT d.kind, d.cause, d.due_at <= :given_up AS given_up, coalesce(k.replies, 0)
                + row_number() OVER (PARTITION BY t.channel_id, d.due_at <= :given_up
                                     ORDER BY d.due_at, d.kind, d.cause) AS place
            FROM replies_due d JOIN inbound_texts t ON t.id = d.text_id
            LEFT JOIN taken k ON k.channel_id = t.channel_id
            WHERE d.settled_at IS NULL
        )
        SELECT d.kind, d.cause, d.due_at, t.id AS text_id, t.channel_id, t.sender_hash,
               t.sender_cipher, t.recipient, o.id AS department_id, o.signature,
               r.text AS answered_text, coalesce((
                 SELECT e.extension FROM extensions e
                 WHERE e.extension = t.extension AND e.ended_at IS NULL), '') AS extension,
               d.kind NOT IN ('clue_received', 'text_checked') AND s.id IS NULL AS lifted,
               CASE d.kind WHEN 'text_checked' THEN t.text_cipher END AS question_cipher
        FROM replies_due d
        JOIN turn n ON n.kind = d.kind AND n.cause = d.cause AND (n.given_up OR n.place <= :most)
        JOIN inbound_texts t ON t.id = d.text_id
        LEFT JOIN runs r ON r.id = t.run_id
        LEFT JOIN suppressions s
            ON s.id = d.cause AND (s.expires_at IS NULL OR s.expires_at > :now)
        LEFT JOIN departments o ON o.id = coalesce(t.department_id, (
            SELECT id FROM departments ORDER BY kind <> 'county', created_at, id LIMIT 1))
        WHERE d.settled_at IS NULL
        ORDER BY d.due_at, d.kind, d.cause LIMIT :limit
        """,
        now=now,
        limit=limit,
        **room._asdict(),
    )


async def count_replies(
    conn: Connection, senders: Sequence[bytes], since: datetime
) -> dict[bytes, int]:
    """How many texts of ours have answered each of these senders since an instant."""
    rows = await sql.fetch(
        conn,
        """
        SELECT t.sender_hash, count(DISTINCT d.run_id) AS replies
        FROM replies_due d JOIN inbound_texts t ON t.id = d.text_id
        WHERE d.run_id IS NOT NULL AND d.settled_at > :since AND t.sender_hash = ANY(:senders)
        GROUP BY t.sender_hash
        """,
        senders=list(senders),
        since=since,
    )
    return {row["sender_hash"]: row["replies"] for row in rows}


async def settle_by_run(
    conn: Connection, settled: Sequence[DueReply], run_id: UUID, now: datetime
) -> int:
    """These replies are in the ledger of a run, or among its exclusions; how many were due."""
    status = await sql.execute(
        conn,
        """
        UPDATE replies_due d SET settled_at = :now, run_id = :run_id
        FROM unnest(:kinds::text[], :causes::uuid[]) AS s(kind, cause)
        WHERE d.kind = s.kind AND d.cause = s.cause AND d.settled_at IS NULL
        """,
        kinds=[kind for kind, _ in settled],
        causes=[cause for _, cause in settled],
        run_id=run_id,
        now=now,
    )
    return affected(status)


async def settle_by_reason(conn: Connection, skipped: Mapping[DueReply, str], now: datetime) -> int:
    """These replies are not sent, each with its reason; how many were due."""
    status = await sql.execute(
        conn,
        """
        UPDATE replies_due d SET settled_at = :now, skipped = s.reason
        FROM unnest(:kinds::text[], :causes::uuid[], :reasons::text[]) AS s(kind, cause, reason)
        WHERE d.kind = s.kind AND d.cause = s.cause AND d.settled_at IS NULL
        """,
        kinds=[kind for kind, _ in skipped],
        causes=[cause for _, cause in skipped],
        reasons=list(skipped.values()),
        now=now,
    )
    return affected(status)
