"""The SQL of the sweep: what is open in PostgreSQL, and what is finished."""

import uuid
from datetime import datetime

from service.storage.postgres import Connection


async def close_finished_runs(conn: Connection, now: datetime) -> list[uuid.UUID]:
    """Runs of which nothing is left to hand off are sent; "no more pages" would not be enough.

    Campaigns are locked before their runs, as everybody does who locks both, and the runs alone, so
    that nothing is being given back to them meanwhile. Returns the campaigns.
    """
    campaigns = await conn.fetch(
        """
        SELECT c.id FROM campaigns c WHERE EXISTS (
            SELECT FROM runs r WHERE r.campaign_id = c.id AND r.state = 'running' AND NOT EXISTS (
                SELECT FROM slices s WHERE s.run_id = r.id AND s.done_at IS NULL))
        ORDER BY c.id FOR UPDATE OF c SKIP LOCKED
        """
    )
    await conn.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(id::text, 0)) FROM (
            SELECT id FROM runs WHERE campaign_id = ANY($1) AND state = 'running' ORDER BY id) r
        """,
        [row["id"] for row in campaigns],
    )
    rows = await conn.fetch(
        """
        UPDATE runs r SET state = 'sent', finished_at = $1
        WHERE r.state = 'running' AND r.campaign_id = ANY($2)
          AND NOT EXISTS (SELECT FROM slices s WHERE s.run_id = r.id AND s.done_at IS NULL)
        RETURNING campaign_id
        """,
        now,
        [row["id"] for row in campaigns],
    )
    return [row["campaign_id"] for row in rows]


async def channels_with_work(conn: Connection, now: datetime) -> list[int]:
    """Channels that have something to hand off now."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.channel_id FROM slices s JOIN runs r ON r.id = s.run_id
        WHERE s.done_at IS NULL AND s.epoch IS NULL AND r.state = 'running'
          AND (s.not_before IS NULL OR s.not_before <= $1)
        """,
        now,
    )
    return [row["channel_id"] for row in rows]


async def expanding_runs(conn: Connection) -> list[uuid.UUID]:
    """Runs whose ledger is still to be written."""
    rows = await conn.fetch("SELECT id FROM runs WHERE state = 'expanding'")
    return [row["id"] for row in rows]
