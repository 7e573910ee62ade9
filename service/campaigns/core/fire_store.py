"""The record of each campaign's fires, in SQL: what became of each, once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.campaigns.calendar.fires import Fire
from service.storage import sql
from service.storage.postgres import Connection, affected


class FireRecord(NamedTuple):
    """What became of a fire. run_id: of one that took place. code: why it did not by itself in time
    (`fires.Why`). released_at: of one that was held, when a person let it go. others, people: see
    `fires.Fire`, of one that was held for that.
    """

    planned_at: datetime
    outcome: str
    code: str
    note: str
    run_id: UUID | None
    released_at: datetime | None
    at: datetime
    others: int | None
    people: int | None


_FIRE = """
    SELECT planned_at, outcome, code, note, run_id, released_at, at, others, people
    FROM campaign_fires
"""


async def last_planned(conn: Connection, campaign_id: UUID) -> datetime | None:
    """The planned instant of the last fire of a campaign that was dealt with, or waits for a
    person. One that was missed may still take place.
    """
    found: datetime | None = await sql.fetchval(
        conn,
        """
        SELECT max(planned_at) FROM campaign_fires
        WHERE campaign_id = :campaign_id AND outcome <> 'missed'
        """,
        campaign_id=campaign_id,
    )
    return found


async def insert_skipped(
    conn: Connection, campaign_id: UUID, skipped: Sequence[Fire], now: datetime
) -> None:
    """Record fires that do not take place; they may have been missed or held before."""
    await sql.executemany(
        conn,
        """
        INSERT INTO campaign_fires AS f (campaign_id, planned_at, outcome, note, code, at)
        VALUES (:campaign_id, :planned_at, 'skipped', :note, :code, :now)
        ON CONFLICT (campaign_id, planned_at) DO UPDATE
            SET outcome = 'skipped', note = excluded.note, code = excluded.code, at = excluded.at,
                released_at = NULL, released_by = NULL
        WHERE f.outcome IN ('missed', 'held')
        """,
        [_row(campaign_id, fire, now) for fire in skipped],
    )


async def insert_fired(
    conn: Connection, campaign_id: UUID, fire: Fire, run_id: UUID, now: datetime
) -> None:
    """Record a fire that takes place; it may have been missed or held before.

    Raises:
        ValueError: it was dealt with before.
    """
    status = await sql.execute(
        conn,
        """
        INSERT INTO campaign_fires AS f (campaign_id, planned_at, outcome, note, code, run_id, at)
        VALUES (:campaign_id, :planned_at, 'fired', :note, :code, :run_id, :now)
        ON CONFLICT (campaign_id, planned_at) DO UPDATE
            SET outcome = 'fired', note = excluded.note, code = excluded.code,
                run_id = excluded.run_id, at = excluded.at
        WHERE f.outcome IN ('missed', 'held')
        """,
        campaign_id=campaign_id,
        planned_at=fire.planned_at,
        note=fire.note,
        code=fire.code,
        run_id=run_id,
        now=now,
    )
    if not affected(status):
        raise ValueError(f"the fire of {fire.planned_at} was dealt with before")


async def insert_shared(conn: Connection, campaign_id: UUID, fire: Fire, now: datetime) -> None:
    """Record a fire of a joint plan, which takes place in its legs."""
    await sql.execute(
        conn,
        """
        INSERT INTO campaign_fires AS f (campaign_id, planned_at, outcome, note, code, at)
        VALUES (:campaign_id, :planned_at, 'shared', :note, :code, :now)
        ON CONFLICT (campaign_id, planned_at) DO UPDATE
            SET outcome = 'shared', note = excluded.note, code = excluded.code, at = excluded.at
        WHERE f.outcome IN ('missed', 'held')
        """,
        **_row(campaign_id, fire, now),
    )


async def insert_held(
    conn: Connection,
    campaign_id: UUID,
    fire: Fire,
    now: datetime,
    released_by: UUID | None = None,
) -> None:
    """Record a fire that waits for a person, or that this person lets go at once.

    One that was released and cannot take place waits again.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO campaign_fires AS f
            (campaign_id, planned_at, outcome, note, code, at, released_at, released_by, others,
             people)
        VALUES (:campaign_id, :planned_at, 'held', :note, :code, :now,
                CASE WHEN :released_by::uuid IS NOT NULL THEN :now::timestamptz END, :released_by,
                    :others, :people)
        ON CONFLICT (campaign_id, planned_at) DO UPDATE
            SET outcome = 'held', note = excluded.note, code = excluded.code, at = excluded.at,
                released_at = excluded.released_at, released_by = excluded.released_by,
                others = excluded.others, people = excluded.people
        WHERE f.outcome IN ('missed', 'held')
        """,
        campaign_id=campaign_id,
        planned_at=fire.planned_at,
        note=fire.note,
        code=fire.code,
        now=now,
        released_by=released_by,
        others=fire.others,
        people=fire.people,
    )


async def insert_missed(
    conn: Connection, campaign_id: UUID, missed: Sequence[Fire], now: datetime
) -> None:
    """Record fires whose time passed while their campaign could not fire, if they have no row."""
    await sql.executemany(
        conn,
        """
        INSERT INTO campaign_fires (campaign_id, planned_at, outcome, note, code, at)
        VALUES (:campaign_id, :planned_at, 'missed', :note, :code, :now) ON CONFLICT DO NOTHING
        """,
        [_row(campaign_id, fire, now) for fire in missed],
    )


def _row(campaign_id: UUID, fire: Fire, now: datetime) -> dict[str, Any]:
    return {
        "campaign_id": campaign_id,
        "planned_at": fire.planned_at,
        "note": fire.note,
        "code": fire.code,
        "now": now,
    }


async def skip_held(
    conn: Connection, campaign_id: UUID, code: str, note: str, now: datetime
) -> None:
    """Record that no fire of a campaign that is held, or was let go, takes place any more."""
    await sql.execute(
        conn,
        """
        UPDATE campaign_fires SET outcome = 'skipped', code = :code, note = :note, at = :now,
            released_at = NULL, released_by = NULL
        WHERE campaign_id = :campaign_id AND outcome = 'held'
        """,
        campaign_id=campaign_id,
        code=code,
        note=note,
        now=now,
    )


async def held_fires(conn: Connection, campaign_id: UUID) -> list[FireRecord]:
    """The fires of a campaign that wait for a person, from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        {_FIRE} WHERE campaign_id = :campaign_id AND outcome = 'held' AND released_at IS NULL
        ORDER BY planned_at
        """,
        campaign_id=campaign_id,
    )
    return [FireRecord(*row) for row in rows]


async def released_fires(conn: Connection) -> list[tuple[UUID, datetime]]:
    """Fires that persons let go, of campaigns that may send: campaign and planned instant."""
    rows = await conn.fetch(
        """
        SELECT f.campaign_id, f.planned_at
        FROM campaign_fires f JOIN campaigns c ON c.id = f.campaign_id
        WHERE f.outcome = 'held' AND f.released_at IS NOT NULL
          AND c.state IN ('scheduled', 'running')
        ORDER BY f.released_at, f.planned_at
        """
    )
    return [(row["campaign_id"], row["planned_at"]) for row in rows]


async def released_fire(
    conn: Connection, campaign_id: UUID, planned_at: datetime
) -> FireRecord | None:
    """One of them, if it has not taken place; ask with the campaign locked."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_FIRE} WHERE campaign_id = :campaign_id AND planned_at = :planned_at AND outcome = 'held'
          AND released_at IS NOT NULL
        """,
        campaign_id=campaign_id,
        planned_at=planned_at,
    )
    return FireRecord(*row) if row else None


async def fire_waits(conn: Connection, campaign_id: UUID) -> bool:
    """Whether a fire of a campaign is held, or was let go and has no run yet."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM campaign_fires WHERE campaign_id = :campaign_id AND outcome = 'held')
        """,
        campaign_id=campaign_id,
    )
    return found


async def decided_at(conn: Connection, campaign_id: UUID, at: datetime) -> list[FireRecord]:
    """The fires of which something was decided at an instant, from old to new."""
    rows = await sql.fetch(
        conn,
        f"{_FIRE} WHERE campaign_id = :campaign_id AND at = :at ORDER BY planned_at",
        campaign_id=campaign_id,
        at=at,
    )
    return [FireRecord(*row) for row in rows]


async def list_fires(
    conn: Connection, campaign_id: UUID, before: datetime | None, limit: int
) -> list[FireRecord]:
    """A page of a campaign's fires, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_FIRE} WHERE campaign_id = :campaign_id
          AND (:before::timestamptz IS NULL OR planned_at < :before)
        ORDER BY planned_at DESC LIMIT :limit
        """,
        campaign_id=campaign_id,
        before=before,
        limit=limit,
    )
    return [FireRecord(*row) for row in rows]


async def fires_between(
    conn: Connection, campaign_id: UUID, start: datetime, end: datetime
) -> list[FireRecord]:
    """What became of the fires of a campaign that were planned in a span of time, in order."""
    rows = await sql.fetch(
        conn,
        f"""
        {_FIRE} WHERE campaign_id = :campaign_id AND planned_at >= :start AND planned_at < :end
        ORDER BY planned_at
        """,
        campaign_id=campaign_id,
        start=start,
        end=end,
    )
    return [FireRecord(*row) for row in rows]


async def expecting(conn: Connection, before: datetime) -> list[UUID]:
    """Campaigns that may not fire, and whose next fire was expected before an instant."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM campaigns
        WHERE state IN ('paused', 'held', 'pending_approval', 'returned', 'draft')
          AND expected_at < :before
        ORDER BY id
        """,
        before=before,
    )
    return [row["id"] for row in rows]


async def get_expected(
    conn: Connection, campaign_id: UUID, before: datetime
) -> tuple[datetime, str] | None:
    """Since when a fire of such a campaign is expected, and the code of its last move; None: it may
    fire by now, or nothing is expected.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT expected_at, coalesce((
            SELECT m.code FROM campaign_moves m WHERE m.campaign_id = c.id
            ORDER BY m.id DESC LIMIT 1), '') AS code
        FROM campaigns c
        WHERE id = :campaign_id
          AND state IN ('paused', 'held', 'pending_approval', 'returned', 'draft')
          AND expected_at < :before
        """,
        campaign_id=campaign_id,
        before=before,
    )
    return None if row is None else (row["expected_at"], row["code"])


async def set_expected(conn: Connection, campaign_id: UUID, at: datetime | None) -> None:
    """When the next fire is expected that has no row yet; None: none is to come."""
    await sql.execute(
        conn,
        "UPDATE campaigns SET expected_at = :at WHERE id = :campaign_id",
        campaign_id=campaign_id,
        at=at,
    )


async def without_next_fire(conn: Connection) -> list[UUID]:
    """Campaigns that recur and wait for no fire, of which nobody was told yet. A leg of a plan
    whose people have changed is held until an approver releases it, and was told of as that.
    """
    rows = await conn.fetch(
        """
        SELECT id FROM campaigns
        WHERE state IN ('scheduled', 'running', 'paused', 'held') AND next_fire_at IS NULL
          AND silent_since IS NULL AND schedule->>'kind' IN ('recurring', 'joining')
          AND NOT (state = 'held' AND leg_of IS NOT NULL)
        ORDER BY id
        """
    )
    return [row["id"] for row in rows]


async def set_silent(conn: Connection, campaign_id: UUID, now: datetime) -> None:
    """Note that a campaign, or a step of its sequence, does not fire although it should: once,
    until its next fire is set or the step has fired.
    """
    await sql.execute(
        conn,
        "UPDATE campaigns SET silent_since = :now WHERE id = :campaign_id AND silent_since IS NULL",
        campaign_id=campaign_id,
        now=now,
    )


async def clear_silent(conn: Connection, campaign_id: UUID, now: datetime) -> None:
    """Note that a step has fired. An alarm stays that is about something else: the campaign's own
    fire is due, or it waits for no fire (see `without_next_fire`).
    """
    await sql.execute(
        conn,
        """
        UPDATE campaigns SET silent_since = NULL
        WHERE id = :campaign_id AND silent_since IS NOT NULL
          AND (next_fire_at > :now OR next_fire_at IS NULL
               AND schedule->>'kind' NOT IN ('recurring', 'joining'))
        """,
        campaign_id=campaign_id,
        now=now,
    )


async def waiting_for_a_fire(conn: Connection) -> list[UUID]:
    """Campaigns that wait for a fire, locked one after the other by whoever works on them."""
    rows = await conn.fetch(
        "SELECT id FROM campaigns WHERE next_fire_at IS NOT NULL "
        "AND state IN ('scheduled', 'running', 'paused') ORDER BY id"
    )
    return [row["id"] for row in rows]
