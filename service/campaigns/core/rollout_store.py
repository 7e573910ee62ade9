"""The SQL of staggered rollouts: drawn once, read by each wave's ledger, revealed at the end."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.campaigns.core.rollout import RolloutTerms, RolloutVillage, Strata
from service.storage import sql
from service.storage.postgres import Connection, Record
from service.storage.sql import Condition


class Rollout(NamedTuple):
    """A draw. power: what it could find, simulated before. seed: None until it is revealed.

    state: of its campaign. dates: the days of its waves, as the campaign has them now.
    """

    id: UUID
    campaign_id: UUID
    department_id: UUID
    name: str
    state: str
    waves: int
    every_days: int
    strata: Strata
    seed_sha256: bytes
    order_sha256: bytes
    power: Mapping[str, Any]
    drawn_by: UUID
    drawn_at: datetime
    revealed_at: datetime | None
    seed: bytes | None
    dates: Sequence[date]

    @property
    def terms(self) -> RolloutTerms:
        """Its terms."""
        return RolloutTerms(self.waves, self.every_days, self.strata)


_ROLLOUT = """
    SELECT r.id, r.campaign_id, c.department_id, c.name, c.state::text, r.waves, r.every_days,
           r.strata, r.seed_sha256, r.order_sha256, r.power, r.drawn_by, r.drawn_at, r.revealed_at,
           CASE WHEN r.revealed_at IS NOT NULL THEN r.seed END AS seed,
           c.schedule->'dates' AS dates
    FROM rollouts r JOIN campaigns c ON c.id = r.campaign_id
"""


async def insert_rollout(
    conn: Connection,
    campaign_id: UUID,
    terms: RolloutTerms,
    seeds: tuple[bytes, bytes],
    villages: Sequence[RolloutVillage],
    power: Mapping[str, Any],
    by: tuple[UUID, datetime],
) -> bool:
    """Keep a draw; False: the campaign has one. seeds: the seed and the hash of the order."""
    status = await sql.execute(
        conn,
        """
        INSERT INTO rollouts (campaign_id, waves, every_days, strata, seed, seed_sha256,
                              order_sha256, power, drawn_by, drawn_at)
        VALUES (:campaign_id, :waves, :every_days, :strata, :seed, sha256(:seed), :order_sha256,
                :power, :drawn_by, :drawn_at)
        ON CONFLICT (campaign_id) DO NOTHING
        """,
        campaign_id=campaign_id,
        **terms._asdict(),
        seed=seeds[0],
        order_sha256=seeds[1],
        power=power,
        drawn_by=by[0],
        drawn_at=by[1],
    )
    if status.endswith(" 0"):
        return False
    await sql.execute(
        conn,
        """
        INSERT INTO rollout_areas (campaign_id, area_code, wave, stratum, people)
        SELECT :campaign_id, v.* FROM unnest(
            :areas::text[], :waves::smallint[], :strata::text[], :people::int[]) AS v
        """,
        campaign_id=campaign_id,
        areas=[one.area_code for one in villages],
        waves=[one.wave for one in villages],
        strata=[one.stratum for one in villages],
        people=[one.people for one in villages],
    )
    return True


async def find_terms(conn: Connection, campaign_id: UUID) -> RolloutTerms | None:
    """The terms of a campaign's rollout; None: it has none."""
    row = await sql.fetchrow(
        conn,
        "SELECT waves, every_days, strata FROM rollouts WHERE campaign_id = :campaign_id",
        campaign_id=campaign_id,
    )
    return RolloutTerms(**row) if row else None


async def get_rollout(
    conn: Connection, rollout_id: UUID, departments: Sequence[UUID] | None
) -> Rollout | None:
    """One rollout, by its own id or that of its campaign, of these departments; None: of any."""
    row = await sql.fetchrow(
        conn,
        _ROLLOUT
        + """
        WHERE (r.id = :rollout_id OR r.campaign_id = :rollout_id)
          AND (:departments::uuid[] IS NULL OR c.department_id = ANY (:departments))
        """,
        rollout_id=rollout_id,
        departments=departments,
    )
    return _rollout(row) if row else None


