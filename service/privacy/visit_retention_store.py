"""The SQL of the retention of visits: names and notes of follow-ups, labels of households."""

from datetime import datetime
from uuid import UUID

from service.clock import day_in_china
from service.storage import sql
from service.storage.postgres import Connection, affected


async def drop_visit_names(conn: Connection, before: datetime, rows: int, now: datetime) -> int:
    """Forget what was noted of people in follow-ups that ended before, and their new numbers, and
    show no names of theirs any more; states and tries stay for the counts. Returns how many
    follow-ups.
    """
    ended = await sql.fetch(
        conn,
        """
        SELECT id, ended_at FROM followups
        WHERE ended_at < :before AND NOT names_dropped
        ORDER BY ended_at LIMIT :followups FOR UPDATE SKIP LOCKED
        """,
        before=before,
        followups=max(1, rows // 1_000),
    )
    ids = [row["id"] for row in ended]
    await sql.execute(
        conn,
        """
        UPDATE visit_tries t SET note_cipher = NULL FROM visits v
        WHERE v.followup_id = ANY (:ids) AND t.visit_id = v.id AND t.note_cipher IS NOT NULL
        """,
        ids=ids,
    )
    await sql.execute(
        conn,
        """
        UPDATE number_corrections c SET phone_hash = NULL, phone_cipher = NULL,
            reason_cipher = NULL, decided_at = coalesce(c.decided_at, :now),
            state = CASE WHEN c.state = 'proposed' THEN 'lapsed' ELSE c.state END
        FROM visits v
        WHERE v.followup_id = ANY (:ids) AND c.visit_id = v.id
          AND (c.phone_hash IS NOT NULL OR c.reason_cipher IS NOT NULL)
        """,
        ids=ids,
        now=now,
    )
    await sql.execute(
        conn,
        "UPDATE sign_offs SET note_cipher = NULL WHERE followup_id = ANY (:ids)",
        ids=ids,
    )
    await sql.execute(
        conn,
        "UPDATE followups SET names_dropped = true WHERE id = ANY (:ids)",
        ids=ids,
    )
    return len(ids)


async def drop_household_labels(conn: Connection, before: datetime, rows: int) -> int:
    """Forget which households there were in a round that ended before, or whose last day was before
    without anybody ending it, which ends it; counts and tries stay. Returns how many labels, and
    one for the round.
    """
    found = await sql.fetchrow(
        conn,
        """
        SELECT id FROM visit_rounds
        WHERE NOT labels_dropped AND (ended_at < :before OR ended_at IS NULL AND due_on < :day)
        ORDER BY due_on LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        before=before,
        day=day_in_china(before),
    )
    if found is None:
        return 0
    await sql.execute(
        conn,
        """
        UPDATE visit_rounds SET state = 'expired',
            ended_at = (due_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
        WHERE id = :round_id AND state = 'open'
        """,
        round_id=found["id"],
    )
    status = await sql.execute(
        conn,
        """
        UPDATE households SET label_hash = NULL, label_cipher = NULL
        WHERE id IN (SELECT id FROM households
                     WHERE round_id = :round_id AND label_hash IS NOT NULL LIMIT :rows)
        """,
        round_id=found["id"],
        rows=rows,
    )
    if affected(status) < rows:
        await _end_of_labels(conn, found["id"])
    return affected(status) + 1


async def _end_of_labels(conn: Connection, round_id: UUID) -> None:
    """No label of a round is left: its notes go, too."""
    await sql.execute(
        conn,
        """
        UPDATE household_tries t SET note_cipher = NULL FROM households h
        WHERE h.round_id = :round_id AND t.household_id = h.id AND t.note_cipher IS NOT NULL
        """,
        round_id=round_id,
    )
    await sql.execute(
        conn,
        """
        UPDATE visit_round_villages SET note_cipher = NULL
        WHERE round_id = :round_id AND note_cipher IS NOT NULL
        """,
        round_id=round_id,
    )
    await sql.execute(
        conn,
        "UPDATE visit_rounds SET labels_dropped = true WHERE id = :round_id",
        round_id=round_id,
    )
