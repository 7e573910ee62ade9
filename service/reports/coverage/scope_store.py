"""The SQL of scopes: what is counted together, and when a count of it is due."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from service.ledger.message_class import MessageClass
from service.storage import sql
from service.storage.postgres import Connection

_END = b"\xff" * 17
"""After every hash of a phone."""


class ScopeKind(StrEnum):
    """What a scope is of."""

    RUN = "run"
    CAMPAIGN = "campaign"
    QUARTER = "quarter"


class CoverageScope(NamedTuple):
    """What is counted together; of the columns that its kind has no use for, None.

    department_id: of a quarter, whose texts; None: those of all departments. quarter: its first
    day.
    """

    kind: ScopeKind
    run_id: UUID | None = None
    campaign_id: UUID | None = None
    department_id: UUID | None = None
    quarter: date | None = None
    message_class: MessageClass | None = None


class CountUnderWay(NamedTuple):
    """A count of which `done` stretches of the phones' hashes are counted."""

    scope_id: UUID
    number: int
    run_ids: Sequence[UUID]
    stretches: int
    done: int

    @property
    def bounds(self) -> tuple[bytes, bytes]:
        """The hashes of phones in the stretch: from the first up to the second."""
        low, high = ((self.done + n << 16) // self.stretches for n in (0, 1))
        return low.to_bytes(2), _END if self.is_last else high.to_bytes(2)

    @property
    def is_last(self) -> bool:
        """Whether no stretch comes after it."""
        return self.done + 1 == self.stretches


CHANGES = timedelta(days=7)
"""So long after it is settled, a late receipt may still change what is counted of a run."""

SOONEST, SOON, SELDOM = timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=6)
"""The least time between two counts of a scope: of a run that is not settled, of a campaign or a
quarter with such a run, and after."""

REST = 30
"""A count that took a while is not made again before so many times that, or before `SELDOM`: it
may have waited for hours for a process to take it up again."""

ROWS = 500_000
"""About so many rows of the ledger are counted in one stretch."""

_ACTIVE = """
    ours AS MATERIALIZED (
        SELECT id FROM runs WHERE campaign_id IS NOT NULL AND settled_at IS NULL
        UNION ALL
        SELECT id FROM runs WHERE campaign_id IS NOT NULL AND settled_at > :changing
        UNION
        SELECT root_run_id FROM followups WHERE told_at > :changing
    ), active AS MATERIALIZED (
        SELECT r.id, r.follows, r.relation, coalesce(c.leg_of, r.campaign_id) AS campaign_id,
               r.department_id, r.class, r.settled_at,
               (SELECT max(told_at) FROM followups WHERE root_run_id = r.id) AS told_at,
               date_trunc('quarter', r.fire_at AT TIME ZONE 'Asia/Shanghai')::date AS quarter
        FROM ours o JOIN runs r USING (id) JOIN campaigns c ON c.id = r.campaign_id
        WHERE r.mode = 'real' AND r.started_at IS NOT NULL
    ), subjects AS MATERIALIZED (
        SELECT 'run' AS kind, root_of_resends(id) AS run_id, NULL::uuid AS campaign_id,
               NULL::uuid AS department_id, NULL::date AS quarter, NULL::text AS class, settled_at,
               told_at
        FROM active
        UNION ALL SELECT 'campaign', NULL, campaign_id, NULL, NULL, NULL, settled_at, told_at
            FROM active
        UNION ALL SELECT 'quarter', NULL, NULL, department_id, quarter, class, settled_at, told_at
            FROM active
        UNION ALL SELECT 'quarter', NULL, NULL, NULL, quarter, class, settled_at, told_at
            FROM active
    ), changing AS MATERIALIZED (
        SELECT kind, run_id, campaign_id, department_id, quarter, class,
               bool_or(settled_at IS NULL) AS is_open, max(settled_at) AS settled_at,
               max(told_at) AS told_at
        FROM subjects GROUP BY kind, run_id, campaign_id, department_id, quarter, class
    )
"""
"""Scopes with a run that may still change, by a receipt or since somebody was told face to face
(`told_at`: when last); `is_open`: whether one of them is not settled."""

