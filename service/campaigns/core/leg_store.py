"""The tables of legs in SQL: what each department was asked, what it answered, what was left out.

Whoever locks a joint plan and its legs locks the plan first; the campaigns of its legs come after
it, in the order of their ids.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.core.legs import LEG_MOVES, Leg, LegState, TakenAs, WrongLegState
from service.campaigns.core.model import ENDED
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

_LEG = """
    SELECT l.id, l.campaign_id, p.name AS plan, pd.name AS planned_by, l.department_id,
           d.name AS department, d.carrier, l.state,
           coalesce(l.asked_areas, l.areas) AS areas, l.areas AS approved_areas,
           l.taken_by, l.taken_at, l.own_campaign_id, o.state AS own_state, l.paused_by,
           l.paused_at, l.taken_areas, o.baseline, o.schedule->'send_hours' AS send_hours,
           o.channels, o.max_tps
    FROM campaign_legs l JOIN departments d ON d.id = l.department_id
    JOIN campaigns p ON p.id = l.campaign_id JOIN departments pd ON pd.id = p.department_id
    LEFT JOIN campaigns o ON o.id = l.own_campaign_id
"""

WAIT_FOR_LEGS = timedelta(days=31)
"""How long after the last fire of a plan without an end a leg may still be taken."""


class LegMove(NamedTuple):
    """One line of a leg's record."""

    leg_id: UUID
    from_state: str
    to_state: str
    user_id: UUID | None
    reason: str
    at: datetime


class LegLeftOut(NamedTuple):
    """A fire of a joint plan that had to go without a leg. made_up_at: when it was made up for."""

    leg_id: UUID
    planned_at: datetime
    state: str
    at: datetime
    made_up_at: datetime | None


_OF_ITS_CAMPAIGN = frozenset({"taken_areas", "baseline", "send_hours", "channels", "max_tps"})


def _leg(row: Record) -> Leg:
    kept = {name: value for name, value in row.items() if name not in _OF_ITS_CAMPAIGN}
    return Leg(
        **{
            **kept,
            "areas": tuple(row["areas"]),
            "approved_areas": tuple(row["approved_areas"]),
            "state": LegState(row["state"]),
            "taken_as": _taken_as(row),
        }
    )


def _taken_as(row: Record) -> TakenAs | None:
    if row["own_campaign_id"] is None:
        return None
    return TakenAs(
        people=row["baseline"] or 0,
        areas=tuple(row["taken_areas"] or ()),
        send_hours=tuple((start, end) for start, end in row["send_hours"]),
        channels=None if row["channels"] is None else tuple(row["channels"]),
        max_tps=row["max_tps"],
    )


async def list_legs(conn: Connection, plan_id: UUID) -> list[Leg]:
    """The legs of a joint plan, in the order in which they were planned."""
    rows = await sql.fetch(
        conn, f"{_LEG} WHERE l.campaign_id = :plan_id ORDER BY l.id", plan_id=plan_id
    )
    return [_leg(row) for row in rows]


async def get_leg(conn: Connection, leg_id: UUID, *, lock: bool = False) -> Leg | None:
    """One leg; `lock` keeps all others from moving it."""
    query = f"{_LEG} WHERE l.id = :leg_id" + " FOR UPDATE OF l" * lock
    row = await sql.fetchrow(conn, query, leg_id=leg_id)
    return _leg(row) if row else None


async def leg_of_campaign(conn: Connection, campaign_id: UUID) -> Leg | None:
    """The leg that a campaign is; None: it is none."""
    row = await sql.fetchrow(
        conn, f"{_LEG} WHERE l.own_campaign_id = :campaign_id", campaign_id=campaign_id
    )
    return _leg(row) if row else None


