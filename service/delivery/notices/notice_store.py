"""The SQL of notices: what caused them, whom they tell, and what became of each."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record, affected


class NoticePace(NamedTuple):
    """When somebody is told next: of what was due by `due_by`, nothing since `apart`, and fewer
    than `most` times since `day`.
    """

    due_by: datetime
    apart: datetime
    day: datetime
    most: int


class OpenNotice(NamedTuple):
    """A notice that nobody got yet. waits: whether what it tells of is still so."""

    id: int
    kind: str
    due_at: datetime
    waits: bool


async def notices_wait(conn: Connection, pace: NoticePace) -> bool:
    """Whether somebody may be due to be told of something."""
    waits: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM notice_causes) OR EXISTS (SELECT FROM notice_leg_causes)
            OR EXISTS (SELECT FROM notices WHERE settled_at IS NULL AND due_at <= :due_by)
        """,
        due_by=pace.due_by,
    )
    return waits


async def list_causes(conn: Connection, limit: int) -> list[int]:
    """The moves of which nobody was told yet, oldest first."""
    rows = await sql.fetch(
        conn, "SELECT move_id FROM notice_causes ORDER BY move_id LIMIT :limit", limit=limit
    )
    return [row["move_id"] for row in rows]


async def list_leg_causes(conn: Connection, limit: int) -> list[int]:
    """The moves of legs of which nobody was told yet, oldest first."""
    rows = await sql.fetch(
        conn, "SELECT move_id FROM notice_leg_causes ORDER BY move_id LIMIT :limit", limit=limit
    )
    return [row["move_id"] for row in rows]


async def take_leg_cause(conn: Connection, move_id: int) -> Record | None:
    """The same of a move of a leg: of its joint plan, with leg_id and leg_department_id."""
    return await sql.fetchrow(
        conn,
        """
        WITH taken AS (
            DELETE FROM notice_leg_causes WHERE move_id = :move_id RETURNING move_id, kind
        )
        SELECT t.kind, l.campaign_id, m.leg_id, m.at, m.user_id, c.department_id,
               l.department_id AS leg_department_id, ARRAY(
            SELECT c.edited_by UNION SELECT c.submitted_by WHERE c.submitted_by IS NOT NULL
        ) AS planners
        FROM taken t JOIN campaign_leg_moves m ON m.id = t.move_id
        JOIN campaign_legs l ON l.id = m.leg_id JOIN campaigns c ON c.id = l.campaign_id
        """,
        move_id=move_id,
    )


async def take_cause(conn: Connection, move_id: int) -> Record | None:
    """Take a move of which nobody was told yet: kind, campaign_id, at, user_id (who moved it),
    department_id, and planners: who submitted the campaign last, and who edited it last. None:
    another process did.
    """
    return await sql.fetchrow(
        conn,
        """
        WITH taken AS (
            DELETE FROM notice_causes WHERE move_id = :move_id RETURNING move_id, kind
        )
        SELECT t.kind, m.campaign_id, m.at, m.user_id, c.department_id, ARRAY(
            SELECT c.edited_by UNION (
                SELECT s.user_id FROM campaign_moves s
                WHERE s.campaign_id = m.campaign_id AND s.id < m.id AND s.user_id IS NOT NULL
                  AND s.from_state IN ('draft', 'returned') AND s.to_state = 'pending_approval'
                ORDER BY s.id DESC LIMIT 1)) AS planners
        FROM taken t JOIN campaign_moves m ON m.id = t.move_id
        JOIN campaigns c ON c.id = m.campaign_id
        """,
        move_id=move_id,
    )


async def insert_notices(
    conn: Connection,
    move_id: int,
    cause: Record,
    people: Collection[UUID],
    *,
    of_leg: bool = False,
) -> int:
    """Owe a notice to those of these people who chose to be told of such, but not to whoever moved
    the campaign, or of_leg: the leg, themselves; returns to how many.
    """
    status = await sql.execute(
        conn,
        """
        INSERT INTO notices (move_id, leg_move_id, user_id, campaign_id, kind, due_at)
        SELECT :move_id, :leg_move_id, c.user_id, :campaign_id, :kind, :at
        FROM notice_choices c JOIN users u ON u.id = c.user_id
        WHERE c.user_id = ANY (:people) AND :kind = ANY (c.kinds) AND u.disabled_at IS NULL
          AND c.user_id IS DISTINCT FROM :moved_by
        ON CONFLICT DO NOTHING
        """,
        move_id=None if of_leg else move_id,
        leg_move_id=move_id if of_leg else None,
        campaign_id=cause["campaign_id"],
        kind=cause["kind"],
        at=cause["at"],
        moved_by=cause["user_id"],
        people=list(people),
    )
    return affected(status)


