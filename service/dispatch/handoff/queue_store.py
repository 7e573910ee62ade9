"""The SQL of a channel's queue: what waits by run, what holds it, and how fast it goes.

Counted by slices: one that nobody has worked on yet by its size, the few others row by row along
the key. So a ledger of a million rows costs its thousand slices.
"""

from datetime import datetime

from service.ledger.states import OPEN_RUNS_WITH_LEDGER, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record, one


async def waiting_runs(conn: Connection, channel_id: int, now: datetime) -> list[Record]:
    """What waits on a channel, by run, and apart what waits for a time that is yet to come."""
    return await sql.fetch(
        conn,
        f"""
        SELECT w.*, r.department_id, r.state, r.class, r.text, r.send_hours, r.timezone,
               r.audience, r.beyond_hours, r.on_quiet_days, r.valid_until, r.max_tps,
               d.name AS department, d.weight
        FROM (
            SELECT s.run_id, s.priority, s.not_before > :now IS TRUE AS later,
                   max(s.not_before) AS not_before,
                   sum(CASE WHEN s.touched THEN t.queued ELSE s.last_no - s.first_no + 1 END)::int
                       AS messages
            FROM slices s LEFT JOIN LATERAL (
                SELECT count(*) AS queued FROM messages m
                WHERE s.touched AND m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
                  AND m.channel_id = s.channel_id AND m.state = 'queued'
                OFFSET 0) t ON s.touched
            WHERE s.channel_id = :channel_id AND s.done_at IS NULL
            GROUP BY s.run_id, s.priority, s.not_before > :now IS TRUE) w
        JOIN runs r ON r.id = w.run_id
        JOIN departments d ON d.id = r.department_id
        WHERE r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} AND w.messages > 0
        ORDER BY w.priority, d.name, w.run_id, w.later
        """,  # noqa: S608  # constants
        channel_id=channel_id,
        now=now,
    )


async def channel_state(conn: Connection, channel_id: int) -> Record:
    """How many connections are logged in, and why the breaker is open, if it is."""
    return one(
        await sql.fetchrow(
            conn,
            """
            SELECT (SELECT count(*) FROM connections k JOIN channels c ON c.id = k.channel_id
                    WHERE k.channel_id = :channel_id AND k.slot < c.connections AND k.state = 'up'
                      AND k.expires_at > clock_timestamp()) AS up,
                   (SELECT b.why FROM circuit_breakers b
                    WHERE b.channel_id = :channel_id AND b.state = 'open') AS breaker
            """,
            channel_id=channel_id,
        )
    )


async def measured_rate(conn: Connection, channel_id: int, now: datetime) -> float | None:
    """Parts a second over this minute and the one before, or for as long as anything has been
    handed off; None if that is nothing, or too short to tell.
    """
    rate: float | None = await sql.fetchval(
        conn,
        """
        SELECT sum(s.parts + s.parts_before) / nullif(greatest(extract(epoch FROM
                   :now - greatest(min(s.busy_since), date_trunc('minute', :now) - interval '1 min')
               ), 0), 0)
        FROM (
            SELECT busy_since, parts, parts_before FROM shares
            WHERE channel_id = :channel_id AND minute = date_trunc('minute', :now::timestamptz)
            UNION ALL
            SELECT busy_since, 0, parts FROM shares
            WHERE channel_id = :channel_id
              AND minute = date_trunc('minute', :now::timestamptz) - interval '1 minute') s
        HAVING :now - min(s.busy_since) >= interval '5 seconds'
        """,
        channel_id=channel_id,
        now=now,
    )
    return None if not rate else float(rate)