async def legs_asked(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int, state: str | None
) -> list[Leg]:
    """A page of the legs of a department (None: of all) of plans that were approved, from new to
    old; `state` keeps only those in it.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_LEG}
        WHERE (:scope::uuid IS NULL OR l.department_id = :scope) AND l.state <> 'planned'
          AND (:before::uuid IS NULL OR l.id < :before)
          AND (:state::text IS NULL OR l.state = :state)
        ORDER BY l.id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
        state=state,
    )
    return [_leg(row) for row in rows]


async def move_leg(conn: Connection, leg: Leg, to: LegState, by: By) -> None:
    """Move a leg and record it.

    Raises:
        WrongLegState: its state does not allow that.
    """
    status = await sql.execute(
        conn,
        """
        WITH moved AS (
            UPDATE campaign_legs SET state = :to WHERE id = :leg_id AND state = ANY (:states)
            RETURNING id, old.state AS from_state
        )
        INSERT INTO campaign_leg_moves (leg_id, from_state, to_state, user_id, reason, at)
        SELECT id, from_state, :to, :user_id, :reason, :at FROM moved
        """,
        leg_id=leg.id,
        to=to.value,
        states=sorted(LEG_MOVES[to]),
        user_id=by.user_id,
        reason=by.reason,
        at=by.at,
    )
    if not affected(status):
        raise WrongLegState(to, leg.state)


async def set_taken(
    conn: Connection, leg: Leg, own_campaign_id: UUID, areas: Collection[str], by: By
) -> None:
    """Note who took a leg, for which areas, and which campaign it is from now on; `move_leg` comes
    after.
    """
    await sql.execute(
        conn,
        """
        UPDATE campaign_legs
        SET taken_by = :user_id, taken_at = :at, own_campaign_id = :own_campaign_id,
            taken_areas = :areas
        WHERE id = :leg_id
        """,
        leg_id=leg.id,
        user_id=by.user_id,
        at=by.at,
        own_campaign_id=own_campaign_id,
        areas=sorted(areas),
    )


async def set_paused(conn: Connection, leg: Leg, by: By | None) -> None:
    """Note that the leg's own department paused it; None: it has let it go on."""
    await sql.execute(
        conn,
        "UPDATE campaign_legs SET paused_by = :user_id, paused_at = :at WHERE id = :leg_id",
        leg_id=leg.id,
        user_id=by.user_id if by else None,
        at=by.at if by else None,
    )


async def set_areas(conn: Connection, leg: Leg, areas: Collection[str]) -> None:
    """Change what is asked of a leg that nobody has taken; what was approved stays."""
    await sql.execute(
        conn,
        "UPDATE campaign_legs SET asked_areas = :areas WHERE id = :leg_id AND state <> 'taken'",
        leg_id=leg.id,
        areas=sorted(areas),
    )


async def own_campaigns(conn: Connection, plan_id: UUID) -> list[UUID]:
    """The campaigns of the legs that were taken and have not ended, in the order of locks."""
    rows = await sql.fetch(
        conn,
        """
        SELECT c.id FROM campaign_legs l JOIN campaigns c ON c.id = l.own_campaign_id
        WHERE l.campaign_id = :plan_id AND c.state <> ALL (:ended) ORDER BY c.id
        """,
        plan_id=plan_id,
        ended=[state.value for state in ENDED],
    )
    return [row["id"] for row in rows]


async def paused_with_plan(conn: Connection, plan_id: UUID) -> list[UUID]:
    """The campaigns of the legs that were paused with their plan, in the order of locks: neither by
    somebody of their own department, nor by the service, which says why in a code.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT c.id FROM campaign_legs l JOIN campaigns c ON c.id = l.own_campaign_id
        WHERE l.campaign_id = :plan_id AND l.paused_by IS NULL AND c.state = 'paused' AND '' = (
            SELECT m.code FROM campaign_moves m WHERE m.campaign_id = c.id
            ORDER BY m.id DESC LIMIT 1)
        ORDER BY c.id
        """,
        plan_id=plan_id,
    )
    return [row["id"] for row in rows]


