"""The SQL of texts from handsets: what arrived, the texts it makes, and who works them off.

One reader at a time (an advisory lock), so that parts which came over two connections meet, and a
text that came twice is seen twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class Answered:
    """The message that a text answers: whose it is, and of which class.

    ends_notices: it is a work notice of a department whose notices end by a reply.
    """

    run_id: UUID
    message_no: int
    campaign_id: UUID | None
    department_id: UUID
    department_kind: str
    message_class: str
    ends_notices: bool

    @property
    def notices_of(self) -> UUID | None:
        """Whose work notices an opt-out word ends by itself, if any: its department lets it."""
        return self.department_id if self.ends_notices else None


@dataclass(frozen=True, slots=True)
class NewText:
    """A whole text, understood; `missing` parts of it never came."""

    id: UUID
    channel_id: int
    sender_hash: bytes
    sender_cipher: bytes
    recipient: str
    text_cipher: bytes
    digest: bytes
    missing: int
    received_at: datetime
    kind: str
    answer: int | None
    answered: Answered | None
    department_id: UUID | None
    state: str
    extension: str | None


@dataclass(frozen=True, slots=True)
class TextFilter:
    """Which texts of a list: those of one kind, state or campaign, those since an instant."""

    kind: str | None = None
    state: str | None = None
    campaign_id: UUID | None = None
    since: datetime | None = None


async def work_waits(conn: Connection, overdue: datetime) -> bool:
    """Whether something arrived, or parts have waited for their rest since `overdue`."""
    waits: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM inbound WHERE state = 'new')
            OR EXISTS (SELECT FROM inbound WHERE state = 'waiting' AND received_at <= :overdue)
        """,
        overdue=overdue,
    )
    return waits


async def new_arrivals(conn: Connection, limit: int) -> list[Record]:
    """The oldest arrivals that nobody has read."""
    return await sql.fetch(
        conn, "SELECT * FROM inbound WHERE state = 'new' ORDER BY id LIMIT :limit", limit=limit
    )


async def other_parts(
    conn: Connection, parts: Sequence[Record], repeated_within: timedelta
) -> list[Record]:
    """What is there already of the texts to which these parts belong: the parts that wait, and
    those that were joined so lately that the same may come again.
    """
    return await sql.fetch(
        conn,
        """
        SELECT DISTINCT i.*
        FROM unnest(:sender_hashes::bytea[], :recipients::text[], :references::int[],
                    :part_counts::smallint[],
                                        :received_ats::timestamptz[])
            AS k(sender_hash, recipient, reference, part_count, received_at)
        JOIN inbound i ON i.sender_hash = k.sender_hash AND i.recipient = k.recipient
            AND i.reference = k.reference AND i.part_count = k.part_count
        WHERE i.part_count > 1 AND (i.state = 'waiting'
            OR (i.state = 'joined' AND i.received_at >= k.received_at - :repeated_within::interval))
        ORDER BY i.id
        """,
        sender_hashes=[part["sender_hash"] for part in parts],
        recipients=[part["recipient"] for part in parts],
        references=[part["reference"] for part in parts],
        part_counts=[part["part_count"] for part in parts],
        received_ats=[part["received_at"] for part in parts],
        repeated_within=repeated_within,
    )


async def overdue_parts(conn: Connection, overdue: datetime, texts: int) -> list[Record]:
    """All parts of the texts, so many at most, whose first part has waited since `overdue`."""
    return await sql.fetch(
        conn,
        """
        SELECT i.* FROM (
            SELECT DISTINCT sender_hash, recipient, reference, part_count FROM inbound
            WHERE state = 'waiting' AND received_at <= :overdue LIMIT :texts) k
        JOIN inbound i ON i.sender_hash = k.sender_hash AND i.recipient = k.recipient
            AND i.reference = k.reference AND i.part_count = k.part_count
        WHERE i.part_count > 1 AND i.state = 'waiting'
        ORDER BY i.id
        """,
        overdue=overdue,
        texts=texts,
    )


async def settle_arrivals(conn: Connection, fates: Sequence[tuple[int, str, UUID | None]]) -> None:
    """Write what became of arrivals: (id, state, text)."""
    await sql.execute(
        conn,
        """
        UPDATE inbound i SET state = f.state, text_id = f.text_id
        FROM unnest(:arrivals::bigint[], :states::text[], :texts::uuid[]) AS f(id, state, text_id)
        WHERE i.id = f.id
        """,
        arrivals=[arrival for arrival, _, _ in fates],
        states=[state for _, state, _ in fates],
        texts=[text for _, _, text in fates],
    )


