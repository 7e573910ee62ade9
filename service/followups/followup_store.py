"""The SQL of follow-ups and their steps."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.followups.ladder import FollowupState, FollowupStep, StepState
from service.storage import sql
from service.storage.postgres import Connection, Record


class NewFollowup(NamedTuple):
    """What somebody wants to be done for those whom a run missed."""

    root_run_id: UUID
    department_id: UUID
    roles: Sequence[str]
    include_refused: bool
    with_towns: bool
    channels: Sequence[int] | None
    due_on: date | None


class StepRow(NamedTuple):
    """A step of a ladder. run_id: what was sent again. reason: why it was left out or waits, as a
    code; note: what whoever decided that said.
    """

    no: int
    step: FollowupStep
    state: StepState
    run_id: UUID | None
    reason: str
    note: str
    began_at: datetime | None
    ended_at: datetime | None


class Followup(NamedTuple):
    """A follow-up. run_at: when the run fired; message_class: of its text."""

    id: UUID
    root_run_id: UUID
    department_id: UUID
    state: FollowupState
    roles: Sequence[str]
    include_refused: bool
    with_towns: bool
    channels: Sequence[int] | None
    due_on: date | None
    started_by: UUID
    started_at: datetime
    counted_at: datetime | None
    ended_at: datetime | None
    ended_why: str
    names_dropped: bool
    run_at: datetime
    campaign_id: UUID
    campaign: str
    message_class: str
    steps: Sequence[StepRow]

    @property
    def is_open(self) -> bool:
        """Whether anything is still to be done."""
        return self.state in {FollowupState.GOING, FollowupState.VISITING}


_FOLLOWUP = """
    SELECT f.id, f.root_run_id, f.department_id, f.state, f.roles, f.include_refused, f.with_towns,
           f.channels, f.due_on, f.started_by, f.started_at, f.counted_at, f.ended_at, f.ended_why,
           f.names_dropped, r.fire_at AS run_at, r.campaign_id, c.name AS campaign,
           r.class AS message_class
    FROM followups f JOIN runs r ON r.id = f.root_run_id JOIN campaigns c ON c.id = r.campaign_id