async def note_left_out(
    conn: Connection, legs: Sequence[Leg], planned_at: datetime, now: datetime
) -> None:
    """Record the legs without which a fire of their plan takes place, and tell both sides."""
    await sql.executemany(
        conn,
        """
        INSERT INTO left_out_legs (leg_id, planned_at, state, at)
        VALUES (:leg_id, :planned_at, :state, :now) ON CONFLICT DO NOTHING
        """,
        [
            {"leg_id": leg.id, "planned_at": planned_at, "state": leg.state.value, "now": now}
            for leg in legs
        ],
    )


async def note_made_up(
    conn: Connection, own_campaign_id: UUID, planned_at: datetime, now: datetime
) -> None:
    """A leg that was left out of a fire has made up for it."""
    await sql.execute(
        conn,
        """
        UPDATE left_out_legs SET made_up_at = :now
        WHERE planned_at = :planned_at AND leg_id = (
            SELECT id FROM campaign_legs WHERE own_campaign_id = :own_campaign_id)
        """,
        own_campaign_id=own_campaign_id,
        planned_at=planned_at,
        now=now,
    )


async def list_left_out(conn: Connection, plan_id: UUID) -> list[LegLeftOut]:
    """The fires of a plan that had to go without a leg, in order."""
    rows = await sql.fetch(
        conn,
        """
        SELECT o.leg_id, o.planned_at, o.state, o.at, o.made_up_at
        FROM left_out_legs o JOIN campaign_legs l ON l.id = o.leg_id
        WHERE l.campaign_id = :plan_id ORDER BY o.planned_at, o.leg_id
        """,
        plan_id=plan_id,
    )
    return [LegLeftOut(*row) for row in rows]


async def list_leg_moves(conn: Connection, plan_id: UUID) -> list[LegMove]:
    """Everything that happened to the legs of a plan, from old to new."""
    rows = await sql.fetch(
        conn,
        """
        SELECT m.leg_id, m.from_state, m.to_state, m.user_id, m.reason, m.at
        FROM campaign_leg_moves m JOIN campaign_legs l ON l.id = m.leg_id
        WHERE l.campaign_id = :plan_id ORDER BY m.id
        """,
        plan_id=plan_id,
    )
    return [LegMove(*row) for row in rows]


async def plans_that_are_over(
    conn: Connection, now: datetime, plan_id: UUID | None = None
) -> list[UUID]:
    """Joint plans that send, of which no fire is to come and no leg sends any more; `plan_id`: that
    one, if it is so.

    A leg that nobody has taken waits to the end of the plan's period, or for `WAIT_FOR_LEGS` after
    the last fire; one whose plan skips late fires does not wait.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT p.id FROM campaigns p
        WHERE p.joint AND p.state IN ('scheduled', 'running') AND p.next_fire_at IS NULL
          AND (:plan_id::uuid IS NULL OR p.id = :plan_id)
          AND NOT EXISTS (
            SELECT FROM campaign_legs l JOIN campaigns c ON c.id = l.own_campaign_id
            WHERE l.campaign_id = p.id AND c.state <> ALL (:ended))
          AND NOT EXISTS (
            SELECT FROM campaign_fires f WHERE f.campaign_id = p.id AND f.outcome = 'held')
          AND (p.schedule->>'late' = 'skip'
               OR NOT EXISTS (
                 SELECT FROM campaign_legs l
                 WHERE l.campaign_id = p.id AND l.state = ANY (:waiting))
               OR :now >= coalesce(p.period_end, :wait::interval + (
                 SELECT max(f.planned_at) FROM campaign_fires f
                 WHERE f.campaign_id = p.id AND f.outcome <> 'missed')))
        ORDER BY p.id
        """,
        now=now,
        plan_id=plan_id,
        ended=[state.value for state in ENDED],
        waiting=sorted(LEG_MOVES[LegState.LEFT_OUT]),
        wait=WAIT_FOR_LEGS,
    )
    return [row["id"] for row in rows]