async def list_rollouts(
    conn: Connection, departments: Sequence[UUID] | None, before: UUID | None, limit: int
) -> list[Rollout]:
    """A page of all rollouts that were ever drawn, the latest first."""
    rows = await sql.fetch(
        conn,
        _ROLLOUT
        + """
        WHERE (:before::uuid IS NULL OR r.id < :before)
          AND (:departments::uuid[] IS NULL OR c.department_id = ANY (:departments))
        ORDER BY r.id DESC LIMIT :limit
        """,
        before=before,
        departments=departments,
        limit=limit,
    )
    return [_rollout(row) for row in rows]


def _rollout(row: Record) -> Rollout:
    days = [date.fromisoformat(day) for day in row["dates"] or ()]
    return Rollout(**{**row, "dates": days})


async def list_villages(conn: Connection, campaign_id: UUID) -> list[RolloutVillage]:
    """The villages of a rollout with their waves, by code."""
    rows = await sql.fetch(
        conn,
        """
        SELECT area_code, wave, stratum, people FROM rollout_areas
        WHERE campaign_id = :campaign_id ORDER BY area_code
        """,
        campaign_id=campaign_id,
    )
    return [RolloutVillage(**row) for row in rows]


async def wave_of_run(conn: Connection, run_id: UUID) -> int | None:
    """Of which wave a run is, from 1 on; None: it is of no fire of a rollout. It is the place of
    its planned day among those of the schedule that was approved.
    """
    wave: int | None = await sql.fetchval(
        conn,
        """
        SELECT d.no::int
        FROM campaign_fires f
        JOIN rollouts r ON r.campaign_id = f.campaign_id
        JOIN campaigns c ON c.id = f.campaign_id,
            jsonb_array_elements_text(c.schedule->'dates') WITH ORDINALITY AS d(day, no)
        WHERE f.run_id = :run_id
          AND d.day::date = (f.planned_at AT TIME ZONE (c.schedule->>'timezone'))::date
        """,
        run_id=run_id,
    )
    return wave


async def is_expanded_before(conn: Connection, run_id: UUID) -> bool:
    """Whether the ledgers of all earlier runs of the same campaign are whole."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT NOT EXISTS (
            SELECT FROM runs r JOIN runs o ON o.campaign_id = r.campaign_id
            WHERE r.id = :run_id AND o.id < r.id AND o.state = 'expanding')
        """,
        run_id=run_id,
    )
    return found


def up_to_wave(campaign_id: UUID, wave: int) -> Condition:
    """The condition on a contact `c` that its village has its turn by this wave. Who lives in no
    village of the rollout has it with the last one.
    """
    return Condition(
        """(
            (SELECT waves FROM rollouts WHERE campaign_id = :rollout::uuid) <= :wave::int
            OR c.area_code IN (
                WITH RECURSIVE turn AS (
                    SELECT area_code FROM rollout_areas
                    WHERE campaign_id = :rollout::uuid AND wave <= :wave::int
                    UNION
                    SELECT a.code FROM turn t JOIN areas a ON a.parent_code = t.area_code)
                SELECT area_code FROM turn))""",
        {"rollout": campaign_id, "wave": wave},
    )


class ToReveal(NamedTuple):
    """A rollout that is over, of which nobody has the seed yet."""

    campaign_id: UUID
    department_id: UUID
    seed: bytes


async def reveal_next(conn: Connection, now: datetime) -> ToReveal | None:
    """Mark one rollout as revealed whose last wave has fired, or whose campaign has ended."""
    row = await sql.fetchrow(
        conn,
        """
        UPDATE rollouts SET revealed_at = :now WHERE campaign_id = (
            SELECT r.campaign_id FROM rollouts r JOIN campaigns c ON c.id = r.campaign_id
            WHERE r.revealed_at IS NULL
              AND (c.state IN ('done', 'cancelled', 'rejected')
                   OR EXISTS (
                       SELECT FROM campaign_fires f
                       WHERE f.campaign_id = c.id AND f.outcome IN ('fired', 'skipped')
                         AND (f.planned_at AT TIME ZONE (c.schedule->>'timezone'))::date
                             = (c.schedule->'dates'->>-1)::date))
            LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
        RETURNING campaign_id, seed,
            (SELECT department_id FROM campaigns c WHERE c.id = rollouts.campaign_id)
        """,
        now=now,
    )
    return ToReveal(**row) if row else None