_SAME = " AND ".join(
    f"s.{column} IS NOT DISTINCT FROM {{0}}.{column}"
    for column in ("run_id", "campaign_id", "department_id", "quarter", "class")
)


_OVER = (
    "coalesce((s.quarter + interval '3 months') AT TIME ZONE 'Asia/Shanghai'"
    " < :now::timestamptz, true)"
)
"""SQL: no run can come to the scope any more."""


async def add_scopes(conn: Connection, now: datetime) -> None:
    """Add the scopes of runs that may still change, those that are not there yet; one that was
    final is so no more once somebody was told.
    """
    await sql.execute(
        conn,
        f"""
        WITH {_ACTIVE}
        INSERT INTO coverage_scopes (kind, run_id, campaign_id, department_id, quarter, class)
        SELECT kind, run_id, campaign_id, department_id, quarter, class FROM changing c
        WHERE NOT EXISTS (
            SELECT FROM coverage_scopes s WHERE s.kind = c.kind AND {_SAME.format("c")})
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants
        changing=now - CHANGES,
    )
    await sql.execute(
        conn,
        f"""
        WITH {_ACTIVE}
        UPDATE coverage_scopes s SET final = false FROM changing c
        WHERE s.final AND c.told_at >= s.as_of AND c.kind = s.kind AND {_SAME.format("c")}
        """,  # noqa: S608  # constants
        changing=now - CHANGES,
    )


async def begin_due(conn: Connection, now: datetime) -> UUID | None:
    """Begin the count that has been due for longest: freeze its runs and cut them into stretches;
    returns its scope. A scope none of whose runs changes any more is counted once more.
    """
    scope_id: UUID | None = await sql.fetchval(
        conn,
        f"""
        WITH {_ACTIVE}, due AS (
            SELECT s.id, s.as_of FROM coverage_scopes s
            LEFT JOIN changing c ON c.kind = s.kind AND {_SAME.format("c")}
            WHERE NOT s.final AND s.began_at IS NULL
              AND (s.as_of IS NULL OR c.kind IS NULL AND {_OVER}
                   OR s.as_of < :now::timestamptz - greatest(
                        CASE WHEN NOT c.is_open AND coalesce(c.told_at < s.as_of, true)
                                  THEN :seldom::interval
                             WHEN s.kind = 'run' THEN :soonest ELSE :soon END,
                        least(s.took * :rest, :seldom))
                   OR NOT c.is_open AND s.as_of < c.settled_at)
            ORDER BY s.as_of NULLS FIRST, s.id LIMIT 1
        )
        SELECT s.id FROM coverage_scopes s JOIN due d USING (id)
        WHERE s.began_at IS NULL AND NOT s.final FOR UPDATE OF s SKIP LOCKED
        """,  # noqa: S608  # constants
        changing=now - CHANGES,
        now=now,
        soonest=SOONEST,
        soon=SOON,
        seldom=SELDOM,
        rest=REST,
    )
    if scope_id is not None:
        await _begin(conn, scope_id, now)
    return scope_id


async def begin(conn: Connection, scope: CoverageScope, now: datetime) -> UUID:
    """Begin a count anew, also of a scope that is final or was never counted, since its runs are
    older than coverage is; one under way is given up. Returns the scope's id.
    """
    scope_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO coverage_scopes (kind, run_id, campaign_id, department_id, quarter, class)
        VALUES (:kind, :run_id, :campaign_id, :department_id, :quarter, :message_class)
        ON CONFLICT ON CONSTRAINT coverage_scopes_subject DO UPDATE SET kind = excluded.kind
        RETURNING id  -- of one that is there, too, which is locked by this
        """,
        **scope._asdict(),
    )
    await _begin(conn, scope_id, now)
    return scope_id