async def people_due(
    conn: Connection, pace: NoticePace, limit: int, *, texts: bool, user_id: UUID | None = None
) -> list[UUID]:
    """Who is to be told of something now, whoever has waited for longest first.

    texts: also by a text. user_id: only whether it is this one.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT n.user_id FROM notices n
        WHERE n.settled_at IS NULL AND (:user_id::uuid IS NULL OR n.user_id = :user_id)
          AND (:texts OR NOT EXISTS (
            SELECT FROM notice_choices c WHERE c.user_id = n.user_id AND c.way = 'text'))
        GROUP BY n.user_id
        HAVING min(n.due_at) <= :due_by AND NOT EXISTS (
            SELECT FROM notices t WHERE t.user_id = n.user_id AND t.skipped IS NULL
              AND t.settled_at > :apart)
          AND (SELECT count(DISTINCT coalesce(t.run_id, t.mail_id)) FROM notices t
               WHERE t.user_id = n.user_id AND t.settled_at > :day) < :most
        ORDER BY min(n.due_at), n.user_id LIMIT :limit
        """,
        limit=limit,
        texts=texts,
        user_id=user_id,
        **pace._asdict(),
    )
    return [row["user_id"] for row in rows]


async def open_notices(conn: Connection, user_id: UUID) -> list[OpenNotice]:
    """What a user is to be told of, locked to the end of the transaction."""
    rows = await sql.fetch(
        conn,
        """
        SELECT n.id, n.kind, n.due_at, CASE
            WHEN n.kind = 'leg' THEN l.state = 'asked'
            WHEN n.leg_move_id IS NOT NULL THEN l.state = 'returned'
            WHEN n.kind = 'approval' THEN c.state = 'pending_approval'
            WHEN n.kind = 'returned' THEN c.state IN ('returned', 'rejected')
            ELSE c.state = 'paused' END AS waits
        FROM notices n JOIN campaigns c ON c.id = n.campaign_id
        LEFT JOIN campaign_leg_moves m ON m.id = n.leg_move_id
        LEFT JOIN campaign_legs l ON l.id = m.leg_id
        WHERE n.user_id = :user_id AND n.settled_at IS NULL ORDER BY n.id
        FOR UPDATE OF n
        """,
        user_id=user_id,
    )
    return [OpenNotice(*row) for row in rows]


async def settle(
    conn: Connection,
    notices: Sequence[int],
    now: datetime,
    *,
    run_id: UUID | None = None,
    mail_id: UUID | None = None,
    skipped: str | None = None,
) -> int:
    """These notices are told by this run or this mail, or are not, with the reason; how many."""
    status = await sql.execute(
        conn,
        """
        UPDATE notices SET settled_at = :now, run_id = :run_id, mail_id = :mail_id,
            skipped = :skipped
        WHERE id = ANY (:notices) AND settled_at IS NULL
        """,
        notices=list(notices),
        run_id=run_id,
        mail_id=mail_id,
        skipped=skipped,
        now=now,
    )
    return affected(status)


async def list_lately(conn: Connection, user_id: UUID, limit: int) -> list[Record]:
    """A user's last notices, from new to old: what each told of, and what became of it."""
    return await sql.fetch(
        conn,
        """
        SELECT n.kind, n.campaign_id, c.name AS campaign, n.due_at, n.settled_at, n.skipped,
               n.run_id, m.state AS mail_state, m.error AS mail_error, v.leg_id
        FROM notices n JOIN campaigns c ON c.id = n.campaign_id
        LEFT JOIN campaign_leg_moves v ON v.id = n.leg_move_id
        LEFT JOIN notice_mails m ON m.id = n.mail_id
        WHERE n.user_id = :user_id ORDER BY n.id DESC LIMIT :limit
        """,
        user_id=user_id,
        limit=limit,
    )


async def forget_notices(conn: Connection, before: datetime, limit: int) -> int:
    """Drop so many notices that were settled before then, and the mails that no notice needs;
    returns how many notices.
    """
    status = await sql.execute(
        conn,
        """
        DELETE FROM notices WHERE id IN (
            SELECT id FROM notices WHERE settled_at < :before ORDER BY id LIMIT :limit)
        """,
        before=before,
        limit=limit,
    )
    await sql.execute(
        conn,
        """
        DELETE FROM notice_mails m WHERE m.ended_at IS NOT NULL AND m.made_at < :before
          AND NOT EXISTS (SELECT FROM notices WHERE mail_id = m.id)
        """,
        before=before,
    )
    return affected(status)
