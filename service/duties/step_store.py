"""The SQL of the ladder of duties: which steps are due and taken, and who is told by which text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.duties.ladder import DutyState, DutyStep, StepSkip
from service.storage import sql
from service.storage.postgres import Connection, affected


class DueDuty(NamedTuple):
    """A duty for which something is to be done now. parent_id: of its department. taken: the steps
    that were. missed_before: whether that of the period before was missed.
    """

    id: UUID
    obligation_id: UUID
    department_id: UUID
    setter_id: UUID
    parent_id: UUID | None
    due_at: datetime
    missed_at: datetime | None
    taken: Sequence[str]
    missed_before: bool


class NewStep(NamedTuple):
    """A step that is taken now. told: whose liaison or leader is told of it; None: nobody is."""

    duty: DueDuty
    step: DutyStep
    planned_at: datetime
    told: tuple[UUID, str] | None
    skipped: StepSkip | None


async def lock_due(conn: Connection, now: datetime, limit: int) -> list[DueDuty]:
    """The duties for which something is to be done now, unless somebody is at it."""
    rows = await sql.fetch(
        conn,
        """
        WITH due AS MATERIALIZED (
            SELECT id, obligation_id, department_id, setter_id, due_at, missed_at, first_on
            FROM duties WHERE next_at <= :now ORDER BY next_at, id LIMIT :limit
            FOR UPDATE SKIP LOCKED
        )
        SELECT d.id, d.obligation_id, d.department_id, d.setter_id, u.parent_id, d.due_at,
               d.missed_at,
               ARRAY(SELECT s.step FROM duty_steps s WHERE s.duty_id = d.id) AS taken,
               coalesce(d.missed_at <= :now AND (
                   SELECT p.state = 'missed' OR p.state = 'open' AND p.missed_at <= :now
                   FROM duties p
                   WHERE p.obligation_id = d.obligation_id AND p.department_id = d.department_id
                     AND p.first_on < d.first_on ORDER BY p.first_on DESC LIMIT 1),
                   false) AS missed_before
        FROM due d JOIN departments u ON u.id = d.department_id
        """,
        now=now,
        limit=limit,
    )
    return [DueDuty(**row) for row in rows]


async def insert_steps(conn: Connection, steps: Sequence[NewStep], now: datetime) -> None:
    """Take these steps. The primary key lets no step be taken twice.

    Raises:
        UniqueViolation: one was taken already; nothing is done.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO duty_steps (duty_id, step, planned_at, taken_at, told_department_id, told_duty,
                                skipped, settled_at)
        SELECT s.duty_id, s.step, s.planned_at, :now, s.told, s.told_duty, s.skipped,
               CASE WHEN s.skipped <> '' THEN :now::timestamptz END
        FROM unnest(:duties::uuid[], :steps::text[], :planned::timestamptz[], :told::uuid[],
                    :told_duties::text[], :skipped::text[])
            AS s(duty_id, step, planned_at, told, told_duty, skipped)
        """,
        duties=[one.duty.id for one in steps],
        steps=[one.step for one in steps],
        planned=[one.planned_at for one in steps],
        told=[one.told and one.told[0] for one in steps],
        told_duties=[one.told and one.told[1] for one in steps],
        skipped=[one.skipped or "" for one in steps],
        now=now,
    )


async def go_on(
    conn: Connection, looks: Sequence[tuple[DueDuty, DutyState, datetime | None]]
) -> None:
    """Say when these duties, which are locked, are looked at next; those that are missed are so."""
    await sql.execute(
        conn,
        """
        UPDATE duties d SET state = n.state, next_at = n.next_at
        FROM unnest(:duties::uuid[], :states::text[], :next_at::timestamptz[])
            AS n(duty_id, state, next_at)
        WHERE d.id = n.duty_id
        """,
        duties=[duty.id for duty, _, _ in looks],
        states=[state for _, state, _ in looks],
        next_at=[next_at for _, _, next_at in looks],
    )


class UntoldStep(NamedTuple):
    """A step of which somebody is still to be told, and whom that is now. phone_*: None: it is
    nobody. owed: whether the duty is still owed, or missed.
    """

    duty_id: UUID
    department: str
    step: str
    title: str
    setter_id: UUID
    due_at: datetime
    state: str
    phone_hash: bytes | None
    phone_cipher: bytes | None


async def untold_steps(conn: Connection, people: int) -> list[UntoldStep]:
    """The steps of which somebody is still to be told: all of as many people as are asked for, and
    those of nobody. Nothing of them is handed in before the end of the transaction.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH untold AS MATERIALIZED (
            SELECT s.duty_id, s.step, p.phone_hash, p.phone_cipher
            FROM duty_steps s LEFT JOIN department_people p
                ON p.department_id = s.told_department_id AND p.duty = s.told_duty
               AND p.until IS NULL
            WHERE s.settled_at IS NULL
        ), chosen AS MATERIALIZED (
            SELECT DISTINCT phone_hash FROM untold WHERE phone_hash IS NOT NULL
            ORDER BY phone_hash LIMIT :people
        )
        SELECT w.duty_id, u.name AS department, w.step, o.title, d.setter_id, d.due_at, d.state,
               w.phone_hash, w.phone_cipher
        FROM untold w
            JOIN duties d ON d.id = w.duty_id
            JOIN obligations o ON o.id = d.obligation_id
            JOIN departments u ON u.id = d.department_id
        WHERE w.phone_hash IS NULL OR w.phone_hash IN (SELECT phone_hash FROM chosen)
        ORDER BY d.due_at, u.name, w.step
        FOR SHARE OF d
        """,
        people=people,
    )
    return [UntoldStep(**row) for row in rows]


async def settle_skipped(conn: Connection, steps: Mapping[UntoldStep, str], now: datetime) -> int:
    """Nobody is told of these steps, for a reason each; returns how many were open."""
    return await _settle(conn, list(steps), list(steps.values()), None, [], now)


async def settle_told(
    conn: Connection, steps: Sequence[tuple[UntoldStep, int]], run_id: UUID, now: datetime
) -> int:
    """Somebody is told of these steps by a run, by the text of a number each; returns how many were
    open.
    """
    rows, numbers = [step for step, _ in steps], [no for _, no in steps]
    return await _settle(conn, rows, [""] * len(rows), run_id, numbers, now)


async def _settle(
    conn: Connection,
    steps: Sequence[UntoldStep],
    skipped: Sequence[str],
    run_id: UUID | None,
    numbers: Sequence[int],
    now: datetime,
) -> int:
    status = await sql.execute(
        conn,
        """
        UPDATE duty_steps s SET run_id = :run_id, no = n.no, skipped = n.skipped, settled_at = :now
        FROM unnest(:duties::uuid[], :steps::text[], :skipped::text[], :numbers::integer[])
            AS n(duty_id, step, skipped, no)
        WHERE s.duty_id = n.duty_id AND s.step = n.step AND s.settled_at IS NULL
        """,
        run_id=run_id,
        duties=[one.duty_id for one in steps],
        steps=[one.step for one in steps],
        skipped=list(skipped),
        numbers=list(numbers) or [None] * len(steps),
        now=now,
    )
    return affected(status)


async def texts_of(conn: Connection, duty_id: UUID) -> list[tuple[UUID, int]]:
    """The texts, by run and number, that tell of a duty, which is locked."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT run_id, no FROM duty_steps
        WHERE duty_id = :duty_id AND run_id IS NOT NULL ORDER BY run_id, no
        """,
        duty_id=duty_id,
    )
    return [(row["run_id"], row["no"]) for row in rows]


async def untell(conn: Connection, run_id: UUID, no: int) -> None:
    """A text was called back before it left: whoever it told of other duties is to be told anew."""
    await sql.execute(
        conn,
        """
        UPDATE duty_steps SET run_id = NULL, no = NULL, settled_at = NULL
        WHERE run_id = :run_id AND no = :no
        """,
        run_id=run_id,
        no=no,
    )


async def drop_untold(conn: Connection, duty_id: UUID, now: datetime) -> None:
    """Nobody is told any more of a duty that is in."""
    await sql.execute(
        conn,
        """
        UPDATE duty_steps SET skipped = 'handed_in', settled_at = :now
        WHERE duty_id = :duty_id AND settled_at IS NULL
        """,
        duty_id=duty_id,
        now=now,
    )
