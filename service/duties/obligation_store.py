"""The SQL of obligations, and of the texts with which departments are reminded."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from service.duties.deadline import DueRule, DueShift, PeriodKind, Remind
from service.duties.ladder import Rung, TextKind
from service.storage import sql
from service.storage.postgres import Connection, Record


class ObligationKind(StrEnum):
    """What is owed. send is fulfilled by a run of the unit, visits by a closed household round of
    it, relay by a relay that its first level has passed on, roster by a list that was imported or
    confirmed; these need no report.
    """

    WEEKLY_REPORT = "weekly_report"
    SEND = "send"
    VISITS = "visits"
    RELAY = "relay"
    ROSTER = "roster"
    CUSTOM = "custom"


TICKED = frozenset(ObligationKind) - {ObligationKind.WEEKLY_REPORT, ObligationKind.CUSTOM}
"""The kinds that facts fulfil."""


class NewObligation(NamedTuple):
    """What departments are to owe. departments or kinds: whose it is; the other is empty."""

    departments: Sequence[UUID]
    kinds: Sequence[str]
    kind: ObligationKind
    title: str
    rule: DueRule
    from_on: date
    until_on: date | None
    needs: Mapping[str, Any]
    remind: Sequence[Remind]
    rungs: Sequence[Rung]


class ObligationRow(NamedTuple):
    """An obligation. next_on: from when on its next duties are to be made; None: none any more."""

    id: UUID
    setter_id: UUID
    new: NewObligation
    set_by: UUID
    set_at: datetime
    ended_at: datetime | None
    next_on: date | None
    calendar_version: int


class ChosenDutyText(NamedTuple):
    """The template of a department for a kind of step. name, topic: of the template."""

    department_id: UUID
    kind: TextKind
    template_id: UUID
    name: str
    set_by: UUID
    set_at: datetime


_OBLIGATION = """
    SELECT id, setter_id, departments, kinds, kind, title, period, due_weekday, due_day, due_on,
           due_time, shift, from_on, until_on, needs, remind, rungs, set_by, set_at, ended_at,
           next_on, calendar_version
    FROM obligations
"""


async def insert_obligation(
    conn: Connection,
    setter_id: UUID,
    new: NewObligation,
    by: tuple[UUID, datetime],
    next_on: date,
    calendar_version: int,
) -> UUID:
    """Set an obligation. next_on: the first day of the first period of which duties are made."""
    set_by, now = by
    rule = new.rule
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO obligations (setter_id, departments, kinds, kind, title, period, due_weekday,
                                 due_day, due_on, due_time, shift, from_on, until_on, needs, remind,
                                 rungs, set_by, set_at, next_on, calendar_version)
        VALUES (:setter_id, :departments, :kinds, :kind, :title, :period, :weekday, :day, :on,
                :at, :shift, :from_on, :until_on, :needs, :remind, :rungs, :set_by, :now, :next_on,
                :calendar_version)
        RETURNING id
        """,
        setter_id=setter_id,
        departments=list(new.departments),
        kinds=list(new.kinds),
        kind=new.kind,
        title=new.title,
        period=rule.period,
        weekday=rule.weekday,
        day=rule.day,
        on=rule.on,
        at=rule.at,
        shift=rule.shift,
        from_on=new.from_on,
        until_on=new.until_on,
        needs=dict(new.needs),
        remind=list(new.remind),
        rungs=list(new.rungs),
        set_by=set_by,
        now=now,
        next_on=next_on,
        calendar_version=calendar_version,
    )
    return made


async def find_obligation(conn: Connection, obligation_id: UUID) -> ObligationRow | None:
    """One obligation."""
    row = await sql.fetchrow(conn, _OBLIGATION + "WHERE id = :id", id=obligation_id)
    return None if row is None else _read(row)


