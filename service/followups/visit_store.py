"""The SQL of the people whom a run missed: written down, counted, listed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.suppressions.suppression_store import stops
from service.followups.followup_store import Followup
from service.followups.ladder import NEVER_LEFT, NO_NUMBER, REFUSALS, FollowupStep, PersonState
from service.ledger.reasons import Reason
from service.reports.coverage.outcomes import RANK_SQL, PersonOutcome
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

_RANK = list(PersonOutcome)

_ERASED = """EXISTS (
    SELECT FROM erasures x WHERE x.phone_hash = {p}.phone_hash AND x.erased_at >= r.created_at
      AND (x.department_id IS NULL OR x.department_id = r.department_id))"""
"""SQL: the person of row {p} was erased since run `r` was made."""

_REFUSED = f"""EXISTS (
    SELECT FROM suppressions x WHERE x.phone_hash = {{p}}.phone_hash AND x.reason = ANY (:refusals)
      AND {stops("x", "r.class", "r.department_id", ":now")})"""
"""SQL: the person of row {p} wants no such texts as those of run `r`."""

_REACHED_BY = """(
    SELECT m.run_id FROM unnest(:runs::uuid[]) AS o(id), LATERAL (
        SELECT run_id, state FROM messages
        WHERE run_id = o.id AND phone_hash = {v}.phone_hash OFFSET 0) m
    WHERE m.state = 'delivered' LIMIT 1)"""
"""SQL: the run whose text reached the person of row {v}; NULL: none."""

_INSERT = sql.load(
    __file__,
    "visit_people.sql",
    rank=RANK_SQL.format("m"),
    is_erased=_ERASED.format(p="m"),
    is_refused=_REFUSED.format(p="m"),
    erased=f"'{Reason.ERASED}'",
    opted_out=f"'{Reason.OPTED_OUT}'",
)

BELOW_SQL = """
    below AS (
        SELECT code FROM areas WHERE code = :area
        UNION ALL SELECT a.code FROM areas a JOIN below b ON a.parent_code = b.code
    )"""
"""SQL: an area and all that lie in it; without one, none."""


async def write_people(
    conn: Connection, followup: Followup, runs: Sequence[UUID], now: datetime
) -> int:
    """Write down everybody whom the runs missed; returns how many."""
    status = await sql.execute(
        conn,
        _INSERT,
        followup_id=followup.id,
        root=followup.root_run_id,
        runs=list(runs),
        roles=list(followup.roles),
        include_refused=followup.include_refused,
        visited=any(one.step is FollowupStep.VISIT for one in followup.steps),
        excluded=_RANK.index(PersonOutcome.EXCLUDED),
        stopped=_RANK.index(PersonOutcome.STOPPED),
        missed=[_RANK.index(PersonOutcome.UNKNOWN), _RANK.index(PersonOutcome.FAILED)],
        no_number=list(NO_NUMBER),
        refusals=list(REFUSALS),
        never_left=list(NEVER_LEFT),
        now=now,
    )
    return affected(status)


async def let_reached_go(
    conn: Connection, followup: Followup, runs: Sequence[UUID], now: datetime
) -> int:
    """End the follow-up of everybody who is reached meanwhile, wants no texts, or was erased;
    returns of how many.
    """
    refused = "false" if followup.include_refused else _REFUSED.format(p="v")
    values: dict[str, Any] = (
        {} if followup.include_refused else {"refusals": list(REFUSALS), "now": now}
    )
    status = await sql.execute(
        conn,
        f"""
        WITH found AS MATERIALIZED (
            SELECT v.id, {_REACHED_BY.format(v="v")} AS run_id, {refused} AS refused,
                   {_ERASED.format(p="v")} AS erased
            FROM visits v, (SELECT class, department_id, created_at FROM runs WHERE id = :root) r
            WHERE v.followup_id = :followup_id AND v.state IN ('waiting', 'open')
        )
        UPDATE visits v
        SET state = CASE WHEN f.run_id IS NOT NULL THEN 'reached'
                         WHEN f.erased THEN '{Reason.ERASED}' ELSE '{Reason.OPTED_OUT}' END,
            step = CASE WHEN f.run_id IS NOT NULL THEN coalesce((
                SELECT s.step FROM followup_steps s
                WHERE s.followup_id = :followup_id AND s.run_id = f.run_id), '') ELSE '' END
        FROM found f
        WHERE v.id = f.id AND v.state IN ('waiting', 'open')
          AND (f.run_id IS NOT NULL OR f.refused OR f.erased)
        """,  # noqa: S608  # constants and placeholders
        followup_id=followup.id,
        root=followup.root_run_id,
        runs=list(runs),
        **values,
    )
    return affected(status)


async def open_visits(conn: Connection, followup_id: UUID, roles: Sequence[str]) -> None:
    """Put everybody who waits on the list of visits; who is of none of the roles is left."""
    await sql.execute(
        conn,
        """
        UPDATE visits SET state = CASE
            WHEN :roles = '{}'::text[] OR roles && :roles THEN 'open' ELSE 'left' END
        WHERE followup_id = :followup_id AND state = 'waiting'
        """,
        followup_id=followup_id,
        roles=list(roles),
    )


async def leave_rest(conn: Connection, followup_id: UUID) -> None:
    """Nobody goes to those any more who are still to be visited."""
    await sql.execute(
        conn,
        """
        UPDATE visits SET state = 'left'
        WHERE followup_id = :followup_id AND state IN ('waiting', 'open')
        """,
        followup_id=followup_id,
    )


class VillageCount(NamedTuple):
    """So many people of a village are in a state. step: at which one it ended. visited: whether
    somebody went there; disputed: of how many two results contradict each other.
    """

    village: str
    state: PersonState
    step: str
    people: int
    visited: int
    disputed: int


async def count_people(
    conn: Connection, followup_id: UUID, area: str | None, *, bounded: bool
) -> list[VillageCount]:
    """Everybody whom the run missed, by village, state and step. bounded: only of `area`."""
    rows = await sql.fetch(
        conn,
        f"""
        WITH RECURSIVE {BELOW_SQL}
        SELECT v.village, v.state, v.step, count(*)::int AS people,
               count(*) FILTER (WHERE EXISTS (
                   SELECT FROM visit_tries t WHERE t.visit_id = v.id))::int AS visited,
               count(*) FILTER (WHERE v.disputed)::int AS disputed
        FROM visits v
        WHERE v.followup_id = :followup_id
          AND (NOT :bounded OR v.area_code IN (SELECT code FROM below))
        GROUP BY v.village, v.state, v.step ORDER BY v.village, v.state, v.step
        """,  # noqa: S608  # a constant
        followup_id=followup_id,
        area=area,
        bounded=bounded,
    )
    return [VillageCount(row[0], PersonState(row[1]), *row[2:]) for row in map(tuple, rows)]


class VisitsWanted(NamedTuple):
    """Which people of a follow-up. bounded: only of `area`, by its code. village: only of this one
    ("": of whom none is known); None: of all. state: None: in any.
    """

    bounded: bool
    area: str | None
    village: str | None = None
    state: str | None = None


async def list_visits(
    conn: Connection,
    followup: Followup,
    runs: Sequence[UUID],
    wanted: VisitsWanted,
    page: tuple[UUID | None, int],
    now: datetime,
) -> list[Record]:
    """A page of the people of a follow-up, by village, with what is known of them now: nothing of
    whoever was erased. Who was reached or refused just now is on no list of visits any more.

    page: after which visit (None: from the beginning), and how many.
    """
    after, limit = page
    return await sql.fetch(
        conn,
        f"""
        WITH RECURSIVE {BELOW_SQL}
        SELECT v.id, v.phone_hash, v.village, v.area_code, v.roles, v.reason, v.state, v.step,
               v.not_home, v.disputed, c.name_cipher,
               coalesce(c.phone_cipher, m.phone_cipher) AS phone_cipher,
               c.age_band IS NOT DISTINCT FROM '14-17' AS minor,
               (SELECT count(*) FROM visit_tries t WHERE t.visit_id = v.id)::int AS tries,
               (SELECT max(on_day) FROM visit_tries t WHERE t.visit_id = v.id) AS last_on
        FROM (SELECT class, department_id, created_at FROM runs WHERE id = :root) r, visits v
        LEFT JOIN LATERAL (
            SELECT name_cipher, phone_cipher, age_band FROM contacts
            WHERE department_id = :department_id AND phone_hash = v.phone_hash
              AND v.state <> '{Reason.ERASED}' AND :names LIMIT 1) c ON true
        LEFT JOIN LATERAL (
            SELECT t.phone_cipher FROM unnest(:runs::uuid[]) AS o(id), LATERAL (
                SELECT phone_cipher FROM messages
                WHERE run_id = o.id AND phone_hash = v.phone_hash OFFSET 0) t
            WHERE v.state <> '{Reason.ERASED}' AND :names LIMIT 1) m ON true
        WHERE v.followup_id = :followup_id
          AND (NOT :bounded OR v.area_code IN (SELECT code FROM below))
          AND (:village::text IS NULL OR v.village = :village)
          AND (:state::text IS NULL OR v.state = :state)
          AND (:after::uuid IS NULL OR (v.village, v.id) > (
              SELECT village, id FROM visits WHERE id = :after))
          AND NOT (v.state = 'open' AND ({_REACHED_BY.format(v="v")} IS NOT NULL
                   OR {_ERASED.format(p="v")}
                   OR NOT :include_refused AND {_REFUSED.format(p="v")}))
        ORDER BY v.village, v.id LIMIT :limit
        """,  # noqa: S608  # constants and placeholders
        followup_id=followup.id,
        department_id=followup.department_id,
        root=followup.root_run_id,
        runs=list(runs),
        names=not followup.names_dropped,
        include_refused=followup.include_refused,
        refusals=list(REFUSALS),
        after=after,
        limit=limit,
        **wanted._asdict(),
        now=now,
    )


async def is_over(conn: Connection, followup_id: UUID) -> bool:
    """Whether nobody is to be visited any more, and every village where somebody was is signed."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT NOT EXISTS (
            SELECT FROM visits v WHERE v.followup_id = :followup_id AND (
                v.state IN ('waiting', 'open')
                OR EXISTS (SELECT FROM visit_tries t WHERE t.visit_id = v.id)
                   AND NOT EXISTS (SELECT FROM sign_offs s WHERE s.followup_id = v.followup_id
                                     AND s.village = v.village)))
        """,
        followup_id=followup_id,
    )
    return found