"""


async def insert_followup(
    conn: Connection, new: NewFollowup, steps: Sequence[FollowupStep], by: UUID, now: datetime
) -> UUID | None:
    """Begin a follow-up; None: the run has one."""
    made: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO followups (root_run_id, department_id, state, roles, include_refused,
                               with_towns, channels, due_on, started_by, started_at, look_at)
        VALUES (:root_run_id, :department_id, 'going', :roles, :include_refused, :with_towns,
                :channels, :due_on, :by, :now, :now)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        **new._asdict(),
        by=by,
        now=now,
    )
    if made is not None:
        await sql.execute(
            conn,
            """
            INSERT INTO followup_steps (followup_id, no, step)
            SELECT :followup_id, s.no, s.step
            FROM unnest(:steps::text[]) WITH ORDINALITY AS s(step, no)
            """,
            followup_id=made,
            steps=list(steps),
        )
    return made


async def find_followup(conn: Connection, followup_id: UUID) -> Followup | None:
    """One follow-up."""
    row = await sql.fetchrow(conn, f"{_FOLLOWUP} WHERE f.id = :id", id=followup_id)
    return None if row is None else (await _with_steps(conn, [row]))[0]


async def lock_followup(conn: Connection, followup_id: UUID) -> Followup | None:
    """One follow-up, which nobody else changes until the end of the transaction."""
    row = await sql.fetchrow(conn, f"{_FOLLOWUP} WHERE f.id = :id FOR UPDATE OF f", id=followup_id)
    return None if row is None else (await _with_steps(conn, [row]))[0]


async def lock_due(conn: Connection, now: datetime) -> Followup | None:
    """The follow-up that has waited longest to be looked at, unless somebody is at it."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_FOLLOWUP} WHERE f.state IN ('going', 'visiting') AND f.look_at <= :now
        ORDER BY f.look_at LIMIT 1 FOR UPDATE OF f SKIP LOCKED
        """,
        now=now,
    )
    return None if row is None else (await _with_steps(conn, [row]))[0]


async def list_followups(
    conn: Connection,
    scope: UUID | None,
    near: tuple[UUID, str | None],
    *,
    run_id: UUID | None,
    state: str | None,
    before: UUID | None,
    limit: int,
) -> list[Followup]:
    """A page of follow-ups, from new to old: those of a department (None: of all), and those in
    whose villages the other department, with its area, is asked to visit.

    near: a department and its area; None: it has none.
    """
    department_id, area = near
    rows = await sql.fetch(
        conn,
        f"""
        {_FOLLOWUP}
        WHERE (:scope::uuid IS NULL OR f.department_id = :scope
               OR f.with_towns AND f.department_id <> :near AND :area::text IS NOT NULL)
          AND (:run_id::uuid IS NULL OR f.root_run_id = root_of_resends(:run_id))
          AND (:state::text IS NULL OR f.state = :state)
          AND (:before::uuid IS NULL OR f.id < :before)
        ORDER BY f.id DESC LIMIT :limit
        """,  # constants
        scope=scope,
        near=department_id,
        area=area,
        run_id=run_id,
        state=state,
        before=before,
        limit=limit,
    )
    return await _with_steps(conn, rows)


async def _with_steps(conn: Connection, rows: Sequence[Record]) -> list[Followup]:
    found = await sql.fetch(
        conn,
        """
        SELECT followup_id, no, step, state, run_id, reason, note, began_at, ended_at
        FROM followup_steps WHERE followup_id = ANY (:ids) ORDER BY followup_id, no
        """,
        ids=[row["id"] for row in rows],
    )
    steps: dict[UUID, list[StepRow]] = {}
    for followup_id, no, step, state, *rest in found:
        row = StepRow(no, FollowupStep(step), StepState(state), *rest)
        steps.setdefault(followup_id, []).append(row)
    return [
        Followup(**{**row, "state": FollowupState(row["state"])}, steps=steps[row["id"]])
        for row in rows
    ]


async def runs_of(conn: Connection, root_run_id: UUID) -> list[UUID]:
    """A run and all that was sent again of it."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM runs WHERE id = :root OR (follows = :root AND relation = 'resend')
        ORDER BY id
        """,
        root=root_run_id,
    )
    return [row["id"] for row in rows]


async def is_settled(conn: Connection, run_ids: Sequence[UUID]) -> bool:
    """Whether nothing of these runs is on its way any more."""
    found: bool = await sql.fetchval(
        conn,
        "SELECT NOT EXISTS (SELECT FROM runs WHERE id = ANY (:ids) AND settled_at IS NULL)",
        ids=list(run_ids),
    )
    return found


async def set_step(
    conn: Connection,
    followup_id: UUID,
    step: StepRow,
    state: StepState,
    now: datetime,
    *,
    run_id: UUID | None = None,
    reason: str = "",
    by: By | None = None,
) -> None:
    """Move a step. by: who decided it; None: the program."""
    await sql.execute(
        conn,
        """
        UPDATE followup_steps
        SET state = :state, run_id = coalesce(:run_id, run_id), reason = :reason,
            decided_by = coalesce(:by, decided_by), note = coalesce(:note, note),
            began_at = CASE WHEN :state IN ('under_way', 'done')
                THEN coalesce(began_at, :now::timestamptz) ELSE began_at END,
            ended_at = CASE WHEN :state IN ('done', 'skipped') THEN :now::timestamptz END
        WHERE followup_id = :followup_id AND no = :no
        """,
        followup_id=followup_id,
        no=step.no,
        state=state,
        run_id=run_id,
        reason=reason,
        by=by and by.user_id,
        note=by and by.reason,
        now=now,
    )


async def set_state(
    conn: Connection, followup_id: UUID, state: FollowupState, now: datetime, why: str = ""
) -> None:
    """Move a follow-up. why: of one that somebody ends before its end."""
    await sql.execute(
        conn,
        """
        UPDATE followups SET state = :state, ended_at = CASE
            WHEN :state IN ('closed', 'cancelled') THEN :now::timestamptz END, ended_why = :why
        WHERE id = :followup_id
        """,
        followup_id=followup_id,
        state=state,
        why=why,
        now=now,
    )


async def note_counted(conn: Connection, followup_id: UUID, now: datetime) -> None:
    """Whom the run missed is written down."""
    await sql.execute(
        conn,
        "UPDATE followups SET counted_at = :now WHERE id = :followup_id",
        followup_id=followup_id,
        now=now,
    )


async def look_again(conn: Connection, followup_id: UUID, at: datetime) -> None:
    """When the scheduler looks at a follow-up next."""
    await sql.execute(
        conn,
        "UPDATE followups SET look_at = :at WHERE id = :followup_id",
        followup_id=followup_id,
        at=at,
    )


async def note_told(conn: Connection, followup_id: UUID, now: datetime) -> None:
    """Somebody was told: coverage is counted anew."""
    await sql.execute(
        conn,
        "UPDATE followups SET told_at = :now WHERE id = :followup_id",
        followup_id=followup_id,
        now=now,
    )
