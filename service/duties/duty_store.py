"""The SQL of duties: made, found, moved from state to state, and what was handed in."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.duties.deadline import Deadline, DutyPeriod
from service.duties.ladder import DutyState
from service.storage import sql
from service.storage.postgres import Connection, Record, affected


class UnitDuty(NamedTuple):
    """One period of what a department owes. owed_at: until when now; it is due_at, unless it was
    returned. late_minutes: of the first time it was handed in; None: it was not.
    """

    id: UUID
    obligation_id: UUID
    department_id: UUID
    department: str
    setter_id: UUID
    kind: str
    title: str
    period: str
    first_on: date
    last_on: date
    due_at: datetime
    holiday_week: bool
    official: bool
    moved_from: datetime | None
    moved_at: datetime | None
    missed_at: datetime | None
    state: DutyState
    submitted_at: datetime | None
    late_minutes: int | None
    evidence_run_id: UUID | None
    evidence_round_id: UUID | None
    evidence_relay_id: UUID | None
    evidence_roster_id: UUID | None
    evidence_import_id: UUID | None
    return_due_at: datetime | None
    decided_by: UUID | None
    decided_at: datetime | None
    reason: str
    owed_at: datetime


class HandedIn(NamedTuple):
    """What was handed in once. figures: as the text of which sha256 is the hash."""

    no: int
    narrative: str
    figures: str
    as_of: datetime
    sha256: bytes
    submitted_by: UUID
    submitted_at: datetime


class DutyEvidence(NamedTuple):
    """What fulfilled a duty without a report. import_id: of the list `roster_id`; None: somebody
    confirmed it.
    """

    run_id: UUID | None = None
    round_id: UUID | None = None
    relay_id: UUID | None = None
    roster_id: UUID | None = None
    import_id: UUID | None = None


NO_EVIDENCE = DutyEvidence()


class DutyStepRow(NamedTuple):
    """A step that was taken. told_at: when somebody was told; None: nobody yet, or not at all."""

    step: str
    planned_at: datetime
    taken_at: datetime
    run_id: UUID | None
    skipped: str
    settled_at: datetime | None


_COLUMNS = """
    d.id, d.obligation_id, d.department_id, u.name AS department, d.setter_id, d.kind, o.title,
    d.period, d.first_on, d.last_on, d.due_at, d.holiday_week, d.official, d.moved_from, d.moved_at,
    d.missed_at, d.state, d.submitted_at,
    CASE WHEN d.submitted_at IS NOT NULL THEN d.late_minutes END AS late_minutes,
    d.evidence_run_id, d.evidence_round_id, d.evidence_relay_id, d.evidence_roster_id,
    d.evidence_import_id, d.return_due_at, d.decided_by, d.decided_at, d.reason, d.owed_at
"""
DUTY = f"""
    SELECT {_COLUMNS} FROM duties d JOIN departments u ON u.id = d.department_id
        JOIN obligations o ON o.id = d.obligation_id
