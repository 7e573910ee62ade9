"""The steps of sequences, in SQL: what is to follow which run, and what became of it, once."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, affected


class Step(NamedTuple):
    """One text of a sequence after its first, to the people of the run `origin_id`.

    planned_at: by the days of the plan; due_at: as things are. outcome: None while it is to come.
    """

    id: int
    origin_id: UUID
    text_no: int
    planned_at: datetime
    due_at: datetime
    outcome: str | None
    note: str
    run_id: UUID | None
    at: datetime | None


_STEP = """
    SELECT id, origin_id, text_no, planned_at, due_at, outcome, note, run_id, at
    FROM sequence_steps
"""


async def insert_steps(
    conn: Connection, campaign_id: UUID, origin_id: UUID, planned: Mapping[int, datetime]
) -> None:
    """Plan the steps after a run: text numbers, each with its instant. What was dealt with stays,
    and so do the texts before it.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO sequence_steps (origin_id, text_no, campaign_id, planned_at, due_at)
        SELECT :origin_id, no, :campaign_id, at, at
        FROM unnest(:numbers::smallint[], :ats::timestamptz[]) AS p(no, at)
        WHERE no > (
            SELECT coalesce(max(text_no), 0) FROM sequence_steps
            WHERE origin_id = :origin_id AND outcome IS NOT NULL)
        ON CONFLICT (origin_id, text_no) DO UPDATE
            SET planned_at = excluded.planned_at, due_at = excluded.due_at
        WHERE sequence_steps.outcome IS NULL
          AND sequence_steps.planned_at <> excluded.planned_at
        """,
        origin_id=origin_id,
        campaign_id=campaign_id,
        numbers=list(planned),
        ats=list(planned.values()),
    )


async def drop_steps(conn: Connection, origin_id: UUID, after: int) -> None:
    """Forget the steps to come of texts with higher numbers, which there are no more."""
    await sql.execute(
        conn,
        """
        DELETE FROM sequence_steps WHERE origin_id = :origin_id AND text_no > :after
          AND outcome IS NULL
        """,
        origin_id=origin_id,
        after=after,
    )


async def skip_open(conn: Connection, campaign_id: UUID, note: str, now: datetime) -> None:
    """Record that no step of a campaign comes any more."""
    await sql.execute(
        conn,
        """
        UPDATE sequence_steps SET outcome = 'skipped', note = :note, at = :now
        WHERE campaign_id = :campaign_id AND outcome IS NULL
        """,
        campaign_id=campaign_id,
        note=note,
        now=now,
    )


async def open_origins(conn: Connection, campaign_id: UUID) -> list[tuple[UUID, datetime]]:
    """The runs of a campaign that steps are still to follow, each with when it fired."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, fire_at FROM runs WHERE id IN (
            SELECT origin_id FROM sequence_steps WHERE campaign_id = :campaign_id
              AND outcome IS NULL)
        ORDER BY id
        """,
        campaign_id=campaign_id,
    )
    return [(row["id"], row["fire_at"]) for row in rows]


async def open_steps(conn: Connection, campaign_id: UUID, limit: int | None = None) -> list[Step]:
    """The steps of a campaign that are to come, the next first."""
    rows = await sql.fetch(
        conn,
        f"""
        {_STEP} WHERE campaign_id = :campaign_id AND outcome IS NULL ORDER BY due_at, text_no
        LIMIT :limit
        """,
        campaign_id=campaign_id,
        limit=limit,
    )
    return [Step(*row) for row in rows]


async def list_steps(conn: Connection, campaign_id: UUID, after: int, limit: int) -> list[Step]:
    """A page of a campaign's steps, in the order in which they were planned."""
    rows = await sql.fetch(
        conn,
        f"{_STEP} WHERE campaign_id = :campaign_id AND id > :after ORDER BY id LIMIT :limit",
        campaign_id=campaign_id,
        after=after,
        limit=limit,
    )
    return [Step(*row) for row in rows]