async def new_ids(conn: Connection, count: int) -> list[UUID]:
    """Ids for texts, in the order in which lists show them."""
    rows = await sql.fetch(
        conn, "SELECT uuidv7() AS id FROM generate_series(1, :count)", count=count
    )
    return [row["id"] for row in rows]


async def texts_like(conn: Connection, digests: Sequence[bytes], since: datetime) -> list[Record]:
    """Texts with these digests since an instant, the oldest first: id, digest, received_at, and
    notices_of: whose work notices an opt-out in reply to what they answer ends by itself. held:
    whether it is an opt-out that stops nothing, or not yet.
    """
    return await sql.fetch(
        conn,
        """
        SELECT t.id, t.digest, t.received_at, d.id AS notices_of,
               h.id IS NOT NULL AND h.decision IS DISTINCT FROM 'count' AS held
        FROM inbound_texts t
        LEFT JOIN opt_out_holds h ON h.id = t.hold_id
        LEFT JOIN runs r ON r.id = t.run_id AND r.class = 'service'
        LEFT JOIN departments d ON d.id = r.department_id AND d.notices_end_by_reply
        WHERE t.digest = ANY(:digests) AND t.received_at >= :since ORDER BY t.received_at, t.id
        """,
        digests=list(digests),
        since=since,
    )


async def last_messages(
    conn: Connection,
    asked: Sequence[tuple[int, bytes, datetime, UUID | None]],
    within: timedelta,
) -> dict[int, Answered]:
    """What each text answers, by its place in `asked`: the last message that was handed off to that
    phone on that channel, so long before at most; our replies are none. Asked are (channel, phone
    hash, received at, department), of that department's messages alone if it is not None.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT q.place, last.* FROM
            unnest(:channel_ids::smallint[], :phone_hashes::bytea[], :received_ats::timestamptz[],
                   :department_ids::uuid[]) WITH ORDINALITY
                AS q(channel_id, phone_hash, received_at, department_id, place)
        CROSS JOIN LATERAL (
            SELECT m.run_id, m.no AS message_no, r.campaign_id, r.department_id,
                   d.kind AS department_kind, r.class AS message_class,
                   r.class = 'service' AND d.notices_end_by_reply AS ends_notices
            FROM texts_to(q.phone_hash, '-infinity') m
            CROSS JOIN LATERAL (
                SELECT campaign_id, department_id, class FROM runs
                WHERE id = m.run_id AND kind <> 'reply'
                  AND (q.department_id IS NULL OR department_id = q.department_id) OFFSET 0) r
            JOIN departments d ON d.id = r.department_id
            WHERE m.channel_id = q.channel_id AND m.state <> 'rejected'
              AND m.marked_at BETWEEN q.received_at - :within::interval AND q.received_at
            ORDER BY m.marked_at DESC, m.run_id DESC LIMIT 1) last
        """,
        channel_ids=[channel_id for channel_id, _, _, _ in asked],
        phone_hashes=[phone_hash for _, phone_hash, _, _ in asked],
        received_ats=[received_at for _, _, received_at, _ in asked],
        within=within,
        department_ids=[department_id for _, _, _, department_id in asked],
    )
    return {
        row["place"] - 1: Answered(**{key: row[key] for key in Answered.__slots__}) for row in rows
    }


async def police_department(conn: Connection) -> UUID | None:
    """The department that gets clues: the oldest one of the police."""
    found: UUID | None = await conn.fetchval(
        "SELECT id FROM departments WHERE kind = 'police' ORDER BY created_at, id LIMIT 1"
    )
    return found


async def insert_texts(conn: Connection, texts: Sequence[NewText]) -> None:
    """Write whole texts."""
    await sql.executemany(
        conn,
        """
        INSERT INTO inbound_texts (id, channel_id, sender_hash, sender_cipher, recipient,
            text_cipher, digest, missing, received_at, kind, answer, run_id, message_no,
            campaign_id, department_id, state, extension, done_at)
        VALUES (:id, :channel_id, :sender_hash, :sender_cipher, :recipient,
            :text_cipher, :digest, :missing, :received_at, :kind, :answer, :run_id, :message_no,
            :campaign_id, :department_id, :state, :extension,
            CASE :state WHEN 'done' THEN :received_at::timestamptz END)
        """,
        [
            {
                "id": t.id,
                "channel_id": t.channel_id,
                "sender_hash": t.sender_hash,
                "sender_cipher": t.sender_cipher,
                "recipient": t.recipient,
                "text_cipher": t.text_cipher,
                "digest": t.digest,
                "missing": t.missing,
                "received_at": t.received_at,
                "kind": t.kind,
                "answer": t.answer,
                "run_id": t.answered and t.answered.run_id,
                "message_no": t.answered and t.answered.message_no,
                "campaign_id": t.answered and t.answered.campaign_id,
                "department_id": t.department_id,
                "state": t.state,
                "extension": t.extension,
            }
            for t in texts
        ],
    )