async def lock_obligation(conn: Connection, obligation_id: UUID) -> ObligationRow | None:
    """One obligation, which nobody else changes until the end of the transaction."""
    row = await sql.fetchrow(conn, _OBLIGATION + "WHERE id = :id FOR UPDATE", id=obligation_id)
    return None if row is None else _read(row)


async def obligations_by_id(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, ObligationRow]:
    """Several obligations."""
    rows = await sql.fetch(conn, _OBLIGATION + "WHERE id = ANY (:ids)", ids=list(ids))
    return {row["id"]: _read(row) for row in rows}


async def list_obligations(
    conn: Connection,
    seen_by: tuple[Sequence[UUID] | None, UUID],
    *,
    ended: bool,
    before: UUID | None,
    limit: int,
) -> list[ObligationRow]:
    """A page of obligations, from new to old: those that a department has set, and those of which
    somebody in a scope owes something, or will.

    seen_by: the scope, None: all; and the department. ended: also those that are over.
    """
    scope, own = seen_by
    rows = await sql.fetch(
        conn,
        f"""
        {_OBLIGATION}
        WHERE (:ended OR ended_at IS NULL) AND (:before::uuid IS NULL OR id < :before)
          AND (:scope::uuid[] IS NULL OR setter_id = :own OR departments && :scope
               OR kinds && ARRAY(SELECT kind FROM departments WHERE id = ANY (:scope)))
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        scope=None if scope is None else list(scope),
        own=own,
        ended=ended,
        before=before,
        limit=limit,
    )
    return [_read(row) for row in rows]


async def in_force(conn: Connection, setter_ids: Sequence[UUID] | None) -> list[ObligationRow]:
    """The obligations that are not over; of these departments; None: of all."""
    rows = await sql.fetch(
        conn,
        _OBLIGATION
        + """
        WHERE ended_at IS NULL AND (:setters::uuid[] IS NULL OR setter_id = ANY (:setters))
        ORDER BY id
        """,
        setters=None if setter_ids is None else list(setter_ids),
    )
    return [_read(row) for row in rows]


async def change_obligation(
    conn: Connection,
    obligation_id: UUID,
    *,
    title: str,
    until_on: date | None,
    needs: Mapping[str, Any],
    remind: Sequence[Remind],
    rungs: Sequence[Rung],
) -> None:
    """Change what of an obligation may be changed."""
    await sql.execute(
        conn,
        """
        UPDATE obligations SET title = :title, until_on = :until_on, needs = :needs,
            remind = :remind, rungs = :rungs
        WHERE id = :id
        """,
        id=obligation_id,
        title=title,
        until_on=until_on,
        needs=dict(needs),
        remind=list(remind),
        rungs=list(rungs),
    )


async def end_obligation(conn: Connection, obligation_id: UUID, by: UUID, now: datetime) -> None:
    """Make no further duties of an obligation; those that there are stay owed."""
    await sql.execute(
        conn,
        """
        UPDATE obligations SET ended_at = :now, ended_by = :by, next_on = NULL WHERE id = :id
        """,
        id=obligation_id,
        by=by,
        now=now,
    )


async def obligations_to_make(conn: Connection, today: date) -> list[UUID]:
    """The obligations of which a period has begun whose duties are not made."""
    rows = await sql.fetch(
        conn, "SELECT id FROM obligations WHERE next_on <= :today ORDER BY id", today=today
    )
    return [row["id"] for row in rows]


async def set_next(conn: Connection, obligation_id: UUID, next_on: date | None) -> None:
    """From when on the next duties of an obligation are to be made; None: there are no more."""
    await sql.execute(
        conn,
        "UPDATE obligations SET next_on = :next_on WHERE id = :id",
        id=obligation_id,
        next_on=next_on,
    )


async def obligations_by_another_calendar(conn: Connection, version: int) -> list[UUID]:
    """The obligations whose open duties are due by another version of the county's calendar."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM obligations o
        WHERE calendar_version <> :version AND (ended_at IS NULL OR EXISTS (
            SELECT FROM duties d WHERE d.obligation_id = o.id AND d.state = 'open'))
        ORDER BY id
        """,
        version=version,
    )
    return [row["id"] for row in rows]


async def set_calendar_version(conn: Connection, obligation_id: UUID, version: int) -> None:
    """The open duties of an obligation are due by this version of the county's calendar."""
    await sql.execute(
        conn,
        "UPDATE obligations SET calendar_version = :version WHERE id = :id",
        id=obligation_id,
        version=version,
    )


async def calendar_version(conn: Connection) -> int:
    """The version of the county's calendar; 0: it has set nothing."""
    found: int = await sql.fetchval(
        conn, "SELECT coalesce(max(id), 0) FROM county_settings WHERE kind = 'calendar'"
    )
    return found


async def who_owes(conn: Connection, obligation: ObligationRow, county: bool) -> list[UUID]:
    """The departments that owe it now. county: it is the county that asks; a bureau asks those
    below it alone.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH RECURSIVE below(id) AS (
            SELECT id FROM departments WHERE parent_id = :setter_id
            UNION SELECT d.id FROM departments d JOIN below b ON d.parent_id = b.id
        )
        SELECT id FROM departments
        WHERE (id = ANY (:departments) OR kind = ANY (:kinds))
          AND (:county OR id IN (SELECT id FROM below))
        ORDER BY id
        """,
        setter_id=obligation.setter_id,
        departments=list(obligation.new.departments),
        kinds=list(obligation.new.kinds),
        county=county,
    )
    return [row["id"] for row in rows]


