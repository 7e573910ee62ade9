"""The SQL of what a recovered database holds."""

from datetime import datetime
from typing import Any

from service.ledger.states import OPEN_RUNS_WITH_LEDGER, sql_list
from service.storage.postgres import Connection


async def read_last_instant(conn: Connection) -> datetime | None:
    """When the last transaction ended that the recovery kept."""
    last: datetime | None = await conn.fetchval("SELECT pg_last_xact_replay_timestamp()")
    return last


async def count_open_runs(conn: Connection) -> list[dict[str, Any]]:
    """Each run with a ledger that is not at its end: its target, and its texts by state."""
    rows = await conn.fetch(
        f"""
        SELECT r.id AS run_id, r.state, coalesce(r.target, 0) AS target,
               coalesce(array_agg(m.state::text) FILTER (WHERE m.state IS NOT NULL), '{{}}')
                   AS states,
               coalesce(array_agg(m.rows) FILTER (WHERE m.state IS NOT NULL), '{{}}') AS counts
        FROM runs r LEFT JOIN LATERAL (
            SELECT state, count(*) AS rows FROM messages WHERE run_id = r.id
            GROUP BY state ORDER BY state) m ON true
        WHERE r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} GROUP BY r.id ORDER BY r.id
        """  # noqa: S608  # constants
    )
    return [
        {
            "run_id": row["run_id"],
            "state": row["state"],
            "target": row["target"],
            "states": dict(zip(row["states"], row["counts"], strict=True)),
        }
        for row in rows
    ]