"""  # noqa: S608  # constants


async def insert_duties(
    conn: Connection,
    obligation_id: UUID,
    period: DutyPeriod,
    due: Deadline,
    departments: Sequence[UUID],
    times: tuple[datetime | None, datetime | None],
) -> int:
    """Make the duties of a period, of each department one; those there are stay. times: when it is
    missed, and when the scheduler looks first. Returns how many were made.
    """
    missed_at, next_at = times
    status = await sql.execute(
        conn,
        """
        INSERT INTO duties (obligation_id, department_id, period, setter_id, kind, first_on,
                            last_on, due_at, holiday_week, official, missed_at, next_at)
        SELECT o.id, u.id, :period, o.setter_id, o.kind, :first_on, :last_on, :due_at,
               :holiday_week, :official, :missed_at, :next_at
        FROM obligations o, unnest(:departments::uuid[]) AS u(id)
        WHERE o.id = :obligation_id
        ON CONFLICT DO NOTHING
        """,
        obligation_id=obligation_id,
        period=period.key,
        first_on=period.first,
        last_on=period.last,
        due_at=due.at,
        holiday_week=due.holiday_week,
        official=due.official,
        departments=list(departments),
        missed_at=missed_at,
        next_at=next_at,
    )
    return affected(status)


async def find_duty(conn: Connection, duty_id: UUID) -> UnitDuty | None:
    """One duty."""
    row = await sql.fetchrow(conn, f"{DUTY} WHERE d.id = :id", id=duty_id)
    return None if row is None else read_duty(row)


async def lock_duty(conn: Connection, duty_id: UUID) -> UnitDuty | None:
    """One duty, which nobody else changes, and of which nobody is told, until the end of the
    transaction.
    """
    row = await sql.fetchrow(conn, f"{DUTY} WHERE d.id = :id FOR UPDATE OF d", id=duty_id)
    return None if row is None else read_duty(row)


async def insert_report(conn: Connection, duty_id: UUID, new: HandedIn) -> None:
    """Write down what was handed in; it stays as it is."""
    await sql.execute(
        conn,
        """
        INSERT INTO duty_reports (duty_id, no, narrative, figures, as_of, sha256, submitted_by,
                                  submitted_at)
        VALUES (:duty_id, :no, :narrative, :figures, :as_of, :sha256, :submitted_by, :submitted_at)
        """,
        duty_id=duty_id,
        **new._asdict(),
    )


async def list_reports(conn: Connection, duty_id: UUID) -> list[HandedIn]:
    """All that was handed in for a duty, in order."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no, narrative, figures, as_of, sha256, submitted_by, submitted_at
        FROM duty_reports WHERE duty_id = :duty_id ORDER BY no
        """,
        duty_id=duty_id,
    )
    return [HandedIn(**row) for row in rows]


async def list_steps(conn: Connection, duty_id: UUID) -> list[DutyStepRow]:
    """The steps of the ladder that were taken for a duty, in order."""
    rows = await sql.fetch(
        conn,
        """
        SELECT step, planned_at, taken_at, run_id, skipped, settled_at FROM duty_steps
        WHERE duty_id = :duty_id ORDER BY planned_at, step
        """,
        duty_id=duty_id,
    )
    return [DutyStepRow(**row) for row in rows]


async def set_submitted(conn: Connection, duty: UnitDuty, at: datetime, by: DutyEvidence) -> None:
    """It is in. The first time counts. by: what fulfilled it, if it was no report."""
    await sql.execute(
        conn,
        """
        UPDATE duties SET state = 'submitted', submitted_at = coalesce(submitted_at, :at),
            evidence_run_id = :run_id, evidence_round_id = :round_id,
            evidence_relay_id = :relay_id, evidence_roster_id = :roster_id,
            evidence_import_id = :import_id, return_due_at = NULL, next_at = NULL,
            decided_by = NULL, decided_at = NULL, reason = ''
        WHERE id = :id AND state IN ('open', 'returned')
        """,
        id=duty.id,
        at=at,
        **by._asdict(),
    )


class DutyDecision(NamedTuple):
    """What was decided of a duty, by whom, when and why. due_at: of what is returned."""

    state: DutyState
    by: UUID
    at: datetime
    reason: str
    due_at: datetime | None = None


async def decide(conn: Connection, duty_id: UUID, decision: DutyDecision) -> None:
    """Accept, return or excuse a duty that is locked."""
    await sql.execute(
        conn,
        """
        UPDATE duties SET state = :state, decided_by = :by, decided_at = :at, reason = :reason,
            return_due_at = :due_at, next_at = NULL
        WHERE id = :id
        """,
        id=duty_id,
        **decision._asdict(),
    )


async def open_to_move(conn: Connection, obligation_id: UUID) -> list[Record]:
    """The periods and times of an obligation's open duties, each once; these duties are locked."""
    return await sql.fetch(
        conn,
        """
        WITH locked AS MATERIALIZED (
            SELECT period, first_on, last_on, due_at, missed_at FROM duties
            WHERE obligation_id = :obligation_id AND state = 'open'
            ORDER BY department_id, period FOR UPDATE
        )
        SELECT DISTINCT period, first_on, last_on, due_at, missed_at FROM locked
        """,
        obligation_id=obligation_id,
    )


async def tell_late(conn: Connection, now: datetime, most: int) -> int:
    """Note of open duties that were due a minute ago, the longest first, that it was told: webhooks
    hear of each once. Returns how many.
    """
    status = await sql.execute(
        conn,
        """
        WITH late AS (
            SELECT id FROM duties
            WHERE state = 'open' AND late_told_at IS NULL
              AND due_at <= :now::timestamptz - interval '1 minute'
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
        )
        UPDATE duties d SET late_told_at = :now FROM late l WHERE d.id = l.id
        """,
        now=now,
        most=most,
    )
    return affected(status)


async def look_now(conn: Connection, obligation_id: UUID, now: datetime) -> None:
    """Let the scheduler look at the open duties of an obligation, whose steps have changed."""
    await sql.execute(
        conn,
        """
        UPDATE duties SET next_at = :now WHERE obligation_id = :obligation_id AND state = 'open'
        """,
        obligation_id=obligation_id,
        now=now,
    )


async def move_period(
    conn: Connection,
    obligation_id: UUID,
    period: str,
    due: Deadline,
    times: tuple[datetime | None, datetime | None],
    now: datetime,
) -> int:
    """Give the open duties of a period another deadline, or another time at which they are missed;
    says from when they were moved. Returns how many there are.
    """
    missed_at, next_at = times
    status = await sql.execute(
        conn,
        """
        UPDATE duties SET due_at = :due_at, holiday_week = :holiday_week, official = :official,
            missed_at = :missed_at, next_at = :next_at,
            moved_from = CASE WHEN due_at <> :due_at THEN due_at ELSE moved_from END,
            moved_at = CASE WHEN due_at <> :due_at THEN :now ELSE moved_at END
        WHERE obligation_id = :obligation_id AND period = :period AND state = 'open'
        """,
        obligation_id=obligation_id,
        period=period,
        due_at=due.at,
        holiday_week=due.holiday_week,
        official=due.official,
        missed_at=missed_at,
        next_at=next_at,
        now=now,
    )
    return affected(status)


def read_duty(row: Record) -> UnitDuty:
    """A row of `DUTY`."""
    return UnitDuty(**{**row, "state": DutyState(row["state"])})