async def count_copies(conn: Connection, texts: Sequence[UUID]) -> None:
    """Count one more copy of a text for each time that it is named."""
    await sql.execute(
        conn,
        """
        UPDATE inbound_texts t SET copies = t.copies + c.more
        FROM (SELECT id, count(*) AS more FROM unnest(:texts::uuid[]) AS u(id) GROUP BY id) c
        WHERE t.id = c.id
        """,
        texts=list(texts),
    )


_TEXT = """
    t.*, (SELECT c.id FROM contacts c
          WHERE c.department_id = t.department_id AND c.phone_hash = t.sender_hash) AS contact_id,
    (SELECT r.department_id FROM runs r
     WHERE r.id = t.run_id AND r.class = 'service') AS notice_of,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'kind', d.kind, 'due_at', d.due_at, 'settled_at', d.settled_at,
                'run_id', d.run_id, 'skipped', d.skipped) ORDER BY d.kind), '[]')
     FROM replies_due d WHERE d.text_id = t.id) AS replies
"""


async def list_texts(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int, wanted: TextFilter
) -> list[Record]:
    """A page of a scope's texts, the newest first, each with the contact whom it is from."""
    return await sql.fetch(
        conn,
        f"""
        SELECT {_TEXT} FROM inbound_texts t
        WHERE (:scope::uuid IS NULL OR t.department_id = :scope)
          AND (:before::uuid IS NULL OR t.id < :before)
          AND (:kind::text IS NULL OR t.kind = :kind) AND (:state::text IS NULL OR t.state = :state)
          AND (:campaign_id::uuid IS NULL OR t.campaign_id = :campaign_id)
          AND (:since::timestamptz IS NULL OR t.received_at >= :since)
        ORDER BY t.id DESC LIMIT :limit
        """,  # noqa: S608  # our own columns
        scope=scope,
        before=before,
        limit=limit,
        kind=wanted.kind,
        state=wanted.state,
        campaign_id=wanted.campaign_id,
        since=wanted.since,
    )


async def get_text(conn: Connection, text_id: UUID, scope: UUID | None) -> Record | None:
    """A text of a scope."""
    return await sql.fetchrow(
        conn,
        f"""
        SELECT {_TEXT} FROM inbound_texts t
        WHERE t.id = :text_id AND (:scope::uuid IS NULL OR t.department_id = :scope)
        """,  # noqa: S608  # our own columns
        text_id=text_id,
        scope=scope,
    )


async def take_text(
    conn: Connection, text_id: UUID, allowed: Sequence[str], user_id: UUID, now: datetime
) -> bool:
    """Give a text to a person who works it off; False if its state does not allow that."""
    moved: UUID | None = await sql.fetchval(
        conn,
        """
        UPDATE inbound_texts SET state = 'taken', taken_by = :user_id, taken_at = :now
        WHERE id = :text_id AND state = ANY(:allowed) RETURNING id
        """,
        text_id=text_id,
        allowed=list(allowed),
        user_id=user_id,
        now=now,
    )
    return moved is not None


async def finish_text(
    conn: Connection,
    text_id: UUID,
    allowed: Sequence[str],
    *,
    user_id: UUID,
    note_cipher: bytes | None,
    now: datetime,
) -> bool:
    """Close a text; False if its state does not allow that."""
    moved: UUID | None = await sql.fetchval(
        conn,
        """
        UPDATE inbound_texts SET state = 'done', done_by = :user_id, done_at = :now,
            note_cipher = :note_cipher
        WHERE id = :text_id AND state = ANY(:allowed) RETURNING id
        """,
        text_id=text_id,
        allowed=list(allowed),
        user_id=user_id,
        now=now,
        note_cipher=note_cipher,
    )
    return moved is not None


async def count_by_run(conn: Connection, run_id: UUID) -> tuple[dict[str, int], dict[int, int]]:
    """The texts that answered a run, by kind; its people by the last digit they answered."""
    kinds = await sql.fetch(
        conn,
        "SELECT kind, count(*) AS texts FROM inbound_texts WHERE run_id = :run_id GROUP BY kind",
        run_id=run_id,
    )
    answers = await sql.fetch(
        conn,
        """
        SELECT answer, count(*) AS people FROM (
            SELECT DISTINCT ON (sender_hash) answer FROM inbound_texts
            WHERE run_id = :run_id AND answer IS NOT NULL
            ORDER BY sender_hash, received_at DESC, id DESC) last
        GROUP BY answer
        """,
        run_id=run_id,
    )
    return (
        {row["kind"]: row["texts"] for row in kinds},
        {row["answer"]: row["people"] for row in answers},
    )
