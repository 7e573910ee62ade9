"""The SQL of shares: what the departments had of a channel, written by each of its connections.

A connection writes what it handed off twice a second and reads how everybody stands, so a share
holds over all connections and processes, and after a restart. A crash loses the charges of half a
second.
"""

from collections.abc import Mapping
from datetime import datetime

from service.dispatch.fair_queue import Charge, Flow, FlowStanding
from service.storage import sql
from service.storage.postgres import Connection


async def write_charges(
    conn: Connection, channel_id: int, charges: Mapping[Flow, Charge], now: datetime
) -> None:
    """Add what one connection handed off, in the order of the key, so that nobody deadlocks.

    Parts are counted by the minute; a minute without any makes the department busy anew.
    """
    if not charges:
        return
    ordered = sorted(charges.items(), key=lambda item: item[0])
    await sql.execute(
        conn,
        """
        INSERT INTO shares AS s (channel_id, priority, department_id, virtual_time, started,
                                 busy_since, minute, parts)
        SELECT :channel_id, a.priority, a.department_id, a.first_start + a.parts::float8 / d.weight,
               a.last_start,
               :now::timestamptz, date_trunc('minute', :now::timestamptz), a.parts
        FROM unnest(:priorities::smallint[], :departments::uuid[], :first_start::float8[],
                    :last_start::float8[], :parts::int[])
            WITH ORDINALITY AS a(priority, department_id, first_start, last_start, parts, at)
        JOIN departments d ON d.id = a.department_id
        ORDER BY a.at
        ON CONFLICT (channel_id, priority, department_id) DO UPDATE SET
            virtual_time = (
                -- The charge begins at its time less its own parts; an earlier time does not count.
                SELECT greatest(s.virtual_time, excluded.virtual_time - t.advance) + t.advance
                FROM (SELECT excluded.parts::float8 / d.weight AS advance
                      FROM departments d WHERE d.id = excluded.department_id) t),
            started = greatest(s.started, excluded.started),
            busy_since = CASE WHEN excluded.minute <= s.minute + interval '1 minute'
                              THEN s.busy_since ELSE excluded.busy_since END,
            parts_before = CASE WHEN excluded.minute <= s.minute THEN s.parts_before
                                WHEN excluded.minute = s.minute + interval '1 minute' THEN s.parts
                                ELSE 0 END,
            parts = excluded.parts + CASE WHEN excluded.minute <= s.minute THEN s.parts ELSE 0 END,
            minute = greatest(s.minute, excluded.minute)
        """,
        channel_id=channel_id,
        now=now,
        priorities=[flow.priority for flow, _ in ordered],
        departments=[flow.department for flow, _ in ordered],
        first_start=[charge.first_start for _, charge in ordered],
        last_start=[charge.last_start for _, charge in ordered],
        parts=[charge.parts for _, charge in ordered],
    )


async def standings(conn: Connection, channel_id: int) -> dict[Flow, FlowStanding]:
    """How every department stands on a channel, by priority, with its weight as it is now."""
    rows = await sql.fetch(
        conn,
        """
        SELECT s.priority, s.department_id, s.virtual_time, s.started, d.weight
        FROM shares s JOIN departments d ON d.id = s.department_id
        WHERE s.channel_id = :channel_id
        """,
        channel_id=channel_id,
    )
    return {
        Flow(row["priority"], row["department_id"]): FlowStanding(
            row["virtual_time"], row["started"], row["weight"]
        )
        for row in rows
    }