async def chosen_texts(conn: Connection, department_ids: Sequence[UUID]) -> list[ChosenDutyText]:
    """The templates that departments have chosen for steps."""
    rows = await sql.fetch(
        conn,
        """
        SELECT x.department_id, x.kind, x.template_id, t.name, x.set_by, x.set_at
        FROM duty_texts x JOIN templates t ON t.id = x.template_id
        WHERE x.department_id = ANY (:ids) ORDER BY x.department_id, x.kind
        """,
        ids=list(department_ids),
    )
    return [ChosenDutyText(**{**row, "kind": TextKind(row["kind"])}) for row in rows]


async def set_text(
    conn: Connection,
    department_id: UUID,
    kind: TextKind,
    template_id: UUID | None,
    by: tuple[UUID, datetime],
) -> None:
    """Choose a template for a kind of step; None: no text is sent for it."""
    if template_id is None:
        await sql.execute(
            conn,
            "DELETE FROM duty_texts WHERE department_id = :department_id AND kind = :kind",
            department_id=department_id,
            kind=kind,
        )
        return
    set_by, now = by
    await sql.execute(
        conn,
        """
        INSERT INTO duty_texts (department_id, kind, template_id, set_by, set_at)
        VALUES (:department_id, :kind, :template_id, :set_by, :now)
        ON CONFLICT (department_id, kind) DO UPDATE
        SET template_id = excluded.template_id, set_by = excluded.set_by, set_at = excluded.set_at
        """,
        department_id=department_id,
        kind=kind,
        template_id=template_id,
        set_by=set_by,
        now=now,
    )


def _read(row: Record) -> ObligationRow:
    at: time = row["due_time"]
    rule = DueRule(
        PeriodKind(row["period"]),
        at,
        DueShift(row["shift"]),
        row["due_weekday"],
        row["due_day"],
        row["due_on"],
        row["from_on"],
    )
    new = NewObligation(
        row["departments"],
        row["kinds"],
        ObligationKind(row["kind"]),
        row["title"],
        rule,
        row["from_on"],
        row["until_on"],
        row["needs"],
        [Remind(one) for one in row["remind"]],
        [Rung(one) for one in row["rungs"]],
    )
    return ObligationRow(
        row["id"],
        row["setter_id"],
        new,
        row["set_by"],
        row["set_at"],
        row["ended_at"],
        row["next_on"],
        row["calendar_version"],
    )