async def _begin(conn: Connection, scope_id: UUID, now: datetime) -> None:
    await sql.execute(
        conn,
        """
        DELETE FROM coverage_facts f USING coverage_scopes s
        WHERE s.id = :scope_id AND f.scope_id = s.id AND f.count_no <> s.shown
        """,
        scope_id=scope_id,
    )
    await sql.execute(
        conn,
        """
        UPDATE coverage_scopes s SET began_at = :now, done = 0, run_ids = r.ids,
            stretches = power(2, ceil(log(2, greatest(ceil(r.rows / :rows::numeric), 1))))
        FROM (SELECT coalesce(array_agg(r.id ORDER BY r.id), '{}') AS ids,
                     coalesce(sum(r.target), 0) AS rows
              FROM coverage_scopes s, LATERAL runs_of_scope(s) i(id) JOIN runs r ON r.id = i.id
              WHERE s.id = :scope_id AND r.mode = 'real' AND r.started_at IS NOT NULL) r
        WHERE s.id = :scope_id
        """,
        scope_id=scope_id,
        now=now,
        rows=ROWS,
    )


async def lock_under_way(conn: Connection) -> CountUnderWay | None:
    """A count that has begun and that nobody else works on, locked; the oldest."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT id, shown + 1 AS number, run_ids, stretches, done FROM coverage_scopes
        WHERE began_at IS NOT NULL ORDER BY began_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
    )
    return None if row is None else CountUnderWay(*row)


async def note_done(conn: Connection, count: CountUnderWay) -> None:
    """A stretch is counted."""
    await sql.execute(
        conn,
        "UPDATE coverage_scopes SET done = done + 1 WHERE id = :scope_id",
        scope_id=count.scope_id,
    )


async def show(conn: Connection, count: CountUnderWay, now: datetime) -> None:
    """The count is whole: add it up by towns, and show it in place of the one before. It is the
    last one if none of its runs may still change.
    """
    await sql.execute(
        conn,
        """
        WITH RECURSIVE up AS (
            SELECT code AS area_code, code, level, parent_code FROM areas
            UNION ALL
            SELECT up.area_code, a.code, a.level, a.parent_code
            FROM up JOIN areas a ON a.code = up.parent_code
            WHERE up.level IN ('village', 'community', 'group')
        ), town AS (
            SELECT area_code, code FROM up WHERE level NOT IN ('village', 'community', 'group')
        )
        INSERT INTO coverage_town_facts
            (scope_id, count_no, role, area_code, outcome, reason, people)
        SELECT :scope_id, :number, f.role, coalesce(t.code, f.area_code), f.outcome, f.reason,
               sum(f.people)
        FROM coverage_facts f LEFT JOIN town t USING (area_code)
        WHERE f.scope_id = :scope_id AND f.count_no = :number
        GROUP BY 3, 4, 5, 6
        """,
        scope_id=count.scope_id,
        number=count.number,
    )
    await sql.execute(
        conn,
        f"""
        WITH {_ACTIVE}
        UPDATE coverage_scopes s
        SET shown = :number, as_of = s.began_at, took = :now::timestamptz - s.began_at,
            began_at = NULL, run_ids = NULL, stretches = NULL, done = NULL,
            final = NOT EXISTS (
                SELECT FROM changing c WHERE c.kind = s.kind AND {_SAME.format("c")})
                AND {_OVER}
        WHERE s.id = :scope_id
        """,  # noqa: S608  # constants
        changing=now - CHANGES,
        scope_id=count.scope_id,
        number=count.number,
        now=now,
    )
    for facts in ("coverage_facts", "coverage_town_facts"):
        await sql.execute(
            conn,
            f"DELETE FROM {facts} WHERE scope_id = :scope_id AND count_no < :number",  # noqa: S608
            scope_id=count.scope_id,
            number=count.number,
        )


async def find_scope(conn: Connection, scope: CoverageScope) -> UUID | None:
    """The id of a scope; None: there is nothing to count."""
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT id FROM coverage_scopes
        WHERE kind = :kind AND run_id IS NOT DISTINCT FROM :run_id
          AND campaign_id IS NOT DISTINCT FROM :campaign_id
          AND department_id IS NOT DISTINCT FROM :department_id
          AND quarter IS NOT DISTINCT FROM :quarter AND class IS NOT DISTINCT FROM :message_class
        """,
        **scope._asdict(),
    )
    return found


async def root_run(conn: Connection, run_id: UUID) -> UUID:
    """The run that this one was sent again of; itself, if of none."""
    root: UUID = await sql.fetchval(conn, "SELECT root_of_resends(:run_id)", run_id=run_id)
    return root