async def has_begun(conn: Connection, campaign_id: UUID) -> bool:
    """Whether steps are to follow a fire for everybody, not one for newcomers."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM sequence_steps s JOIN runs r ON r.id = s.origin_id
            WHERE s.campaign_id = :campaign_id AND s.outcome IS NULL AND r.newcomers IS NULL)
        """,
        campaign_id=campaign_id,
    )
    return found


async def due_steps(conn: Connection, now: datetime) -> list[tuple[UUID, UUID, int]]:
    """Steps whose time has come, of campaigns that may send: campaign, origin, text number."""
    rows = await sql.fetch(
        conn,
        """
        SELECT s.campaign_id, s.origin_id, s.text_no
        FROM sequence_steps s JOIN campaigns c ON c.id = s.campaign_id
        WHERE s.outcome IS NULL AND s.due_at <= :now AND c.state IN ('scheduled', 'running')
        ORDER BY s.due_at, s.text_no
        """,
        now=now,
    )
    return [(row["campaign_id"], row["origin_id"], row["text_no"]) for row in rows]


async def due_step(conn: Connection, origin_id: UUID, text_no: int, now: datetime) -> Step | None:
    """A step, if it is still to come and due, and the ledger that it follows is written; ask with
    the campaign locked.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        {_STEP} WHERE origin_id = :origin_id AND text_no = :text_no AND outcome IS NULL
          AND due_at <= :now
          AND EXISTS (SELECT FROM runs r WHERE r.id = origin_id AND r.target IS NOT NULL)
        """,
        origin_id=origin_id,
        text_no=text_no,
        now=now,
    )
    return Step(*row) if row else None


async def record(
    conn: Connection, step: Step, outcome: str, note: str, run_id: UUID | None, now: datetime
) -> None:
    """Record what became of a step."""
    await sql.execute(
        conn,
        """
        UPDATE sequence_steps SET outcome = :outcome, note = :note, run_id = :run_id, at = :now
        WHERE origin_id = :origin_id AND text_no = :text_no AND outcome IS NULL
        """,
        origin_id=step.origin_id,
        text_no=step.text_no,
        outcome=outcome,
        note=note,
        run_id=run_id,
        now=now,
    )


async def keep_distance(conn: Connection, step: Step, now: datetime) -> None:
    """Move the steps after one that takes place now, so that each keeps its days from it."""
    await sql.execute(
        conn,
        """
        UPDATE sequence_steps
        SET due_at = greatest(due_at, :now::timestamptz + (planned_at - :planned_at::timestamptz))
        WHERE origin_id = :origin_id AND text_no > :text_no AND outcome IS NULL
        """,
        origin_id=step.origin_id,
        text_no=step.text_no,
        now=now,
        planned_at=step.planned_at,
    )


async def late_steps(conn: Connection, campaign_id: UUID, before: datetime) -> list[Step]:
    """The steps of a campaign that should have taken place before an instant, from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        {_STEP} WHERE campaign_id = :campaign_id AND outcome IS NULL AND due_at < :before
        ORDER BY due_at, text_no
        """,
        campaign_id=campaign_id,
        before=before,
    )
    return [Step(*row) for row in rows]


async def note_missed(conn: Connection, before: datetime, now: datetime) -> int:
    """Note the steps that should have taken place before an instant, and whose campaigns may not
    fire; each once. Returns how many.
    """
    status = await sql.execute(
        conn,
        """
        UPDATE sequence_steps s SET missed_at = :now FROM campaigns c
        WHERE c.id = s.campaign_id AND s.outcome IS NULL AND s.due_at < :before
          AND s.missed_at IS NULL
          AND c.state IN ('paused', 'held', 'pending_approval', 'returned', 'draft')
        """,
        before=before,
        now=now,
    )
    return affected(status)


async def make_due(conn: Connection, campaign_id: UUID, now: datetime) -> None:
    """Make a new time of the steps that are late: a person has let them go."""
    await sql.execute(
        conn,
        """
        UPDATE sequence_steps SET due_at = :now
        WHERE campaign_id = :campaign_id AND outcome IS NULL AND due_at < :now
        """,
        campaign_id=campaign_id,
        now=now,
    )
